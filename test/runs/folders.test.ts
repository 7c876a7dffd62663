/**
 * Folders: two runs never share one, whoever asks first and from wherever; saves side by side succeed; what a killed
 * process left shuts nobody out. Child processes and worker threads use `lib`.
 */
import { type ChildProcess, spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Worker } from "node:worker_threads";
import { afterAll, describe, expect, test } from "@jest/globals";
import type { BackendReport } from "../../src/run.ts";
import { type Checkpoint, load, save } from "../../src/runs/checkpoint.ts";
import { claimFolder, claimNewFolder, clearFolder } from "../../src/runs/claim.ts";
import { makeFolder, writeAtomically } from "../../src/runs/files.ts";
import { type RunReport, readRunFile } from "../../src/runs/folder.ts";

const parent = mkdtempSync(join(tmpdir(), "folders-"));
afterAll(() => rmSync(parent, { recursive: true }));
let made = 0;
const fresh = () => join(parent, `folder-${made++}`);

const backend: BackendReport = {
  name: "native",
  instructionSet: "avx2",
  threads: 1,
  form: "direct",
  declined: [],
};
const report: RunReport = {
  options: {},
  backend,
  updates: 1,
  seconds: 1,
  completed: false,
  testAccuracy: null,
  validationAccuracy: null,
};
/** A state that belongs to a run of its own. */
const state = (number: number): Checkpoint => ({
  network: { layers: [2, 2], activation: "relu" },
  resume: {
    update: number,
    fingerprint: `run ${number}`,
    parameters: new Float32Array(6).fill(number),
    moments: [],
    chain: null,
    average: null,
    pending: [],
    backend: "native",
    instructionSet: "avx2",
    seconds: 0,
  },
});
const reportOf = (number: number) => ({ ...report, updates: number });

/** The files of a folder belong to one save. */
async function expectOneSave(folder: string) {
  const { resume } = await load(folder);
  expect(await readRunFile(folder)).toMatchObject({
    updates: resume.update,
    fingerprint: `run ${resume.update}`,
  });
  expect(readdirSync(folder).sort()).toEqual(["checkpoint.safetensors", "run.json"]);
}

const BUILT = resolve(import.meta.dirname, "..", "..", "lib", "runs");

