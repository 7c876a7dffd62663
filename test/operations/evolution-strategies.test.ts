/**
 * Evolution strategies: the gradient of the heat loss in every coupling, against its definition and brute force.
 *
 * Statistical tests are seeded; each states the chance that right code would fail it.
 */
import { describe, expect, test } from "@jest/globals";
import type { Coupling, Loss } from "../../src/backends/backend.ts";
import type { Activation } from "../../src/network.ts";
import { finish } from "../../src/reference/machine/work.ts";
import { type NetworkPoint, networkLoss } from "../../src/reference/network/dense.ts";
import { keyOf } from "../../src/reference/random/streams.ts";
import { evolutionStrategies } from "../../src/reference/sampling/evolution-strategies.ts";
import { rowSplit } from "../../src/reference/sampling/row-split.ts";
import { noiseForm } from "../../src/reference/sampling/sampled-point.ts";
import { describeAll } from "../support/everything.ts";
import {
  type BatchKind,
  bruteForce,
  CROSS_ENTROPY,
  LARGEST_Z,
  largestZ,
  momentsOf,
  tinyPoint,
  zeroOne,
} from "../support/tiny-network.ts";

const KEY = keyOf(41);
const walsh = (blocks: number): Coupling => ({ kind: "walsh", blocks });
const antithetic = (samples: number): Coupling => ({ kind: "antithetic", samples });
const independent = (samples: number, centred = true): Coupling => ({
  kind: "independent",
  samples,
  complement: "marginalize",
  centred,
});

interface Form {
  readonly coupling: Coupling;
  readonly rowwise: boolean;
  readonly tau: number;
  readonly projected?: boolean;
}

function estimate(point: NetworkPoint, form: Form, update: number, noiseScale = Math.sqrt(form.tau)) {
  const { coupling, rowwise, tau, projected = true } = form;
  return finish(
    evolutionStrategies(point, { key: KEY, update, projected }, { coupling, rowwise, tau, noiseScale }),
  );
}

const sum = (values: Iterable<number>) => [...values].reduce((total, value) => total + value, 0);
const largestDifference = (a: Float64Array, b: Float64Array) =>
  Math.max(...a.map((v, i) => Math.abs(v - b[i])));

describe("by its definition", () => {
  test.each([
    { coupling: independent(5), factors: (f: number[]) => f.map((v) => (v - sum(f) / 5) / 4) },
    { coupling: independent(5, false), factors: (f: number[]) => f.map((v) => v / 5) },
    { coupling: antithetic(6), factors: (f: number[]) => [0, 2, 4].map((j) => (f[j] - f[j + 1]) / 6) },
  ])("samples, not by rows: %j", ({ coupling, factors }) => {
    const point = tinyPoint([6, 4, 3], "repeated");
    const [tau, s] = [0.3, 0.4];
    const form = noiseForm(point, { key: KEY, update: 2, projected: true });
    const f = networkLoss(point.network, point.loss, point.batches[0]);
    const signs = coupling.kind === "antithetic" ? [1, -1] : [1];
    const units = [0, 1, 2, 3, 4].slice(0, coupling.kind === "antithetic" ? 3 : 5);
    const z = units.map((unit) => form.lift(form.normals(unit)));
    const losses = z.flatMap((noise) =>
      signs.map((e) => f.value(point.x.map((x, i) => x + e * s * noise[i]))),
    );
    const expected = point.x.map((_, i) => sum(factors(losses).map((factor, u) => (factor * z[u][i]) / s)));
    const result = estimate(point, { coupling, rowwise: false, tau }, 2, s);
    expect(largestDifference(result.gradient, expected)).toBeLessThan(1e-12);
    expect(result.loss).toBeCloseTo(sum(losses) / losses.length, 12);
    expect(result.samples).toBe(losses.length);
    // Spread between units: the units' estimates are their factor · Z, times their number.
    const own = z.map((noise, u) => noise.map((value) => (factors(losses)[u] * z.length * value) / s));
    expect(result.standardError).toBeCloseTo(Math.sqrt(sum(momentsOf(own).squaredError)), 10);
  });

  test("K = 9 blocks by rows: each group of the cross-fit counts by its blocks", () => {
    const point = tinyPoint([5, 3], "distinct");
    const form = noiseForm(point, { key: KEY, update: 2, projected: true });
    const split = rowSplit(point, form, walsh(9), Math.sqrt(0.1));
    const [first, second] = [split.firstOrder([0, 1, 2, 3]), split.firstOrder([4, 5, 6, 7, 8])];
    const expected = point.x.map((_, i) => (4 * first.together[i] + 5 * second.together[i]) / 9);
    const result = estimate(point, { coupling: walsh(9), rowwise: true, tau: 0.1 }, 2);
    expect(largestDifference(result.gradient, expected)).toBeLessThan(1e-13);
    expect(result.samples).toBe(2 * 8 * 9);
    const squaredError = momentsOf([...first.parts, ...second.parts]).squaredError;
    expect(result.standardError).toBeCloseTo(Math.sqrt(sum(squaredError)), 12);
    expect(estimate(point, { coupling: walsh(1), rowwise: true, tau: 0.1 }, 2).standardError).toBeNull();
  });
});

