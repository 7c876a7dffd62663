/**
 * The row split: its first-order part and its remainder against their definitions, sample by sample, and its
 * unbiasedness against brute force.
 *
 * Statistical tests are seeded; each states the chance that right code would fail it.
 */
import { describe, expect, test } from "@jest/globals";
import type { Coupling } from "../../src/backends/backend.ts";
import { layerShapes, transformLength } from "../../src/network.ts";
import { walshSign } from "../../src/reference/linear/transform.ts";
import { finish } from "../../src/reference/machine/work.ts";
import type { NetworkPoint } from "../../src/reference/network/dense.ts";
import { keyOf } from "../../src/reference/random/streams.ts";
import { importanceSamplingRowwise } from "../../src/reference/sampling/importance-sampling.ts";
import { rowSplit } from "../../src/reference/sampling/row-split.ts";
import { groupsOf } from "../../src/reference/sampling/row-split-walsh.ts";
import {
  type NoiseForm,
  noiseForm,
  type Pass,
  samplePass,
} from "../../src/reference/sampling/sampled-point.ts";
import { describeAll, testAll } from "../support/everything.ts";
import {
  type BatchKind,
  bruteForce,
  LARGEST_Z,
  largestZ,
  momentsOf,
  tinyPoint,
  zeroOne,
} from "../support/tiny-network.ts";

const KEY = keyOf(21);
const walsh = (blocks: number): Coupling => ({ kind: "walsh", blocks });
const antithetic = (samples: number): Coupling => ({ kind: "antithetic", samples });
const independent = (samples: number): Coupling => ({
  kind: "independent",
  samples,
  complement: "marginalize",
  centred: true,
});

/** The units' samples: noise z in the form's coordinates, one list a unit. */
function samplesOf(point: NetworkPoint, form: NoiseForm, coupling: Coupling): Float64Array[][] {
  const [, d1, d2] = point.network.layers;
  if (coupling.kind === "independent") return indices(coupling.samples).map((j) => [form.normals(j)]);
  if (coupling.kind === "antithetic") {
    return indices(coupling.samples / 2).map((p) => [form.normals(p), form.normals(p).map((z) => -z)]);
  }
  const m = transformLength(point.network, true);
  const split = form.rows * d1;
  return indices(coupling.blocks).map((i) =>
    [1, -1].flatMap((e) =>
      indices(m).map((g) =>
        form.normals(i).map((z, at) => e * walshSign(g, at < split ? at % d1 : d1 + ((at - split) % d2)) * z),
      ),
    ),
  );
}

const indices = (count: number) => Array.from({ length: count }, (_, i) => i);
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
const average = (values: readonly number[]) => sum(values) / values.length;
const largestDifference = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  indices(a.length).reduce((largest, i) => Math.max(largest, Math.abs(a[i] - b[i])), 0);

/** Layer ℓ's input row b, and its noise η_c there. */
const inputRow = (point: NetworkPoint, pass: Pass, layer: number, b: number) => {
  const width = point.network.layers[layer - 1] + 1;
  return Array.from(pass.inputs[layer - 1].subarray(b * width, (b + 1) * width));
};
const noiseAt = (point: NetworkPoint, pass: Pass, layer: number, b: number, c: number) =>
  pass.noise[layer - 1][b * point.network.layers[layer] + c];

/**
 * Each unit's part of H (n) by the definition, each sample's terms one by one: slopes from the group's other units,
 * levels too in the second layer; alone, no slope and the loss at x.
 */
