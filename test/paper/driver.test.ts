/**
 * The driver of `local-entropy paper`: results are kept at once and never computed twice, what lacks MNIST says so, the
 * folder has data, plots and a report, and wrong names and backends are refused.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { whyNot } from "../../src/backends/registry.ts";
import { paperCommand } from "../../src/cli/paper.ts";
import { UsageError } from "../../src/cli/values.ts";
import { loadMnist } from "../../src/data/mnist.ts";
import { BackendError, CheckpointError } from "../../src/errors.ts";
import type { Data, Dataset } from "../../src/options/types.ts";
import { curves } from "../../src/paper/curves.ts";
import { type PaperRun, runPaper } from "../../src/paper/driver.ts";
import { type Experiment, here, type Task } from "../../src/paper/experiment.ts";
import { Store } from "../../src/paper/store.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "local-entropy-paper-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Rows of two classes that a line separates. */
function rows(count: number): Dataset {
  const inputs = Float32Array.from({ length: 3 * count }, (_, i) => Math.sin(7 * i + (i % 3)));
  const labels = Uint8Array.from({ length: count }, (_, b) => (inputs[3 * b] > inputs[3 * b + 1] ? 1 : 0));
  return { inputs, labels, count, width: 3, classes: 2 };
}
const data = async (): Promise<Data> => ({ train: rows(60), test: rows(40) });

/** An experiment as a reader would add one. */
const added = curves({
  id: "added",
  title: "An experiment of ten lines",
  paper: "Nothing <that> it says.",
  series: {
    "slow, it says": {
      network: [3, 4, 2],
      objective: { kind: "loss" },
      optimizer: { kind: "gradient-descent", rate: 0.01 },
      updates: 6,
    },
    fast: {
      network: [3, 4, 2],
      objective: { kind: "loss" },
      optimizer: { kind: "gradient-descent", rate: 1 },
      updates: 6,
    },
  },
  seeds: 2,
  evaluateEvery: 2,
});

const base = {
  scale: { quick: false },
  backend: "reference",
  tell: () => {},
  data,
} as const satisfies Partial<PaperRun>;
const run = (experiments: readonly Experiment[], more: Partial<PaperRun> = {}) =>
  runPaper({ ...base, all: experiments, chosen: experiments, directory, ...more });

/** An experiment of numbered computations, which counts those that it makes; one of them may fail. */
function counted(failing = Number.NaN) {
  const made: number[] = [];
  const tasks = [1, 2, 3].map((number) =>
    here(`number ${number}`, { number }, () => {
      if (number === failing) throw new Error("stopped here");
      made.push(number);
      return number * number;
    }),
  );
  const experiment: Experiment = {
    ...{ id: "counted", title: "Counted", paper: "", mnist: false, tasks: () => tasks },
    show: (_scale, results) => ({ parts: [], rows: tasks.map((task) => ({ square: results(task) })) }),
  };
  return { experiment, made };
}

describe("results", () => {
  test("are kept at once: a command that was stopped goes on where it was", async () => {
    const first = counted(3);
    await expect(run([first.experiment])).rejects.toThrow("stopped here");
    expect(first.made).toEqual([1, 2]);
    const second = counted();
    await run([second.experiment]);
    expect(second.made).toEqual([3]);
    expect(readFileSync(join(directory, "counted.csv"), "utf8")).toBe("square\n1\n4\n9\n");
  });

  test("that are no result any more are computed again", async () => {
    await run([counted().experiment]);
    const folder = join(directory, "runs");
    const file = readdirSync(folder).find((name) =>
      readFileSync(join(folder, name), "utf8").includes("number 2"),
    );
    writeFileSync(join(folder, file!), '{"name": "number 2", "res');
    const again = counted();
    await run([again.experiment]);
    expect(again.made).toEqual([2]);
  });

  test("of two experiments with the same run are one; another seed or setting is another", async () => {
    await run([added]);
    const settings = { network: [3, 4, 2], objective: { kind: "loss" }, updates: 6 } as const;
    const again = { ...settings, optimizer: { kind: "gradient-descent", rate: 1 } } as const;
    await run([curves({ ...OTHER, series: { "called otherwise": again } })]);
    expect(readdirSync(join(directory, "runs"))).toHaveLength(4);
    const { network, ...rest } = { network: [3, 5, 2], objective: { kind: "loss" }, updates: 6 } as const;
    const optimizer = { kind: "gradient-descent", rate: 1 } as const;
    await run([curves({ ...OTHER, series: { fast: { network, ...rest, optimizer } } })]);
    expect(readdirSync(join(directory, "runs"))).toHaveLength(6);
  });
  const OTHER = { id: "other", title: "", paper: "", seeds: 2, evaluateEvery: 2 };

  test("of a backend or an instruction set are not taken for another's; what needs none is the same on all", () => {
    const keys = (task: Task) =>
      ["native avx512", "native avx2", "wasm simd"].map((backend) => new Store(directory, backend).key(task));
    const [trained] = added.tasks({ quick: true });
    expect(new Set(keys(trained)).size).toBe(3);
    const [integral] = counted().experiment.tasks({ quick: true });
    expect(new Set(keys(integral)).size).toBe(1);
  });
});

