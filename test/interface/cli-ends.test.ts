/**
 * How runs of the command end that something happens to: what was trained is saved, and the command says where.
 * test/reliability/disk.mjs has full and read-only disks, kills.mjs SIGKILL, folders.mjs races.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, expect, test } from "@jest/globals";
import { load } from "../../src/runs/checkpoint.ts";
import { readRunFile } from "../../src/runs/folder.ts";
import { readMetrics } from "../../src/runs/metrics.ts";
import { integers } from "../support/fixtures.ts";
import { idx } from "../support/idx-files.ts";

const MAIN = resolve(import.meta.dirname, "..", "..", "dist", "cli", "main.js");
const directory = mkdtempSync(join(tmpdir(), "cli-ends-"));
afterAll(() => rmSync(directory, { recursive: true }));
mkdirSync(join(directory, "data"));
mkdirSync(join(directory, "tmp"));
for (const [split, count] of [
  ["train", 200],
  ["t10k", 50],
] as const) {
  const pixels = Uint8Array.from(integers(count, count * 16, 256));
  const labels = Uint8Array.from(integers(count + 1, count, 10));
  writeFileSync(join(directory, "data", `${split}-images-idx3-ubyte`), idx([count, 4, 4], pixels));
  writeFileSync(join(directory, "data", `${split}-labels-idx1-ubyte`), idx([count], labels));
}

const UPDATES = 500;
const SMALL = ["train", "--data", "data", "--network", "16-8-10", "--backend", "reference", "--no-report"];
SMALL.push("--samples", "6", "--batch-size", "4", "--updates", String(UPDATES));
SMALL.push("--record-every", "10", "--evaluate-every", "50");

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function begin(...args: string[]): { child: ChildProcessWithoutNullStreams; outcome: Promise<Outcome> } {
  const env = { ...process.env, TMPDIR: join(directory, "tmp") };
  const child = spawn(process.execPath, [MAIN, ...args], { cwd: directory, env });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (data) => {
    stdout += data;
  });
  child.stderr.on("data", (data) => {
    stderr += data;
  });
  const outcome = new Promise<Outcome>((done) => child.on("close", (code) => done({ code, stdout, stderr })));
  return { child, outcome };
}

/** Waits until a run has told so many records. */
async function hearing(folder: string, count: number, child: ChildProcessWithoutNullStreams) {
  while (child.exitCode === null && readMetrics(folder).length < count) await delay(5);
}

test("a run that diverges leaves its last good state, and says so", async () => {
  const folder = join(directory, "diverged");
  const rate = [
    "--objective",
    "loss",
    "--optimizer",
    "adam",
    "--weight-decay",
    "1",
    "--rate",
    "reversed:annealed:1e35,1",
  ];
  const flags = SMALL.filter((flag) => flag !== "--samples" && flag !== "6");
  const linear = flags.map((flag) => ({ "16-8-10": "16-10", reference: "auto" })[flag] ?? flag); // in float32, if there is
  const { code, stdout, stderr } = await begin(...linear, ...rate, "--run", "diverged").outcome;
  expect([code, stdout]).toEqual([1, ""]);
  const { resume } = await load(folder);
  expect(stderr).toContain(`The last good state, after ${resume.update} updates, is in diverged\n`);
  expect(stderr).toMatch(/local-entropy: .* update \d+: the run diverged\. Try a smaller rate\n/);
  expect(resume.update).toBeGreaterThan(0);
  expect(readMetrics(folder).length).toBeGreaterThanOrEqual(resume.update / 10);
});

test("nobody who hears it is no reason to end a run", async () => {
  const { child, outcome } = begin(...SMALL, "--run", "unheard");
  await hearing(join(directory, "unheard"), 3, child);
  child.stdout.destroy();
  child.stderr.destroy();
  expect((await outcome).code).toBe(0);
  expect((await load(join(directory, "unheard"))).resume.update).toBe(UPDATES);
});

test("a folder that vanishes is made again, and the run in it can be gone on with", async () => {
  const folder = join(directory, "vanished");
  const { child, outcome } = begin(...SMALL, "--run", "vanished");
  await hearing(folder, 5, child);
  renameSync(folder, join(directory, "away"));
  const { code, stderr } = await outcome;
  expect([code, stderr]).toEqual([0, expect.not.stringMatching(/^\s+at /m)]);
  expect(await readRunFile(folder)).toMatchObject({
    completed: true,
    command: { samples: "6" },
    started: (await readRunFile(join(directory, "away")))?.started,
  });
  expect((await load(folder)).resume.update).toBe(UPDATES);
});

test("what cannot be written into the folder goes elsewhere, and says so once before that", async () => {
  const folder = join(directory, "blocked");
  const { child, outcome } = begin(...SMALL, "--run", "blocked", "--json");
  await hearing(folder, 5, child);
  renameSync(folder, join(directory, "blocked-away"));
  writeFileSync(folder, "a file in its place");
  const { code, stdout, stderr } = await outcome;
  expect(code).toBe(1);
  expect(stderr.match(/The run goes on, and tries again with the next checkpoint/g)).toHaveLength(1);
  expect(stderr.match(/The run goes on, and tries again with the next record/g)).toHaveLength(1);
  const [, place] =
    /a part of this path is a file\..* The run was saved into (\S+) instead\n/.exec(stderr) ?? [];
  expect(JSON.parse(stdout)).toMatchObject({ completed: true, directory: place });
  expect((await load(place)).resume.update).toBe(UPDATES);
  expect(await readRunFile(place)).toMatchObject({ command: { samples: "6" } });
  expect(readFileSync(folder, "utf8")).toBe("a file in its place");
});

test("a run that is under way is neither replaced nor gone on with", async () => {
  const folder = join(directory, "busy");
  const { child, outcome } = begin(...SMALL.with(SMALL.indexOf(String(UPDATES)), "100000"), "--run", "busy");
  await hearing(folder, 3, child);
  for (const args of [
    [...SMALL, "--run", "busy"],
    [...SMALL, "--run", "busy", "--overwrite"],
    ["train", "--resume", "busy"],
  ]) {
    const { code, stderr } = await begin(...args).outcome;
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^local-entropy: The folder busy is not free: a run is under way in this folder \(process \d+/,
    );
  }
  child.kill("SIGINT");
  expect((await outcome).code).toBe(130);
  expect(existsSync(join(folder, "checkpoint.safetensors"))).toBe(true);
});