function enumeratedParts(
  point: NetworkPoint,
  form: NoiseForm,
  units: Float64Array[][],
  s: number,
  crossFit: boolean,
): Float64Array[] {
  const parts = units.map(() => new Float64Array(point.x.length));
  const passes = units.map((samples) => samples.map((z) => samplePass(point, form, z, s)));
  const center = samplePass(point, form, new Float64Array(form.normals(0).length), 0).losses;
  const count = center.length;
  const others = (values: readonly number[], i: number) => sum(values) - values[i];
  layerShapes(point.network).forEach(({ offset, columns }, index) => {
    const layer = index + 1;
    for (let b = 0; b < count; b++) {
      for (let c = 0; c < columns; c++) {
        // The part of η that the signs only flip: all of it in the first layer, the mean hidden row's in the second.
        const flipped = passes.map((unit) =>
          unit.map((pass, j) => {
            if (layer === 1) return noiseAt(point, pass, 1, b, c);
            const opposite = unit[(j + unit.length / 2) % unit.length];
            return (noiseAt(point, pass, 2, b, c) - noiseAt(point, opposite, 2, b, c)) / 2;
          }),
        );
        const products = passes.map((unit, i) =>
          average(unit.map((pass, j) => flipped[i][j] * pass.losses[b])),
        );
        const squares = flipped.map((values) => values[0] ** 2);
        passes.forEach((unit, i) => {
          const norms = unit.map((pass) => sum(inputRow(point, pass, layer, b).map((v) => v * v)));
          const ridge = (layer === 1 ? 0.1 : 1e-3) * s * s * average(norms);
          const slope = crossFit ? others(products, i) / (others(squares, i) + ridge) : 0;
          const levels = passes.map((samples) => average(samples.map(({ losses }) => losses[b])));
          const level = crossFit ? others(levels, i) / (units.length - 1) : center[b];
          unit.forEach((pass, j) => {
            const eta = noiseAt(point, pass, layer, b, c);
            const variance = s * s * norms[j];
            const control = layer === 1 ? pass.losses[b] : pass.losses[b] - level;
            const psi = (eta * (control - slope * eta)) / variance + slope;
            inputRow(point, pass, layer, b).forEach((input, h) => {
              parts[i][offset + h * columns + c] += (input * psi) / (unit.length * count);
            });
          });
        });
      }
    }
  });
  return parts;
}

const WALSH_CASES: { layers: number[]; kind: BatchKind; projected: boolean; blocks: number }[] = [
  { layers: [6, 3], kind: "distinct", projected: true, blocks: 1 },
  { layers: [6, 3], kind: "distinct", projected: true, blocks: 2 },
  { layers: [5, 3], kind: "repeated", projected: true, blocks: 3 },
  { layers: [5, 3], kind: "tall", projected: false, blocks: 2 },
  { layers: [5, 3], kind: "bytes", projected: false, blocks: 2 },
  { layers: [3], kind: "dependent", projected: true, blocks: 1 },
  { layers: [3], kind: "dependent", projected: true, blocks: 4 },
];

describe("the first-order part", () => {
  test.each(WALSH_CASES)("of Walsh blocks is its definition: %j", ({ layers, kind, projected, blocks }) => {
    for (const activation of ["relu", "tanh", "step"] as const) {
      for (const zero of [false, true]) {
        const loss = zero ? zeroOne(layers.at(-1)!) : undefined;
        const point = tinyPoint(layers, kind, activation, loss);
        const form = noiseForm(point, { key: KEY, update: 4, projected });
        const units = samplesOf(point, form, walsh(blocks));
        const { together, parts } = rowSplit(point, form, walsh(blocks), 0.7).firstOrder(indices(blocks));
        const expectedParts = enumeratedParts(point, form, units, 0.7, blocks > 1);
        const expected = point.x.map((_, k) => average(expectedParts.map((part) => part[k])));
        expect(largestDifference(together, expected)).toBeLessThan(1e-11);
        expect(Math.max(...expected.map(Math.abs))).toBeGreaterThan(1e-3);
        parts.forEach((part, i) => {
          expect(largestDifference(part, expectedParts[i])).toBeLessThan(1e-11);
        });
      }
    }
  });

  test.each([independent(3), antithetic(6)])(
    "of samples, three layers deep, is its definition: %j",
    (coupling) => {
      for (const projected of [true, false]) {
        const point = tinyPoint([6, 4, 3], "repeated", "tanh");
        const form = noiseForm(point, { key: KEY, update: 4, projected });
        const units = samplesOf(point, form, coupling);
        const split = rowSplit(point, form, coupling, 0.7);
        units.forEach((unit, i) => {
          const { together } = split.firstOrder([i]);
          expect(largestDifference(together, sampleFirstOrder(point, form, unit, 0.7))).toBeLessThan(1e-12);
        });
      }
    },
  );

  test("groups of the cross-fit hold at most eight blocks", () => {
    expect([1, 2, 8].map((k) => groupsOf(k).length)).toEqual([1, 1, 1]);
    expect(groupsOf(9)).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7, 8],
    ]);
    expect(groupsOf(17).map((group) => [group[0], group.length])).toEqual([
      [0, 5],
      [5, 6],
      [11, 6],
    ]);
  });
});

