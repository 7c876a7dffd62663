/**
 * Hosts that refuse something: addons, WebAssembly, workers, threads, address space. "auto" must run on what works and
 * say what did not; `doctor` must say the same. More of them, on more versions of Node: test/reliability/hosts.mjs.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { nativeStatus } from "../../src/backends/addon/native.ts";
import { wasmStatus } from "../../src/backends/wasm/load.ts";
import type { BackendReport } from "../../src/run.ts";
import { patience } from "../support/patience.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const there = [nativeStatus().available, wasmStatus().instructionSets.includes("simd+threads")];
const describeLinux = process.platform === "linux" && there.every(Boolean) ? describe : describe.skip;
const asNobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
/** Only a user other than root is held to a number of processes. */
const testThreads =
  process.getuid?.() === 0 &&
  spawnSync(asNobody[0], [...asNobody.slice(1), "prlimit", "--version"]).status === 0
    ? test
    : test.skip;

describeLinux("hosts that refuse something", () => {
  const folder = mkdtempSync(join(tmpdir(), "local-entropy-hosts-"));
  beforeAll(() => {
    chmodSync(folder, 0o755); // read by another user too
    cpSync(join(root, "dist"), join(folder, "dist"), { recursive: true });
    cpSync(join(root, "package.json"), join(folder, "package.json"));
    cpSync(
      join(root, "build", "Release", "local_entropy.node"),
      join(folder, "build/Release/local_entropy.node"),
    );
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  /** What "auto" comes to under a command and flags of Node. */
  function run(command: readonly string[], flags: readonly string[] = [], threads = 2): BackendReport {
    const source = `
      const { train } = await import("${join(folder, "dist", "index.js")}");
      const inputs = Float32Array.from({ length: 384 }, (_, i) => Math.sin(i));
      const labels = Uint8Array.from({ length: 64 }, (_, i) => i % 3);
      const data = { train: { inputs, labels, count: 64, width: 6, classes: 3 } };
      const { backend, updates } = await train({ network: [6, 8, 3], data, updates: 5, threads: ${threads} }).result;
      console.log(JSON.stringify({ ...backend, updates }));`;
    const [program, ...args] = [...command, process.execPath, ...flags, "--input-type=module", "-e", source];
    const { stdout, stderr, status } = spawnSync(program, args, {
      encoding: "utf8",
      timeout: patience(30_000),
      cwd: folder,
    });
    expect({ status, stderr: stdout === "" ? stderr : "" }).toEqual({ status: 0, stderr: "" });
    return JSON.parse(stdout);
  }
  const reasonOf = (name: string, { declined }: BackendReport) =>
    declined.find((other) => other.name === name)?.reason;

  test("no addons: wasm, and how to allow them", () => {
    const ran = run([], ["--no-addons"]);
    expect(ran).toMatchObject({ name: "wasm", threads: 2 });
    expect(reasonOf("native", ran)).toMatch(
      /^Node [\d.]+ was told to load no addon\n[\s\S]*Leave out --no-addons/,
    );
  });

  test("no addons and no WebAssembly: the reference", () => {
    const ran = run([], ["--no-addons", "--jitless"]);
    expect(ran.name).toBe("reference");
    expect(reasonOf("wasm", ran)).toMatch(/no WebAssembly: leave out --jitless/);
  });

  test("the permission model without workers: wasm on the calling thread", () => {
    const model = process.version.startsWith("v20.") ? "--experimental-permission" : "--permission";
    const ran = run([], [model, "--allow-fs-read=*", "--no-addons"]);
    expect(ran).toMatchObject({ name: "wasm", instructionSet: "simd", threads: 1 });
    expect(reasonOf("wasm", ran)).toMatch(/^simd in place of .*simd\+threads \(.*restricted/);
  });

  test("too few addresses for a WebAssembly memory: the next that works, without a crash", () => {
    const limited = ["bash", "-c", 'ulimit -v 8000000; exec "$@"', "limited"];
    const ran = run(limited, ["--no-addons"]);
    // A newer Node does without the reserve that this one refuses.
    if (ran.name === "wasm") return;
    expect(ran.name).toBe("reference");
    expect(reasonOf("wasm", ran)).toMatch(/did not start: .*refused a memory of 256 MiB/);
  });

  testThreads.each([24, 14])(
    "%i processes at most: as many threads as there may be, and the rest said",
    (most) => {
      for (const flags of [[], ["--no-addons"]]) {
        const ran = run([...asNobody, "prlimit", `--nproc=${most}`], flags, 32);
        expect(ran.name).toBe(flags.length === 0 ? "native" : "wasm");
        expect(ran.threads).toBeGreaterThanOrEqual(most === 24 ? 2 : 1);
        expect(ran.threads).toBeLessThan(most);
        expect(reasonOf(ran.name, ran)).toMatch(
          new RegExp(`^${ran.threads} of 32 threads could be started: `),
        );
      }
    },
  );

  testThreads("so few processes that native has no thread at all: the next, and why", () => {
    // How many threads Node has of its own depends on its version; with none to spare it ends itself.
    for (let most = 14; most > 8; most--) {
      const source =
        "setTimeout(() => {}, 100); import('node:fs/promises').then((fs) => fs.readFile('package.json'))";
      const limit = [...asNobody, "prlimit", `--nproc=${most}`];
      const args = [...limit.slice(1), process.execPath, "-e", source];
      if (spawnSync(limit[0], args, { cwd: folder, timeout: patience(30_000) }).status !== 0) break;
      const ran = run(limit, [], 4);
      if (ran.name === "native") continue;
      expect(reasonOf("native", ran)).toBe("The system allows this process no further thread");
      return;
    }
    throw new Error("Expected a number of processes with which Node runs and native does not");
  });

  test.each([["--jitless"], ["--no-addons"]])("doctor under %s says what auto takes", (flag) => {
    const { name } = run([], [flag]);
    const main = join(root, "dist", "cli", "main.js");
    const { stdout } = spawnSync(process.execPath, [flag, main, "doctor", "--json"], { encoding: "utf8" });
    const { backends } = JSON.parse(stdout);
    const first = backends.find(({ available }: { available: boolean }) => available);
    expect(first.name).toBe(name);
  });
});
