/** The list of experiments, and the mathematics that they stand on, by closed forms. */
import { describe, expect, test } from "@jest/globals";
import { EXPERIMENTS } from "../../src/paper/experiments/index.ts";
import { PRINTED } from "../../src/paper/experiments/methods.ts";
import {
  divergence,
  gridAround,
  heat,
  localEntropy,
  logNormal,
  proximalPoint,
} from "../../src/paper/quadrature.ts";
import { distance, spread, standardError } from "../../src/paper/statistics.ts";
import { PITS, pitted, SURFACES } from "../../src/paper/surfaces.ts";
import { drops, fall, type TrainingResult } from "../../src/paper/training.ts";

describe("the list", () => {
  const ids = EXPERIMENTS.map(({ id }) => id);

  test("has every table, figure and theorem of the paper, each once", () => {
    const numbered = (name: string, count: number) =>
      Array.from({ length: count }, (_, i) => `${name}-${i + 1}`);
    const paper = [...numbered("table", 2), ...numbered("figure", 8), ...numbered("theorem", 4)];
    expect(ids).toEqual(
      expect.arrayContaining([...paper, "checks", "beyond", "claims", "explanations", "control"]),
    );
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("theorems, figures 1 to 3 and checks need no data; what needs a backend to train does", () => {
    const without = EXPERIMENTS.filter(({ mnist }) => !mnist).map(({ id }) => id);
    expect(without.sort()).toEqual(
      [
        "checks",
        "figure-1",
        "figure-2",
        "figure-3",
        "theorem-1",
        "theorem-2",
        "theorem-3",
        "theorem-4",
      ].sort(),
    );
    for (const { mnist, tasks } of EXPERIMENTS) {
      expect(tasks({ quick: true }).some(({ onBackend }) => onBackend)).toBe(mnist);
    }
  });

  test.each(EXPERIMENTS.map((experiment) => [experiment.id, experiment] as const))(
    "%s: options are JSON and quick is less",
    (_, { tasks, paper, title }) => {
      const [quick, full] = [tasks({ quick: true }), tasks({ quick: false })];
      for (const { options } of full) expect(JSON.parse(JSON.stringify(options))).toEqual(options);
      expect(quick.length).toBeLessThanOrEqual(full.length);
      expect(title.length).toBeGreaterThan(10);
      expect(paper.length).toBeGreaterThan(20);
    },
  );

  test("claims, figure 4 and explanations share the runs of Table 1", () => {
    const optionsOf = (id: string) =>
      EXPERIMENTS.find((experiment) => experiment.id === id)!
        .tasks({ quick: false })
        .map(({ options }) => JSON.stringify(options));
    const table = new Set(optionsOf("table-1"));
    expect(optionsOf("figure-4").every((options) => table.has(options))).toBe(true);
    expect(optionsOf("claims").filter((options) => table.has(options)).length).toBeGreaterThan(50);
    expect(optionsOf("explanations").filter((options) => table.has(options)).length).toBeGreaterThan(10);
  });

  test("printed rows are the paper's", () => {
    // Table 1, from print.
    expect(PRINTED.IS).toEqual([0.27, 0.45, 0.54, 0.57, 0.65]);
    expect(
      Object.values(PRINTED)
        .flat()
        .reduce((sum, value) => sum + value, 0),
    ).toBeCloseTo(14.08, 10);
  });
});

describe("quadrature", () => {
  const a = 1.6;
  const [parabola] = SURFACES;

  test.each([
    [0.3, 1.1],
    [0.05, -2],
  ])("of a parabola at τ = %d, x = %d is the closed form", (tau, x) => {
    const entropy = localEntropy(parabola, [x], tau);
    expect(entropy.energy).toBeCloseTo(Math.log(1 + a * tau) / 2 + (a * x * x) / (2 * (1 + a * tau)), 10);
    expect(entropy.mean[0]).toBeCloseTo(x / (1 + a * tau), 10);
    const smooth = heat(parabola, [x], tau);
    expect(smooth.energy).toBeCloseTo((a * (x * x + tau)) / 2, 10);
    expect(smooth.slope[0]).toBeCloseTo(a * x, 10);
    const { tau: own } = parabola;
    expect(proximalPoint(parabola, [x])[0]).toBeCloseTo(x / (1 + a * own), 8);
  });

  test("of a divergence of normals is the closed form", () => {
    const grid = gridAround([0.2], 9, 1201);
    const p = grid.points.map((point) => logNormal(point, [0.2], [0.5]));
    const q = grid.points.map((point) => logNormal(point, [-0.4], [0.9]));
    const exact = (Math.log(0.9 / 0.5) + 0.5 / 0.9 + 0.36 / 0.9 - 1) / 2;
    expect(divergence(grid, p, q)).toBeCloseTo(exact, 8);
    expect(divergence(grid, p, p)).toBe(0);
  });

  test("in two dimensions is twice one of one", () => {
    const flat = { value: ([x, y]: Float64Array) => 0.8 * (x * x + y * y) };
    const [one, two] = [localEntropy(parabola, [0.7], 0.2), localEntropy(flat, [0.7, 0.7], 0.2)];
    expect(two.energy).toBeCloseTo(2 * one.energy, 9);
    expect(two.mean).toEqual([expect.closeTo(one.mean[0], 9), expect.closeTo(one.mean[0], 9)]);
  });
});

test.each(SURFACES.map((surface) => [surface.name, surface] as const))(
  "%s: its gradient is its slope",
  (_, surface) => {
    for (const start of surface.starts) {
      const h = 1e-5;
      surface.gradient(Float64Array.from(start)).forEach((slope, c) => {
        const at = (offset: number) =>
          surface.value(Float64Array.from(start, (v, i) => (i === c ? v + offset : v)));
        expect((at(h) - at(-h)) / (2 * h)).toBeCloseTo(slope, 5);
      });
    }
  },
);

test("of figure 1's pits a sharp one is the lowest, and under F_τ the wide one", () => {
  const lowest = (value: (x: number[]) => number) =>
    PITS.reduce((best, pit) => (value([...pit.at]) < value([...best.at]) ? pit : best)).name;
  expect(lowest((x) => pitted(Float64Array.from(x)))).toBe("sharp A");
  expect(lowest((x) => localEntropy({ value: pitted }, x, 0.09).energy)).toBe("wide");
});

test("statistics", () => {
  expect(spread([0.5, 0.7])).toBe("0.600 ± 0.141");
  expect(spread([0.5], 1)).toBe("0.5");
  expect(standardError([1, 2, 3])).toBeCloseTo(1 / Math.sqrt(3), 12);
  expect(standardError([1])).toBe(Number.POSITIVE_INFINITY);
  expect(distance([1, 2], [4, 6])).toBeCloseTo(Math.sqrt(12.5), 12);
  const points = [0.1, 0.5, 0.4, 0.6, 0.3].map((accuracy, i) => ({ update: i, accuracy }));
  const run = { points } as unknown as TrainingResult;
  expect(drops(run)).toBe(0.5);
  expect(fall(run)).toBeCloseTo(0.1, 12);
  expect(drops(run, 2)).toBe(0.5);
});
