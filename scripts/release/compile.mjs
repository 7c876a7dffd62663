/**
 * Compiles the addon for one platform of a release, on whatever machine this is:
 *
 *     native/  ── zig c++ -S ─▶ build/release/NAME/….s ── zig c++ -c ─▶ ….o ── zig c++ -shared ─▶ local_entropy.node
 *
 * by way of assembly text, in which `check-assembly.mjs` looks for what must not be in it, the same on every platform.
 * Sources and flags are those of native/sources.txt and native/flags*.txt, as for a build from the clone.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { PLATFORMS, zigTarget } from "./platforms.mjs";
import { fetchZig } from "./zig.mjs";

const require = createRequire(import.meta.url);
const lines = (path) => readFileSync(path, "utf8").trim().split("\n");

const EXPORTS_MAP = fileURLToPath(new URL("../../native/exports.map", import.meta.url));

/** Where everything of one platform is made. */
export const folderOf = (name) => join("build", "release", name);
export const binaryOf = (name) => join(folderOf(name), "local_entropy.node");

/** What the addon exports, and nothing else: the standard library that is linked in is not to meet another one. */
export const EXPORTS = /global:([^}]*)local:/.exec(readFileSync(EXPORTS_MAP, "utf8"))[1].match(/\w+/g);

const DEFINES = [
  "-DNDEBUG",
  "-DNAPI_VERSION=8",
  "-DNAPI_CPP_EXCEPTIONS",
  "-DNODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS",
];

/** Runs as many at a time as there are cores. */
async function inParallel(tasks) {
  const waiting = [...tasks];
  const next = async () => {
    for (let task = waiting.shift(); task; task = waiting.shift()) await task();
  };
  await Promise.all(Array.from({ length: availableParallelism() }, next));
}

/** Runs the compiler. Its notes that an option was of no use in one of the three steps are left out. */
async function zig(args) {
  const child = spawn(fetchZig(), ["c++", "-Wno-unused-command-line-argument", ...args], {
    stdio: ["ignore", 2, 2],
    env: { ...process.env, ZIG_LOCAL_CACHE_DIR: join("build", "release", "cache") },
  });
  const [status] = await once(child, "close");
  if (status !== 0) throw new Error(`zig c++ ${args.join(" ")} ended with ${status}`);
}

function compilerFlags(platform) {
  return [
    ...["-target", zigTarget(platform), "-std=c++17", "-O3", "-g0", "-fPIC", "-fexceptions"],
    ...lines("native/flags.txt"),
    // zig has underscores in the names of processors.
    ...(platform.cpu === "x64"
      ? lines("native/flags-x64.txt").map((flag) => flag.replaceAll("x86-64-", "x86_64_"))
      : []),
    ...["-fvisibility-inlines-hidden", ...DEFINES],
    ...["-I", require("node-addon-api").include_dir, "-I", require("node-api-headers").include_dir],
  ];
}

/** The linker's part for each kind of system. */
const LINKERS = {
  linux: () => ["-s", `-Wl,--version-script=${EXPORTS_MAP}`],
  darwin: () => ["-s", "-Wl,-undefined,dynamic_lookup", "-Wl,-install_name,@rpath/local_entropy.node"],
  win32: () => ["-s"],
};

/** Sources beside native/sources.txt, and flags, that one kind of system needs; what they read is written into the folder. */
const OWN_PARTS = {
  linux: () => ({ sources: [], flags: [] }),
  darwin: () => ({ sources: ["macos/new.cc"], flags: ["-fvisibility-global-new-delete=force-hidden"] }),
  win32(folder) {
    const { js_native_api_symbols, node_api_symbols } = require("node-api-headers").symbols.v8;
    const functions = [...js_native_api_symbols, ...node_api_symbols].sort();
    const list = functions.map((name) => `NODE_API_FUNCTION(${name})\n`).join("");
    writeFileSync(join(folder, "node-api-functions.h"), list);
    return { sources: ["windows/host.cc"], flags: ["-DBUILDING_NODE_EXTENSION", "-I", folder] };
  },
};

/** Everything that a binary is made of, in one number. */
export function fingerprint(name) {
  const hash = createHash("sha256");
  const add = (path) => {
    if (!statSync(path).isDirectory()) return hash.update(path).update(readFileSync(path));
    for (const entry of readdirSync(path).sort()) add(join(path, entry));
  };
  for (const entry of readdirSync("native").sort()) {
    if (entry !== "test" && entry !== "cuda") add(join("native", entry));
  }
  add("scripts/release/compile.mjs");
  add("scripts/release/zig-requirements.txt");
  for (const header of ["node-addon-api", "node-api-headers"]) {
    hash.update(require(`${header}/package.json`).version);
  }
  return hash.update(zigTarget(PLATFORMS[name])).digest("hex");
}

/**
 * Compiles the addon for platforms, each only if something that it is made of has changed.
 *
 * @param names of `PLATFORMS`
 * @throws Error if the compiler or the linker fails
 */
export async function compile(names) {
  const stale = names.filter((name) => {
    const stamp = join(folderOf(name), "made-of.txt");
    return (
      !existsSync(binaryOf(name)) || !existsSync(stamp) || readFileSync(stamp, "utf8") !== fingerprint(name)
    );
  });
  if (stale.length > 0) console.error(`pack: compiling the addon for ${stale.join(", ")}`);
  const plans = stale.map((name) => {
    const folder = folderOf(name);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    const { sources, flags } = OWN_PARTS[PLATFORMS[name].os](folder);
    const stem = (source) => join(folder, source.replaceAll("/", "-").replace(/\.cc$/, ""));
    const parts = [...lines("native/sources.txt"), ...sources].map((source) => [
      join("native", source),
      stem(source),
    ]);
    return { name, parts, flags: [...compilerFlags(PLATFORMS[name]), ...flags] };
  });
  await inParallel(
    plans.flatMap(({ parts, flags }) =>
      parts.map(([source, stem]) => async () => {
        await zig([...flags, "-S", "-o", `${stem}.s`, source]);
        await zig([...flags, "-c", "-o", `${stem}.o`, `${stem}.s`]);
      }),
    ),
  );
  await inParallel(
    plans.map(({ name, parts, flags }) => async () => {
      const linker = LINKERS[PLATFORMS[name].os]();
      const objects = parts.map(([, stem]) => `${stem}.o`);
      const fresh = join(folderOf(name), "fresh.node"); // under its own name only when it is whole
      await zig([...flags, "-shared", ...linker, "-o", fresh, ...objects]);
      renameSync(fresh, binaryOf(name));
      writeFileSync(join(folderOf(name), "made-of.txt"), fingerprint(name));
    }),
  );
}