/** H (n) of a sample or pair: hid η (f_b − loss at x)/(s²|hid|²B), every layer. */
function sampleFirstOrder(
  point: NetworkPoint,
  form: NoiseForm,
  unit: Float64Array[],
  s: number,
): Float64Array {
  const H = new Float64Array(point.x.length);
  const center = samplePass(point, form, new Float64Array(form.normals(0).length), 0).losses;
  for (const z of unit) {
    const pass = samplePass(point, form, z, s);
    layerShapes(point.network).forEach(({ offset, columns }, index) => {
      for (let b = 0; b < center.length; b++) {
        const row = inputRow(point, pass, index + 1, b);
        const variance = s * s * sum(row.map((v) => v * v));
        row.forEach((input, h) => {
          for (let c = 0; c < columns; c++) {
            const eta = noiseAt(point, pass, index + 1, b, c);
            H[offset + h * columns + c] +=
              (input * eta * (pass.losses[b] - center[b])) / (variance * center.length * unit.length);
          }
        });
      }
    });
  }
  return H;
}

describe("importance sampling with the row split", () => {
  const CASES: { coupling: Coupling; layers: number[] }[] = [
    { coupling: walsh(1), layers: [5, 3] },
    { coupling: walsh(3), layers: [5, 3] },
    { coupling: walsh(9), layers: [3] },
    { coupling: independent(7), layers: [6, 4, 3] },
    { coupling: antithetic(2), layers: [5, 3] },
    { coupling: antithetic(8), layers: [6, 4, 3] },
  ];
  // √τ, and the second reading's scale τ: variance s² inside, δ(x − mean)/τ outside.
  test.each(CASES)("is its definition, whatever the scale: %j", ({ coupling, layers }) => {
    const point = tinyPoint(layers, "repeated");
    const [tau, delta] = [0.4, 0.3];
    for (const s of [Math.sqrt(tau), tau]) {
      const draw = { key: KEY, update: 9, projected: true };
      const form = noiseForm(point, draw);
      const units = samplesOf(point, form, coupling);
      const losses = units.map((unit) =>
        unit.map((z) => average(Array.from(samplePass(point, form, z, s).losses))),
      );
      const all = losses.flat();
      const c0 = average(all);
      const weights = all.map((f) => Math.exp(-(f - c0) / delta));
      const meanWeight = average(weights);
      const split = rowSplit(point, form, coupling, s);
      const remainders = units.map((unit, u) => {
        const rho = losses[u].map((f) => Math.exp(-(f - c0) / delta) - 1 + (f - c0) / delta);
        return point.x.map((_, k) => average(unit.map((z, j) => rho[j] * form.lift(z)[k])));
      });
      const factor = (s * s) / tau / meanWeight;
      const estimates = split.groups.flatMap((group) => {
        const { parts, together } = split.firstOrder(group);
        return group.map((u, i) => ({ part: parts[i], together, remainder: remainders[u] }));
      });
      const of = (first: Float64Array, remainder: Float64Array) =>
        first.map((h, k) => factor * (h - (delta / s) * remainder[k]));
      const expected = point.x.map((_, k) =>
        average(estimates.map(({ together, remainder }) => of(together, remainder)[k])),
      );
      const result = finish(
        importanceSamplingRowwise(point, draw, { coupling, temperature: delta, tau, noiseScale: s }),
      );
      expect(largestDifference(result.gradient, expected)).toBeLessThan(1e-11);
      expect(result.loss).toBeCloseTo(c0, 12);
      expect(result.freeEnergy).toBeCloseTo(c0 - delta * Math.log(meanWeight), 12);
      expect(result.effectiveSampleSize).toBeCloseTo(sum(weights) ** 2 / sum(weights.map((w) => w * w)), 9);
      expect(result.largestWeight).toBeCloseTo(Math.max(...weights) / sum(weights), 12);
      expect(result.samples).toBe(all.length);
      const own = estimates.map(({ part, remainder }) => of(part, remainder));
      const { squaredError } = momentsOf(own);
      if (own.length === 1) expect(result.standardError).toBeNull();
      else expect(result.standardError).toBeCloseTo(Math.sqrt(sum(Array.from(squaredError))), 10);
    }
  });

  test("stays finite where weights underflow and overflow", () => {
    const point = tinyPoint([5, 3], "distinct");
    const settings = { coupling: walsh(2), temperature: 1e-5, tau: 1, noiseScale: 1 };
    const { gradient } = finish(
      importanceSamplingRowwise(point, { key: KEY, update: 0, projected: true }, settings),
    );
    expect(gradient.every(Number.isFinite)).toBe(true);
  });
});

