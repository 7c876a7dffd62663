/**
 * Numbers of `local-entropy paper --quick` that must not change unseen: the theorems', within the quadrature's error, and two
 * of Table 1, within what instruction sets differ by. A change of them is a change of results and belongs in CHANGELOG.md.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { whyNot } from "../../src/backends/registry.ts";
import { loadMnist } from "../../src/data/mnist.ts";
import type { Task } from "../../src/paper/experiment.ts";
import { EXPERIMENTS } from "../../src/paper/experiments/index.ts";
import type { Finished } from "../../src/paper/page.ts";
import { at, type TrainingResult } from "../../src/paper/training.ts";
import { describeAll } from "../support/everything.ts";
import { patience } from "../support/patience.ts";

const CHOSEN = ["theorem-1", "theorem-2", "theorem-3", "theorem-4", "figure-2", "figure-3", "checks"];

describeAll("paper --quick", () => {
  let directory: string;
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "local-entropy-paper-"));
    // The built command: under jest the quadratures take several times as long.
    const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
    const options = ["--quick", "--backend", "reference", "--out", directory];
    await promisify(execFile)(process.execPath, [main, "paper", ...CHOSEN, ...options]);
  }, patience(400_000));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  const finished = (id: string): Finished => JSON.parse(readFileSync(join(directory, `${id}.json`), "utf8"));
  /** A column of an experiment's first, or another, table, as numbers. */
  function column(id: string, index: number, table = 0): number[] {
    const tables = finished(id).shown.parts.filter((part) => part.kind === "table");
    return tables[table].rows.map((row) => Number.parseFloat(String(row[index])));
  }

  test.each([
    ["theorem-1", [2.358183, 1.109535, 3.747312, 0.523464, 0.890281, 3.682341, 2.660341]],
    ["theorem-3", [3.44, 1.592, 11.33604, 0.634506, 3.820994, 14.920883, 4.195976]],
  ])("%s: the minima, met at q_{x,τ} and by no trial", (id, minima) => {
    column(id, 2).forEach((value, i) => {
      expect(value).toBeCloseTo(minima[i], 5);
    });
    for (const value of column(id, 3)) expect(Math.abs(value)).toBeLessThan(1e-7);
    for (const value of column(id, 4)) expect(value).toBeGreaterThan(1e-5);
    expect(column(id, 5)).toEqual(minima.map(() => 0));
  });

  test.each([
    ["theorem-2", [0.196, 0.196, 0.4894, -0.1764, -0.1764, 0.4716, 0.4716]],
    ["theorem-4", [0.2403, 0.2401, 0.5529, -0.1267, -0.1313, 0.6932, 0.6999]],
  ])(
    "%s: energies fall to these along exact iterates; of few samples' steps a third or more rises",
    (id, ends) => {
      column(id, 3).forEach((value, i) => {
        expect(value).toBeCloseTo(ends[i], 3);
      });
      expect(column(id, 4)).toEqual(ends.map(() => 0));
      for (const spare of column(id, 5)) expect(spare).toBeGreaterThan(-1e-9);
      const [few, many] = [column(id, 1, 1), column(id, 6, 1)];
      few.forEach((rises, i) => {
        expect(rises).toBeGreaterThan(33);
        expect(many[i]).toBeLessThan(rises);
      });
    },
  );

  test("figures 2 and 3: the blur leaves two minima, mean seeking finds q's mean", () => {
    expect(column("figure-2", 1)).toEqual([77, 2, 2]);
    expect(column("figure-3", 2)).toEqual([-0.35, -1.55, 0.05, -0.35, -1.6, 1.7]);
  });

  test("checks: eq. 12 holds, η ≤ 2τ never rises, η = 16τ does", () => {
    for (const error of column("checks", 2)) expect(error).toBeLessThan(1e-6);
    for (const index of [2, 3, 4, 5]) expect(Math.max(...column("checks", index, 1))).toBe(0);
    expect(Math.max(...column("checks", 8, 1))).toBeGreaterThan(10);
  });
});

describeAll("table-1 --quick, seed 1, after 100 updates", () => {
  const expectedAccuracy: Record<string, number> = {
    "SGD, seed 1": 0.7021,
    "IS, τ a variance, seed 1": 0.5422,
  };
  const tasks = EXPERIMENTS.find(({ id }) => id === "table-1")!.tasks({
    quick: true,
  }) as Task<TrainingResult>[];
  const unavailable = whyNot("native") !== null;

  (unavailable ? test.skip : test).each(Object.entries(expectedAccuracy))(
    "%s",
    async (name, accuracy) => {
      const data = await loadMnist();
      const task = tasks.find((one) => one.name === name)!;
      const found = await task.compute({ backend: "native", threads: 1, data: async () => data });
      expect(Math.abs(at(found, 100).accuracy - accuracy)).toBeLessThan(0.005);
    },
    patience(60_000),
  );
});