interface Case extends Form {
  readonly layers: number[];
  readonly kind: BatchKind;
  readonly activation?: Activation;
}

const CASES: Case[] = [
  { layers: [5, 3], kind: "repeated", coupling: walsh(2), rowwise: true, tau: 1e-3 },
  { layers: [5, 3], kind: "repeated", coupling: walsh(2), rowwise: true, tau: 1e-2 },
  { layers: [5, 3], kind: "repeated", coupling: walsh(4), rowwise: true, tau: 0.3 },
  { layers: [6, 3], kind: "distinct", coupling: walsh(1), rowwise: true, tau: 0.3 },
  { layers: [5, 3], kind: "tall", coupling: walsh(2), rowwise: true, tau: 0.3, projected: false },
  { layers: [5, 3], kind: "dependent", coupling: walsh(2), rowwise: true, tau: 0.1, activation: "tanh" },
  { layers: [3], kind: "dependent", coupling: walsh(3), rowwise: true, tau: 0.3 },
  { layers: [6, 3], kind: "repeated", coupling: walsh(2), rowwise: false, tau: 0.1 },
  { layers: [4, 4, 3], kind: "repeated", coupling: antithetic(16), rowwise: true, tau: 0.1 },
  { layers: [4, 4, 3], kind: "repeated", coupling: independent(16), rowwise: true, tau: 0.1 },
  { layers: [4, 3], kind: "repeated", coupling: antithetic(16), rowwise: false, tau: 0.1 },
  { layers: [4, 3], kind: "repeated", coupling: independent(16), rowwise: false, tau: 0.1 },
];

// At most 70 |z| a case at 1.3e-7 each: under 2e-4 for these and the three below together.
describeAll("the heat gradient is unbiased", () => {
  test.each(CASES)("%j", (form) => {
    const point = tinyPoint(form.layers, form.kind, form.activation);
    const truth = bruteForce(point, Math.sqrt(form.tau), 100_000);
    const gradients = Array.from({ length: 400 }, (_, update) => estimate(point, form, update).gradient);
    expect(largestZ(point, gradients, truth.heat)).toBeLessThan(LARGEST_Z);
  });

  // Without a gradient brute force is Stein's identity itself, so its error is larger: it takes more samples.
  const ROUGH: { activation: Activation; loss: Loss; rowwise: boolean }[] = [
    { activation: "step", loss: CROSS_ENTROPY, rowwise: true },
    { activation: "relu", loss: zeroOne(3), rowwise: true },
    { activation: "step", loss: zeroOne(3), rowwise: false },
  ];
  test.each(ROUGH)("$activation with $loss.kind, rowwise $rowwise", ({ activation, loss, rowwise }) => {
    const point = tinyPoint([5, 3], "repeated", activation, loss);
    const truth = bruteForce(point, Math.sqrt(0.3), 400_000);
    const form = { coupling: walsh(2), rowwise, tau: 0.3 };
    const gradients = Array.from({ length: 400 }, (_, update) => estimate(point, form, update).gradient);
    expect(largestZ(point, gradients, truth.heat)).toBeLessThan(LARGEST_Z);
  });
});

// The control has mean zero whatever its slopes, so only the variance shows that they are right. Measured over 300
// updates; a quarter is far from it, and the ratio's own error below a tenth.
test("cross-fitting takes most of the variance at small τ, in both layers", () => {
  const point = tinyPoint([5, 3], "distinct");
  const tau = 1e-4;
  const [together, alone]: Float64Array[][] = [[], []];
  for (let update = 0; update < 300; update++) {
    const split = rowSplit(
      point,
      noiseForm(point, { key: KEY, update, projected: true }),
      walsh(4),
      Math.sqrt(tau),
    );
    together.push(split.firstOrder([0, 1, 2, 3]).together);
    const own = [0, 1, 2, 3].map((block) => split.firstOrder([block]).together);
    alone.push(point.x.map((_, i) => sum(own.map((estimate) => estimate[i])) / 4));
  }
  const [fitted, plain] = [together, alone].map((set) => momentsOf(set).squaredError);
  for (const [start, end] of [
    [0, 30],
    [30, 48],
  ]) {
    const ratio = sum(fitted.subarray(start, end)) / sum(plain.subarray(start, end));
    expect(ratio).toBeLessThan(0.25);
  }
});