interface Setting {
  layers: number[];
  kind: BatchKind;
  coupling: Coupling;
  tau: number;
  projected?: boolean;
}

/** Numerators −(δ/s) E[w Z], mean weights and first-order parts' numerators for a fixed c₀, one a replicate. */
function replicates(point: NetworkPoint, setting: Setting, temperature: number, c0: number, count: number) {
  const { coupling, tau, projected = true } = setting;
  const settings = { coupling, temperature, tau, noiseScale: Math.sqrt(tau) };
  const numerators: Float64Array[] = [];
  const weights: number[] = [];
  const quotients: Float64Array[] = [];
  for (let update = 0; update < count; update++) {
    const work = importanceSamplingRowwise(point, { key: KEY, update, projected }, settings, c0);
    const { gradient, freeEnergy } = finish(work);
    const weight = Math.exp(-(freeEnergy - c0) / temperature);
    numerators.push(gradient.map((g) => g * weight));
    weights.push(weight);
    quotients.push(gradient);
  }
  return { numerators, weights, quotients };
}

function weightZ(weights: readonly number[], truth: readonly number[]): number {
  const [a, b] = [weights, truth].map((set) => momentsOf(set.map((w) => [w])));
  return Math.abs(a.mean[0] - b.mean[0]) / Math.sqrt(a.squaredError[0] + b.squaredError[0]);
}

// Each case compares at most 90 |z| (coordinates, projections, mean weight) for two δ at 1.3e-7 each: under 4e-4 for
// all nine cases and the test of the remainder together.
describeAll("numerator and mean weight are unbiased for a fixed expansion point", () => {
  const CASES: Setting[] = [
    { layers: [5, 3], kind: "repeated", coupling: walsh(2), tau: 1e-3 },
    { layers: [5, 3], kind: "repeated", coupling: walsh(2), tau: 1e-2 },
    { layers: [5, 3], kind: "repeated", coupling: walsh(2), tau: 1e-1 },
    { layers: [5, 3], kind: "dependent", coupling: walsh(3), tau: 1e-1 },
    { layers: [5, 3], kind: "tall", coupling: walsh(2), tau: 1e-1, projected: false },
    { layers: [6, 3], kind: "distinct", coupling: walsh(1), tau: 1e-1 },
    { layers: [3], kind: "repeated", coupling: walsh(2), tau: 1e-1 },
    { layers: [4, 4, 3], kind: "repeated", coupling: antithetic(16), tau: 1e-1 },
    { layers: [4, 4, 3], kind: "tall", coupling: independent(16), tau: 1e-1, projected: false },
  ];
  test.each(CASES)("%j", (setting) => {
    const point = tinyPoint(setting.layers, setting.kind);
    const [c0, temperatures] = [1.5, [1, 0.2]];
    const truth = bruteForce(point, Math.sqrt(setting.tau), 100_000, temperatures, c0);
    temperatures.forEach((temperature, t) => {
      const { numerators, weights } = replicates(point, setting, temperature, c0, 500);
      expect(largestZ(point, numerators, truth.numerators[t])).toBeLessThan(LARGEST_Z);
      expect(weightZ(weights, truth.meanWeights[t])).toBeLessThan(LARGEST_Z);
    });
  });
});

