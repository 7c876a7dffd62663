/**
 * What is found where the addon should be, made in folders of its own: nothing, a package for another platform, a binary
 * that is cut off, needs another system or computes something else. Each is told as what it is, with what mends it there.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import {
  ANSWERS,
  hashOfBits,
  KEY,
  NORMALS,
  point,
  SAMPLER,
  UPDATE,
  weighedSum,
} from "../../src/backends/addon/known-question.ts";
import { loadAddonFrom } from "../../src/backends/addon/load.ts";
import { nativeStatus } from "../../src/backends/addon/native.ts";
import { libcInMaps, platformName } from "../../src/backends/addon/platform.ts";
import { PLATFORMS, packageOf } from "../../src/backends/addon/platforms.ts";
import { VERSION } from "../../src/version.ts";
import { reference } from "../support/backends.ts";
import { BUILT, Project } from "../support/installed.ts";
import { describeNative } from "../support/jobs.ts";

const platform = platformName();
const own = packageOf(platform);
/** Where the release has no package for this platform there is none to be tried. */
const describePackage = platform in PLATFORMS && nativeStatus().available ? describe : describe.skip;
const testLinux = process.platform === "linux" ? test : test.skip;
const compiles = spawnSync("cc", ["--version"]).status === 0;
const testCompiled = process.platform === "linux" && compiles ? test : test.skip;

let project: Project;
beforeEach(() => {
  project = new Project();
});
afterEach(() => project.remove());
const load = (on?: string) => loadAddonFrom(project.installed, "native", on);
const firstLine = ({ reason }: { readonly reason: string }) => reason.split("\n")[0];

describe("nothing there", () => {
  test("not installed: the package of this platform, and a command that brings it", () => {
    const { addon, absent, reason } = load("linux-arm64");
    expect([addon, absent]).toEqual([null, true]);
    expect(reason).toMatch(/^@local-entropy\/linux-arm64 is not installed\n/);
    expect(reason).toContain(
      `\`npm install --include=optional --save-optional @local-entropy/linux-arm64@${VERSION}\``,
    );
    expect(reason).toContain("takes wasm");
    expect(reason).not.toContain("npm run build");
  });

  test("installed for the machine: the command for that", () => {
    rmSync(join(project.folder, "package.json"));
    expect(load("linux-x64").reason).toContain(
      `\`npm install --global --include=optional local-entropy@${VERSION}\``,
    );
  });

  test("in the package's repository: how to build it, and no package", () => {
    mkdirSync(join(project.installed, "native"));
    writeFileSync(join(project.installed, "native", "CMakeLists.txt"), "");
    for (const on of ["linux-x64", "freebsd-x64"]) {
      const { reason } = load(on);
      expect(reason).toMatch(
        /^its addon is not built\n.*`npm run build`; it needs a C\+\+17 compiler and CMake/,
      );
      expect(reason).not.toContain("npm install");
    }
  });

  test("no advice names a package that the release does not have", () => {
    const released = Object.keys(PLATFORMS).map((name) => packageOf(name));
    const others = [
      "freebsd-x64",
      "linux-riscv64",
      "linux-ia32-musl",
      "win32-arm64",
      "android-arm64",
      "aix-ppc64",
    ];
    for (const on of [...others, ...Object.keys(PLATFORMS)]) {
      const { reason } = load(on);
      const named = reason.match(/@local-entropy\/[\w-]+/g) ?? [];
      expect(named.length > 0).toBe(on in PLATFORMS);
      for (const name of named) expect(released).toContain(name);
      if (!(on in PLATFORMS)) {
        expect(reason).toMatch(new RegExp(`^no release has a package for ${on}\\n.*clone of the repository`));
      }
    }
  });

  test.each([
    ["linux-x64-musl", "linux-x64"],
    ["darwin-x64", "darwin-arm64"], // Node for x64 under Rosetta
  ])("on %s only the package for %s: both are named, and the missing one's command", (on, other) => {
    project.add(packageOf(other), readFileSync(new URL(import.meta.url)));
    const { attempts, reason } = load(on);
    expect(attempts).toHaveLength(1);
    expect(firstLine({ reason })).toMatch(
      new RegExp(`^@local-entropy/${on} is not installed, but @local-entropy/${other}: .*another system$`),
    );
    expect(reason).toContain(`@local-entropy/${on}@${VERSION}`);
  });
});