/** A process that claims a folder, says so, and stays until it is killed. */
async function holder(folder: string): Promise<ChildProcess> {
  const source = `
    const { claimFolder } = await import(${JSON.stringify(join(BUILT, "claim.js"))});
    await claimFolder(${JSON.stringify(folder)}, "resume");
    console.log("held");
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", source], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise((hear) => child.stdout?.once("data", hear));
  return child;
}

const gone = (child: ChildProcess) => new Promise((hear) => child.once("exit", hear));

describe("saves side by side", () => {
  test("into new folders of a new parent", async () => {
    for (let round = 0; round < 20; round++) {
      const above = fresh();
      await Promise.all([1, 2, 3, 4].map((i) => save(join(above, "a", `b${i}`), state(i), reportOf(i))));
      for (const i of [1, 2, 3, 4]) await expectOneSave(join(above, "a", `b${i}`));
    }
  });

  test("into one folder: each is whole, the last one stays", async () => {
    const folder = fresh();
    await Promise.all([...Array(12).keys()].map((i) => save(folder, state(i), reportOf(i))));
    await expectOneSave(folder);
    expect((await load(folder)).resume.update).toBe(11);
  });

  test("into one folder from threads of one process", async () => {
    const folder = fresh();
    const source = `
      import(${JSON.stringify(join(BUILT, "checkpoint.js"))}).then(async ({ save }) => {
        const { number, folder, state, report } = require("node:worker_threads").workerData;
        for (let i = 0; i < 5; i++) await save(folder, state, report);
      });`;
    const threads = [1, 2, 3].map((i) => {
      const workerData = { folder, state: state(i), report: reportOf(i) };
      const thread = new Worker(source, { eval: true, workerData });
      return new Promise((done, failed) => thread.once("exit", done).once("error", failed));
    });
    await Promise.all(threads);
    await expectOneSave(folder);
  });

  test("two files of one name at once do not meet beside their place", async () => {
    const folder = fresh();
    mkdirSync(folder);
    const texts = [...Array(20).keys()].map(String);
    await Promise.all(texts.map((text) => writeAtomically(join(folder, "file"), text)));
    expect(texts).toContain(readFileSync(join(folder, "file"), "utf8"));
    expect(readdirSync(folder)).toEqual(["file"]);
  });

  test("one folder is made by many at once, and a file in the way is an error", async () => {
    const folder = join(fresh(), "a", "b", "c");
    await Promise.all([...Array(20).keys()].map(() => makeFolder(folder)));
    expect(existsSync(folder)).toBe(true);
    writeFileSync(join(folder, "file"), "");
    await expect(makeFolder(join(folder, "file"))).rejects.toMatchObject({ code: "EEXIST" });
    await expect(makeFolder(join(folder, "file", "below"))).rejects.toMatchObject({ code: "ENOTDIR" });
  });
});

describe("a run's folder", () => {
  test("is one run's while it is under way, and the next one's after it", async () => {
    const folder = fresh();
    const claimed = await claimFolder(folder, "new");
    for (const claim of ["new", "overwrite", "resume"] as const) {
      await expect(claimFolder(folder, claim)).rejects.toMatchObject({
        code: "ERR_CHECKPOINT",
        message: expect.stringMatching(
          /is not free: a run is under way in this folder \(process \d+; if that/,
        ),
      });
    }
    await save(folder, state(1), reportOf(1)); // its own
    await claimed.release();
    await expectOneSave(folder);
    await expect(claimFolder(folder, "new")).rejects.toThrow(/holds a run already \(run\.json\)/);
    await (await claimFolder(folder, "overwrite")).release();
  });

  test("of several who want it at once one has it", async () => {
    for (let round = 0; round < 5; round++) {
      const folder = fresh();
      const outcomes = await Promise.allSettled([...Array(4).keys()].map(() => claimFolder(folder, "new")));
      const winners = outcomes.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
      expect(winners).toHaveLength(1);
      await winners[0].release();
      expect(readdirSync(folder)).toEqual([]);
    }
  });

  test("of another process is not saved into, and free once that was killed", async () => {
    const folder = fresh();
    const child = await holder(folder);
    await expect(save(folder, state(1), reportOf(1))).rejects.toMatchObject({
      code: "ERR_CHECKPOINT",
      message: expect.stringMatching(
        /could not be written: a run is under way in this folder \(process .*\)\. Wait until it has ended, or name/,
      ),
    });
    await expect(claimFolder(folder, "resume")).rejects.toThrow(/is not free/);
    const ended = gone(child);
    child.kill("SIGKILL");
    await ended;
    const claimed = await claimFolder(folder, "new");
    await claimed.giveBack();
    expect(readdirSync(folder)).toEqual([]); // made by another one, so it stays
  });

  test("without a name is a new one for each", async () => {
    const before = process.cwd();
    process.chdir(parent);
    try {
      const claimed = await Promise.all([...Array(8).keys()].map(() => claimNewFolder()));
      expect(new Set(claimed.map(({ directory }) => directory)).size).toBe(8);
      for (const each of claimed) await each.giveBack();
      expect(readdirSync("runs")).toEqual([]);
    } finally {
      process.chdir(before);
    }
  });

  test("that was removed meanwhile is made and held again", async () => {
    const folder = fresh();
    const claimed = await claimFolder(folder, "new");
    rmSync(folder, { recursive: true });
    await save(folder, state(1), reportOf(1));
    await expect(claimFolder(folder, "overwrite")).rejects.toThrow(/is not free/);
    await claimed.release();
    await expectOneSave(folder);
  });

  test("that was removed and taken by another run is that one's", async () => {
    const folder = fresh();
    const claimed = await claimFolder(folder, "new");
    rmSync(folder, { recursive: true });
    const child = await holder(folder);
    await expect(save(folder, state(1), reportOf(1))).rejects.toThrow(/a run is under way in this folder/);
    await claimed.release();
    const ended = gone(child);
    child.kill("SIGKILL");
    await ended;
  });

  test("without run.json is no run to replace, and clearing leaves what is not a run's", async () => {
    const folder = fresh();
    mkdirSync(folder);
    writeFileSync(join(folder, "report.html"), "mine");
    await expect(claimFolder(folder, "overwrite")).rejects.toThrow(
      /holds report\.html but no run\.json, so this is no run to replace/,
    );
    await save(folder, state(1), reportOf(1));
    writeFileSync(join(folder, "notes.txt"), "mine");
    const claimed = await claimFolder(folder, "overwrite");
    await clearFolder(folder);
    await claimed.release();
    expect(readdirSync(folder)).toEqual(["notes.txt"]);
  });

  test("is rid of what a killed process left beside its files", async () => {
    const folder = fresh();
    mkdirSync(folder);
    const left = ["checkpoint.safetensors.4711-3.tmp", "run.json.0123456789abcdef.tmp"];
    for (const name of [...left, "notes.tmp"]) writeFileSync(join(folder, name), "");
    await save(folder, state(1), reportOf(1));
    expect(readdirSync(folder).sort()).toEqual(["checkpoint.safetensors", "notes.tmp", "run.json"]);
  });
});

describe("what is there stays", () => {
  test("when one of the two files cannot be replaced", async () => {
    const folder = fresh();
    await save(folder, state(1), reportOf(1));
    const before = readFileSync(join(folder, "checkpoint.safetensors"));
    rmSync(join(folder, "run.json"));
    mkdirSync(join(folder, "run.json"));
    await expect(save(folder, state(2), reportOf(2))).rejects.toMatchObject({ code: "ERR_CHECKPOINT" });
    expect(readFileSync(join(folder, "checkpoint.safetensors"))).toEqual(before);
    expect(readdirSync(folder).sort()).toEqual(["checkpoint.safetensors", "run.json"]);
  });

  test.each([[3], [""], [null], ["a\0b"]])(
    "when the directory is %j, which no path is",
    async (directory) => {
      await expect(save(directory as string, state(1), report)).rejects.toMatchObject({
        code: "ERR_OPTION",
        message: expect.stringContaining("Expected a directory's path for save.directory but received"),
      });
      await expect(load(directory as string)).rejects.toMatchObject({ code: "ERR_OPTION" });
    },
  );
});