testAll("the remainder matters: δ = 1/20, τ = 1e-2", () => {
  const setting: Setting = { layers: [5, 3], kind: "repeated", coupling: walsh(2), tau: 1e-2 };
  const point = tinyPoint(setting.layers, setting.kind);
  const [s, delta, c0] = [0.1, 1 / 20, 1.5];
  const truth = bruteForce(point, s, 200_000, [delta], c0, 6);
  const { numerators } = replicates(point, setting, delta, c0, 500);
  expect(largestZ(point, numerators, truth.numerators[0])).toBeLessThan(LARGEST_Z);
  // The first-order part alone is the heat gradient: unbiased for that, and nothing else.
  const first = numerators.map((_, update) => {
    const form = noiseForm(point, { key: KEY, update, projected: true });
    return rowSplit(point, form, walsh(2), s).firstOrder([0, 1]).together;
  });
  expect(largestZ(point, first, truth.numerators[0])).toBeGreaterThan(2 * LARGEST_Z);
  expect(largestZ(point, first, truth.heat)).toBeLessThan(LARGEST_Z);
  // … nor is it that gradient times the mean weight: the remainder is more than a factor.
  const meanWeight = average(truth.meanWeights[0]);
  const scaled = first.map((values) => values.map((value) => value * meanWeight));
  expect(largestZ(point, scaled, truth.numerators[0])).toBeGreaterThan(2 * LARGEST_Z);
});

// By a delta expansion the quotient's bias is C/K + O(1/K²). C is estimated for each K from the quotient less its own
// linearization N/E w − g (W/E w − 1), of mean zero (N, W the unbiased numerator and mean weight about the mean loss,
// E w and g from brute force, whose errors cancel to first order): the error of K · bias is then the same for every K.
// Two |z| of means over 100 replicates each: 1e-6 in all. K · bias = √K times a constant would give z = 8.
testAll("the quotient's bias falls as 1/K over K = 2 … 64", () => {
  const point = tinyPoint([3], "two");
  const [tau, temperature, s] = [0.5, 0.1, Math.sqrt(0.5)];
  const many = bruteForce(point, s, 200_000, [1e9], 0);
  // With δ = 1e9 the mean weight is 1 − E f/δ, so this is E f, to 1e-6.
  const c0 = 1e9 * (1 - average(many.meanWeights[0]));
  const truth = bruteForce(point, s, 200_000, [temperature], c0);
  const meanWeight = average(truth.meanWeights[0]);
  const g = momentsOf(truth.numerators[0]).mean.map((value) => value / meanWeight);
  const squared = sum(Array.from(g, (value) => value * value));
  const scaled = [2, 4, 8, 16, 32, 64].map((K) => {
    const settings = { coupling: walsh(K), temperature, tau, noiseScale: s };
    const biases = indices(100).map((update) => {
      const run = (expansionPoint?: number) => {
        const draw = { key: KEY, update: update + 1000 * K, projected: true };
        return finish(importanceSamplingRowwise(point, draw, settings, expansionPoint));
      };
      const [quotient, fixed] = [run(), run(c0)];
      const weight = Math.exp(-(fixed.freeEnergy - c0) / temperature) / meanWeight;
      const second = quotient.gradient.map((q, i) => q - fixed.gradient[i] * weight + g[i] * (weight - 1));
      return Float64Array.of((K * sum(Array.from(second, (value, i) => value * g[i]))) / squared);
    });
    const { mean, squaredError } = momentsOf(biases);
    return { x: Math.log2(K), value: mean[0], weight: 1 / squaredError[0] };
  });
  const total = sum(scaled.map(({ weight }) => weight));
  const center = sum(scaled.map(({ x, weight }) => x * weight)) / total;
  const level = sum(scaled.map(({ value, weight }) => value * weight)) / total;
  const spread = sum(scaled.map(({ x, weight }) => weight * (x - center) ** 2));
  const slope = sum(scaled.map(({ x, value, weight }) => weight * (x - center) * value)) / spread;
  // There is a bias to fall (K · bias/|g| about −0.3) …
  expect(Math.abs(level) * Math.sqrt(total)).toBeGreaterThan(LARGEST_Z);
  // … and K · bias does not drift with log K.
  expect(Math.abs(slope) * Math.sqrt(spread)).toBeLessThan(LARGEST_Z);
});