describe("the C library that a process runs with", () => {
  const line = (file: string) => `7f0000000000-7f0000001000 r-xp 00000000 08:01 123    ${file}\n`;
  test.each([
    ["/usr/lib/x86_64-linux-gnu/libc.so.6", "glibc"],
    ["/usr/lib/libc-2.28.so", "glibc"],
    ["/nix/store/0c7c-glibc-2.38/lib/ld-linux-x86-64.so.2", "glibc"],
    ["/usr/lib/x86_64-linux-gnu/libc.so.6 (deleted)", "glibc"],
    ["/lib/ld-musl-x86_64.so.1", "musl"],
    ["/lib/ld-musl-aarch64.so.1 (deleted)", "musl"],
    ["/usr/lib/x86_64-linux-musl/libc.so", "musl"],
    ["/usr/lib/x86_64-linux-musl/libc.so (deleted)", "musl"],
    ["/usr/lib/libc++.so.1", null],
    ["/opt/libc.so.6.d/other", null],
  ])("%s: %s", (file, libc) => {
    expect(libcInMaps(line("/usr/bin/node") + line(file) + line("[stack]"))).toBe(libc);
  });

  testLinux("this process's is the one that its report names", () => {
    const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
    expect(platform.endsWith("-musl")).toBe(!header.glibcVersionRuntime);
    expect(`${process.platform}-${process.arch}`).toBe(platform.replace("-musl", ""));
  });
});

describePackage("a package for this platform", () => {
  const binary = () => readFileSync(BUILT);

  test("loads; a build that is damaged stands behind it, and is told of", () => {
    project.add(own, binary());
    expect(load()).toMatchObject({ addon: { open: expect.any(Function) }, attempts: [], reason: "" });
    const built = join(project.installed, "build", "Release", "local_entropy.node");
    mkdirSync(join(built, ".."), { recursive: true });
    writeFileSync(built, "this is no library".repeat(100));
    const { addon, attempts } = load();
    expect(addon).not.toBeNull();
    expect(attempts).toEqual([
      expect.objectContaining({
        path: built,
        why: "build/Release/local_entropy.node is damaged: it is no library",
      }),
    ]);
  });

  test("of another version: both versions, and which to install", () => {
    project.add(own, binary(), "0.0.1");
    const { reason } = load();
    expect(reason).toMatch(new RegExp(`^${own} is of version 0.0.1, and local-entropy of ${VERSION}\n`));
    expect(reason).toContain(`npm install ${own}@${VERSION}`);
  });

  // Linux ends a process that touches a page of a file which is not there.
  test.each([0, 3, 60, 900, 100_000])(
    "cut off after %i bytes: damaged, and how to bring it anew",
    (length) => {
      const folder = project.add(own, binary().subarray(0, length));
      const { addon, reason } = load();
      expect(addon).toBeNull();
      expect(reason).toMatch(new RegExp(`^${own} is damaged: it was cut off after ${length} bytes`));
      expect(reason).toContain(`Remove the folder ${folder} and run \`npm install\` again`);
    },
  );

  testLinux("one byte short of what is mapped: damaged; without what no loader needs it loads", () => {
    project.add(own, binary().subarray(0, 100_000));
    const end = Number(/has at least (\d+)/.exec(load().reason)![1]);
    project.add(own, binary().subarray(0, end - 1));
    expect(firstLine(load())).toBe(
      `${own} is damaged: it was cut off after ${end - 1} bytes, and has at least ${end}`,
    );
    project.add(own, binary().subarray(0, end));
    expect(load().reason).toBe("");
  });

  test("a page of HTML, or no file at all: damaged", () => {
    project.add(own, Buffer.from("<!doctype html>".repeat(10)));
    expect(firstLine(load())).toBe(`${own} is damaged: it is no library`);
    const folder = project.add(own, null);
    rmSync(join(folder, "addon.node"));
    expect(firstLine(load())).toBe(`${own} is damaged: its binary is missing`);
  });

  test("a binary for another processor or system: which one, and which this is", () => {
    const elf = binary();
    if (process.platform === "linux") {
      elf.writeUInt16LE(process.arch === "x64" ? 183 : 62, 18);
      project.add(own, elf);
      const other = process.arch === "x64" ? "linux-arm64" : "linux-x64";
      expect(firstLine(load())).toBe(
        `${own} is for ${other}, and Node ${process.versions.node} here for ${platform}`,
      );
    }
    const windows = Buffer.alloc(200);
    windows.write("MZ");
    windows.writeUInt32LE(64, 0x3c);
    windows.write("PE\0\0", 64);
    windows.writeUInt16LE(0xaa64, 68);
    project.add(own, windows);
    expect(firstLine(load())).toContain(`${own} is for win32-arm64, and `);
    const mac = Buffer.alloc(200);
    mac.writeUInt32LE(0xfeedfacf, 0);
    mac.writeUInt32LE(0x0100000c, 4);
    project.add(own, mac);
    expect(firstLine(load())).toContain(`${own} is for darwin-arm64, and `);
  });
});