describe("the folder", () => {
  test("holds data, plots and a report that needs nothing else", async () => {
    const { report, missing } = await run([added]);
    expect(missing).toEqual([]);
    const files = readdirSync(directory).sort();
    expect(files).toEqual(["added-1.svg", "added.csv", "added.json", "report.html", "runs"]);
    const csv = readFileSync(join(directory, "added.csv"), "utf8").trim().split("\n");
    expect(csv[0]).toBe("series,seed,update,accuracy,part,loss,weightsShare,seconds,backend,form");
    // Two series, two seeds, updates 2, 4 and 6; a comma is quoted.
    expect(csv).toHaveLength(1 + 2 * 2 * 3);
    expect(csv[1]).toMatch(/^"slow, it says",1,2,0\.\d+,,/);
    const json = JSON.parse(readFileSync(join(directory, "added.json"), "utf8"));
    expect(json.tasks).toHaveLength(4);
    expect(json.tasks[3].options.phases[0].optimizer).toEqual({ kind: "gradient-descent", rate: 1 });
    expect(json.tasks[3].backend).toBe("reference float64");
    const page = readFileSync(report, "utf8");
    expect(page).toContain("An experiment of ten lines");
    expect(page).toContain("Nothing &#60;that&#62; it says.");
    expect(page).not.toMatch(/<script|https?:\/\/(?!www\.w3\.org)|src=/);
    expect(page).toContain("prefers-color-scheme: dark");
    expect(readFileSync(join(directory, "added-1.svg"), "utf8")).toMatch(
      /^<svg[^>]*><style>:root\{--series-1:/,
    );
  });

  test("keeps in its report what another command has put there", async () => {
    const { experiment } = counted();
    await run([added]);
    const { report } = await runPaper({ ...base, all: [added, experiment], chosen: [experiment], directory });
    const page = readFileSync(report, "utf8");
    expect(page).toContain('id="added"');
    expect(page).toContain('id="counted"');
  });

  test("with --quick has a fifth of the seeds", async () => {
    await run([added], { scale: { quick: true } });
    expect(readdirSync(join(directory, "runs"))).toHaveLength(2);
    expect(readFileSync(join(directory, "report.html"), "utf8")).toContain("--quick");
  });

  test("that cannot be made is told with its path", async () => {
    writeFileSync(join(directory, "file"), "");
    const refused = run([added], { directory: join(directory, "file", "out") });
    await expect(refused).rejects.toThrow(CheckpointError);
  });
});

test("without MNIST, what needs it says what to install, and the rest runs", async () => {
  const { experiment } = counted();
  const absent = () => loadMnist({ directory: join(directory, "nowhere") });
  const { missing } = await run([added, experiment], { data: absent });
  expect(missing).toEqual([{ id: "added", reason: expect.stringContaining("train-images-idx3-ubyte") }]);
  expect(readdirSync(directory)).toContain("counted.csv");
  expect(readdirSync(directory)).not.toContain("added.csv");
});

describe("the command refuses", () => {
  test("a name that it does not know, with those that it does", async () => {
    const refused = paperCommand(["table-1", "table-3"], { out: directory });
    await expect(refused).rejects.toThrow(UsageError);
    await expect(paperCommand(["table-3"], {})).rejects.toThrow(
      /Expected some of .*table-2.*figure-8.*theorem-4.*but received "table-3"/,
    );
  });

  test("auto: what is compared must not depend on what is there", async () => {
    await expect(paperCommand(["checks"], { backend: "auto", out: directory })).rejects.toThrow(
      /for --backend but received "auto"/,
    );
  });

  test("a backend that is absent here", async () => {
    if (whyNot("cuda") === null) return;
    await expect(paperCommand(["checks"], { backend: "cuda", out: directory })).rejects.toThrow(BackendError);
    expect(readdirSync(directory)).toEqual([]);
  });
});
