/**
 * The package in somebody's project, in processes of its own: what `train`, `openBackend`, the command and `doctor` come
 * to with the platform's package, without it, and with one that does not do.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { nativeStatus } from "../../src/backends/addon/native.ts";
import { platformName } from "../../src/backends/addon/platform.ts";
import { PLATFORMS, packageOf } from "../../src/backends/addon/platforms.ts";
import { wasmStatus } from "../../src/backends/wasm/load.ts";
import type { BackendReport } from "../../src/run.ts";
import { BUILT, Project } from "../support/installed.ts";
import { patience } from "../support/patience.ts";

const platform = platformName();
const own = packageOf(platform);
const describeHere =
  platform in PLATFORMS && nativeStatus().available && wasmStatus().available ? describe : describe.skip;

describeHere("the package in a project", () => {
  let project: Project;
  beforeAll(() => {
    project = new Project().withCode();
  });
  afterAll(() => project.remove());
  beforeEach(() => rmSync(join(project.folder, "node_modules", own), { recursive: true, force: true }));

  function node(args: readonly string[], env: object = {}) {
    const { status, stdout, stderr } = spawnSync(process.execPath, args, {
      cwd: project.folder,
      encoding: "utf8",
      timeout: patience(30_000),
      env: { ...process.env, LOCAL_ENTROPY_BACKEND: "", ...env },
    });
    expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
    return { stdout, stderr };
  }
  const command = (...args: readonly string[]) => node([project.command, ...args]);
  /** What `source` prints, where `backendOf` tells what "auto" comes to. */
  function script(source: string, env: object = {}) {
    const path = join(project.folder, "script.mjs");
    writeFileSync(
      path,
      `import { openBackend, train } from "local-entropy";
      export async function backendOf() {
        const inputs = Float32Array.from({ length: 384 }, (_, i) => Math.sin(i));
        const data = { train: { inputs, labels: new Uint8Array(64).fill(1), count: 64, width: 6, classes: 3 } };
        return (await train({ network: [6, 8, 3], data, updates: 5, threads: 2 }).result).backend;
      }
      ${source}`,
    );
    return JSON.parse(node([path], env).stdout);
  }
  const auto = (env: object = {}): BackendReport =>
    script("console.log(JSON.stringify(await backendOf()));", env);
  const named = (env: object = {}): string =>
    script(
      `console.log(JSON.stringify(await openBackend("native").then(({ name }) => name, ({ message }) => message)));`,
      env,
    );
  const doctorOfNative = () => {
    const { backends } = JSON.parse(command("doctor", "--json").stdout);
    return backends.find(({ name }: { name: string }) => name === "native");
  };
  const TRAIN = [
    "train",
    "--updates",
    "2",
    "--train-size",
    "100",
    "--no-report",
    "--overwrite",
    "--run",
    "run",
  ];

  test("with the platform's package: native, and nothing to tell of", () => {
    project.add(own, readFileSync(BUILT));
    expect(auto()).toMatchObject({ name: "native", declined: [{ name: "cuda" }] });
    expect(command(...TRAIN).stderr).not.toContain("Declined");
    expect(doctorOfNative().available).toBe(true);
  });

  test("two threads at once: each asks the question, and both are native", () => {
    project.add(own, readFileSync(BUILT));
    const names = script(`
      import { isMainThread, parentPort, Worker } from "node:worker_threads";
      if (!isMainThread) parentPort.postMessage((await backendOf()).name);
      else {
        const workers = [1, 2].map(() => new Worker(new URL(import.meta.url)));
        const names = workers.map((worker) => new Promise((resolve, reject) => worker.on("message", resolve).on("error", reject)));
        console.log(JSON.stringify(await Promise.all([...names, backendOf().then(({ name }) => name)])));
      }`);
    expect(names).toEqual(["native", "native", "native"]);
  });

  test("without it: wasm, one line on stderr, and all of it from doctor and where native was named", () => {
    const { name, declined } = auto();
    expect(name).toBe("wasm");
    expect(declined.map((one) => one.name)).toEqual(["cuda", "native"]);
    const lines = command(...TRAIN).stderr.split("\n");
    expect(lines.filter((line) => line.includes("native"))).toEqual([
      `Declined for wasm: native (${own} is not installed); \`local-entropy doctor\` says what to do`,
    ]);
    expect(command(...TRAIN, "--quiet").stderr).toBe("");
    const { available, detail } = doctorOfNative();
    expect([available, detail]).toEqual([false, declined[1].reason]);
    expect(detail).toMatch(/\n.*`npm install --include=optional --save-optional /);
    expect(named()).toBe(
      `Backend native cannot be used: ${declined[1].reason}\nThis machine has: wasm, reference`,
    );
  });

  test("one that computes something else: declined, and doctor shows why", () => {
    const binary = readFileSync(BUILT);
    const multiplier = Buffer.from([0x53, 0x1f, 0x51, 0xd2]);
    // On other processors the constant stands in pieces in the code.
    if (process.arch !== "x64") return;
    for (let at = binary.indexOf(multiplier); at >= 0; at = binary.indexOf(multiplier, at + 4))
      binary[at] ^= 4;
    project.add(own, binary);
    const { name, declined } = auto();
    expect(name).toBe("wasm");
    expect(declined[1].reason).toMatch(
      /answers a known question wrongly \(\w+\): its normals have other bits\n/,
    );
    expect(doctorOfNative()).toEqual({ name: "native", available: false, detail: declined[1].reason });
  });

  test("cut off: declined, where its first use would end the process", () => {
    project.add(own, readFileSync(BUILT).subarray(0, 100_000));
    const { name, declined } = auto();
    expect(name).toBe("wasm");
    expect(declined[1].reason).toContain(`${own} is damaged: it was cut off after 100000 bytes`);
  });

  test("one that loads and does not open: the next, and named an error with what there is", () => {
    project.add(own, readFileSync(BUILT));
    const env = { LOCAL_ENTROPY_INSTRUCTION_SET: "mmx" };
    const { name, declined } = auto(env);
    expect(name).toBe("wasm");
    expect(declined[1]).toEqual({
      name: "native",
      reason: expect.stringMatching(/^Expected one of .* "mmx"/),
    });
    expect(named(env)).toMatch(
      /^Backend native cannot be used: Expected .* "mmx"\. This machine has: wasm, /,
    );
  });
});