describePackage("a binary that the system does not load", () => {
  let sources: string;
  beforeEach(() => {
    sources = mkdtempSync(join(tmpdir(), "local-entropy-binaries-"));
  });
  afterEach(() => rmSync(sources, { recursive: true }));

  /** A library of one function, made by the system's compiler. */
  function compiled(name: string, source: string, ...flags: readonly string[]): string {
    const path = join(sources, name);
    writeFileSync(`${path}.c`, source);
    const { status, stderr } = spawnSync(
      "cc",
      ["-shared", "-fPIC", "-nostdlib", "-o", path, `${path}.c`, ...flags],
      { encoding: "utf8" },
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    return path;
  }
  const calls = (name: string) => `void ${name}(void); void *addon(void) { return (void *)${name}; }`;
  function loadedWith(path: string) {
    project.add(own, readFileSync(path));
    const loaded = load();
    expect(loaded.addon).toBeNull();
    return loaded;
  }

  testCompiled("needs the other C library: which it needs, and which this is", () => {
    const glibc = !platform.endsWith("-musl");
    const name = glibc ? "libc.so" : "libc.so.6";
    const other = compiled(name, "int nothing;", `-Wl,-soname,${name}`);
    const path = compiled("addon.node", "int addon;", "-Wl,--no-as-needed", other);
    const [theirs, ours] = glibc ? ["musl", "glibc"] : ["glibc", "musl"];
    if (glibc)
      expect(firstLine(loadedWith(path))).toBe(`${own} is for ${theirs}, and this system has ${ours}`);
  });

  testCompiled("needs a newer glibc: which, and that a clone may be built", () => {
    writeFileSync(join(sources, "versions"), "GLIBC_2.99 { global: *; };");
    const newer = compiled(
      "libc.so.6",
      "void from_the_future(void) {}",
      "-Wl,-soname,libc.so.6",
      `-Wl,--version-script=${join(sources, "versions")}`,
    );
    const loaded = loadedWith(compiled("addon.node", calls("from_the_future"), newer));
    if (platform.endsWith("-musl")) return;
    expect(firstLine(loaded)).toBe(`${own} needs glibc 2.99, and this system's is older`);
    expect(loaded.reason).toMatch(/addon\.node: .*GLIBC_2\.99|: .*GLIBC_2\.99/);
    expect(loaded.reason).toContain("clone of the repository");
  });

  testCompiled("needs a newer Node-API: which function this runtime lacks", () => {
    const loaded = loadedWith(compiled("addon.node", calls("napi_of_the_future"), "-Wl,-z,now"));
    expect(firstLine(loaded)).toBe(
      `Node ${process.versions.node} is too old for ${own}: it lacks napi_of_the_future`,
    );
  });

  testCompiled("needs a library that is not there: its name", () => {
    const library = compiled("libnowhere.so.1", "void nowhere(void) {}", "-Wl,-soname,libnowhere.so.1");
    const loaded = loadedWith(compiled("addon.node", calls("nowhere"), library));
    expect(firstLine(loaded)).toBe(`${own} needs a library that this system lacks: libnowhere.so.1`);
  });

  testCompiled("is no addon, or an older one: of other sources than this version's", () => {
    const registers = "void *napi_register_module_v1(void *env, void *exports) { return exports; }";
    for (const source of ["int addon;", registers]) {
      const loaded = loadedWith(compiled("addon.node", source));
      expect(firstLine(loaded)).toBe(`${own} was made from other sources than this version's`);
      rmSync(join(project.folder, "node_modules", own), { recursive: true }); // a loaded file is not written over
    }
  });
});

describeNative("a known question", () => {
  test("its answers are the reference's", async () => {
    const normals = await reference.gaussian({ key: KEY, ...NORMALS });
    expect(hashOfBits(Float32Array.from(normals))).toBe(ANSWERS.normals);
    const gradient = await reference.gradient(point());
    const estimate = await reference.importanceSampling({ ...point(), key: KEY, ...UPDATE, ...SAMPLER });
    for (const [name, { gradient: values, loss }] of Object.entries({ gradient, estimate })) {
      const known = ANSWERS[name as "gradient" | "estimate"];
      expect(weighedSum(values).sum).toBeCloseTo(known.sum, 10);
      expect(loss).toBeCloseTo(known.loss, 12);
    }
  });

  /** The addon with every place of a 32-bit constant overwritten by another. */
  function changed(from: number, to: number): { readonly binary: Buffer; readonly places: number } {
    const binary = readFileSync(BUILT);
    const [old, other] = [Buffer.alloc(4), Buffer.alloc(4)];
    old.writeUInt32LE(from);
    other.writeUInt32LE(to);
    let places = 0;
    for (let at = binary.indexOf(old); at >= 0; at = binary.indexOf(old, at + 4)) {
      other.copy(binary, at);
      places++;
    }
    return { binary, places };
  }

  const word = (value: number) => new Uint32Array(Float32Array.of(value).buffer)[0];
  // On other processors constants stand in pieces in the code.
  const testChanged = process.arch === "x64" && platform in PLATFORMS ? test : test.skip;

  testChanged.each([
    ["Philox's multiplier", 0xd2511f53, 0xd2511f55, /its normals have other bits$/],
    ["a term of e^x", word(0.166665733), word(0.2), /the gradient's loss is [\d.]+, and 1\.032\d+ is right$/],
    [
      "a term of 2^x",
      word(0.693146825),
      word(0.7),
      /the estimate's loss is [\d.]+, and 1\.0706\d+ is right$/,
    ],
    ["κ's ridge", word(0.1), word(10), /the estimate sums up to -[\d.]+, and -13\.728\d+ is right$/],
  ])("a binary with another constant, %s, is declined like one that does not load", (_, from, to, answer) => {
    const { binary, places } = changed(from, to);
    expect(places).toBeGreaterThan(0);
    project.add(own, binary);
    const { addon, reason } = load();
    expect(addon).toBeNull();
    expect(firstLine({ reason })).toMatch(
      new RegExp(`^${own} answers a known question wrongly \\(\\w+\\): `),
    );
    expect(firstLine({ reason })).toMatch(answer);
    expect(reason).toMatch(/Remove the folder .*LOCAL_ENTROPY_INSTRUCTION_SET/s);
  });
});
