/**
 * Walsh coupling: the transform, the coupled losses against every sample's noise matrices in an ordinary forward
 * pass, the law of one sample, and the estimator of weights only.
 *
 * Statistical tests are seeded; each states the chance that right code would fail it.
 */
import { describe, expect, test } from "@jest/globals";
import { sampleCount } from "../../src/backends/backend.ts";
import { layerShapes, transformLength } from "../../src/network.ts";
import { walshSign, walshTransform } from "../../src/reference/linear/transform.ts";
import { finish } from "../../src/reference/machine/work.ts";
import { type NetworkPoint, networkLoss } from "../../src/reference/network/dense.ts";
import { keyOf } from "../../src/reference/random/streams.ts";
import { importanceSamplingWalsh } from "../../src/reference/sampling/importance-sampling.ts";
import { noiseForm } from "../../src/reference/sampling/sampled-point.ts";
import { signMean, walshBlock, walshLosses } from "../../src/reference/sampling/walsh.ts";
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

const KEY = keyOf(3);

/** Popcount by its digits. */
const signByDigits = (g: number, h: number) =>
  [...(g & h).toString(2)].filter((digit) => digit === "1").length % 2 ? -1 : 1;

describe("the transform", () => {
  test.each([1, 2, 8, 64])("of %i values is the sum over signs", (m) => {
    const v = Float64Array.from({ length: m }, (_, h) => Math.sin(h * h + 1));
    const sums = Array.from(v, (_, g) => v.reduce((sum, value, h) => sum + signByDigits(g, h) * value, 0));
    walshTransform(v).forEach((value, g) => {
      expect(value).toBeCloseTo(sums[g], 12);
    });
  });

  test("signs are those of Sylvester's matrix", () => {
    for (let g = 0; g < 32; g++)
      for (let h = 0; h < 32; h++) expect(walshSign(g, h)).toBe(signByDigits(g, h));
  });

  test("signMean is the mean of value · e s_gh", () => {
    const values = Float64Array.from({ length: 16 }, (_, i) => Math.cos(i * i));
    signMean(values).forEach((value, h) => {
      const sum = values.reduce((total, v, i) => total + (i < 8 ? 1 : -1) * signByDigits(i % 8, h) * v, 0);
      expect(value).toBeCloseTo(sum / 16, 14);
    });
  });

  test.each([
    { layers: [784, 200, 10], rowwise: true, m: 256 },
    { layers: [784, 246, 10], rowwise: true, m: 256 },
    { layers: [784, 247, 10], rowwise: true, m: 512 },
    { layers: [784, 255, 10], rowwise: false, m: 256 },
    { layers: [784, 256, 10], rowwise: false, m: 512 },
    { layers: [784, 10], rowwise: true, m: 16 },
    { layers: [784, 16], rowwise: false, m: 16 },
  ])("has length $m for $layers, rowwise $rowwise", ({ layers, rowwise, m }) => {
    expect(transformLength({ layers, activation: "relu" }, rowwise)).toBe(m);
    const walsh = { kind: "walsh", blocks: 3 } as const;
    expect(sampleCount(walsh, { layers, activation: "relu" }, rowwise)).toBe(6 * m);
  });
});

/** Z (n) of sample (e, g): the block's normals with the layout's signs, lifted. */
function sampleNoise(
  point: NetworkPoint,
  z: Float64Array,
  first: number,
  rowwise: boolean,
  e: number,
  g: number,
): Float64Array {
  const [, d1, d2] = point.network.layers;
  const signed = Float64Array.from(z);
  for (let at = 0; at < first * d1; at++) signed[at] *= e * signByDigits(g, at % d1);
  for (let at = first * d1; at < z.length; at++) {
    const [h, c] = [Math.floor((at - first * d1) / d2), (at - first * d1) % d2];
    signed[at] *= e * signByDigits(g, rowwise ? d1 + c : h);
  }
  return signed;
}

/** Losses of all samples of `blocks` blocks, one ordinary forward pass each. */
function enumerated(point: NetworkPoint, projected: boolean, rowwise: boolean, s: number, blocks: number) {
  const form = noiseForm(point, { key: KEY, update: 7, projected });
  const m = transformLength(point.network, rowwise);
  const f = networkLoss(point.network, point.loss, point.batches[0]);
  const losses: number[] = [];
  const noise: Float64Array[] = [];
  for (let i = 0; i < blocks; i++) {
    for (const e of [1, -1]) {
      for (let g = 0; g < m; g++) {
        const z = form.lift(sampleNoise(point, form.normals(i), form.rows, rowwise, e, g));
        noise.push(z);
        losses.push(f.value(point.x.map((value, k) => value + s * z[k])));
      }
    }
  }
  return { form, losses, noise };
}

const LAYOUTS = [
  { name: "row split, m > d1 + d2", layers: [6, 3], rowwise: true },
  { name: "row split, tight", layers: [5, 3], rowwise: true },
  { name: "weights only, m > d1 + 1", layers: [4, 3], rowwise: false },
  { name: "weights only, tight", layers: [7, 3], rowwise: false },
  { name: "no hidden layer, m > d2", layers: [3], rowwise: true },
  { name: "no hidden layer, tight", layers: [4], rowwise: false },
];
const BATCHES: { kind: BatchKind; projected: boolean }[] = [
  { kind: "distinct", projected: true },
  { kind: "distinct", projected: false },
  { kind: "repeated", projected: true },
  { kind: "dependent", projected: true },
  { kind: "bytes", projected: true },
  { kind: "tall", projected: false },
];
const costs = (classes: number) =>
  ({
    kind: "cost-matrix",
    costs: Float64Array.from({ length: classes ** 2 }, (_, i) => (i % (classes + 1) === 0 ? 0 : 1 + i / 4)),
  }) as const;

describe.each(LAYOUTS)("coupled losses, $name", ({ layers, rowwise }) => {
  const classes = layers.at(-1)!;
  const lossKinds = { "cross-entropy": CROSS_ENTROPY, "zero-one": zeroOne(classes), costs: costs(classes) };
  test.each(BATCHES)("are every sample's own, $kind rows, projected $projected", ({ kind, projected }) => {
    for (const activation of ["relu", "tanh", "step"] as const) {
      for (const [name, loss] of Object.entries(lossKinds)) {
        const point = tinyPoint(layers, kind, activation, loss);
        const { form, losses } = enumerated(point, projected, rowwise, 1.5, 2);
        const fast = finish(walshLosses(point, form, rowwise, 1.5, 2));
        expect(fast).toHaveLength(losses.length);
        const error = Math.max(...fast.map((value, j) => Math.abs(value - losses[j])));
        expect({ activation, name, within: error < 1e-9 || error }).toEqual({
          activation,
          name,
          within: true,
        });
        // A loss that all samples share would make the comparison empty.
        expect(new Set(losses.map((f) => f.toFixed(9))).size).toBeGreaterThan(1);
      }
    }
  });

  test.each(BATCHES)(
    "noiseMean is the mean of value · Z, $kind rows, projected $projected",
    ({ kind, projected }) => {
      const point = tinyPoint(layers, kind);
      const { form, noise } = enumerated(point, projected, rowwise, 0.6, 1);
      const values = Float64Array.from(noise, (_, j) => Math.sin(1 + j * j));
      const mean = walshBlock(point, form, rowwise, 0.6, 0).noiseMean(values);
      const expected = point.x.map(
        (_, k) => noise.reduce((sum, z, j) => sum + values[j] * z[k], 0) / noise.length,
      );
      expect(Math.max(...mean.map((value, k) => Math.abs(value - expected[k])))).toBeLessThan(1e-12);
    },
  );
});

test("the dependent rows lose rank, as the batches above mean them to", () => {
  for (const kind of ["repeated", "dependent"] as const) {
    const form = noiseForm(tinyPoint([6, 3], kind), { key: KEY, update: 0, projected: true });
    const pivots = [0, 1, 2, 3].filter((b) => form.factor[b * 4 + b] === 0);
    expect(pivots).toHaveLength(1);
  }
});

// Every |z| below is over N = 4,000 updates; P(|z| > 5.5) = 3.8e-8 if it is normal, fourth moments' heavier tails
// (their largest summand is about 1 % of the sum) at most 1e-6. About 1,700 of them a case: under 2e-3 in all.
describe.each([
  { layers: [6, 3], rowwise: true },
  { layers: [6, 3], rowwise: false },
])("the law of one sample, rowwise $rowwise", ({ layers, rowwise }) => {
  test("is standard normal, jointly over rows and layers", () => {
    const point = tinyPoint(layers, "distinct");
    const [, second] = layerShapes(point.network);
    const [e, g] = [-1, 5];
    const m = transformLength(point.network, rowwise);
    const N = 4000;
    const products: Float64Array[] = [];
    const fourths: Float64Array[] = [];
    for (let update = 0; update < N; update++) {
      const form = noiseForm(point, { key: KEY, update, projected: true });
      const values = new Float64Array(2 * m);
      values[(e < 0 ? m : 0) + g] = 2 * m;
      // The sample's own noise Z, as the estimators see it; A Z¹ for the rows, whitened by the factor.
      const noise = walshBlock(point, form, rowwise, 1, 0).noiseMean(values);
      const u = whitened(form.inputs, form.factor, noise.subarray(0, second.offset), layers[0]);
      const v = [...u, ...noise.subarray(second.offset)];
      const row: number[] = [];
      for (let i = 0; i < v.length; i++)
        for (let k = 0; k <= i; k++) row.push(v[i] * v[k] - (i === k ? 1 : 0));
      products.push(Float64Array.from([...v, ...row]));
      fourths.push(Float64Array.from(v, (value) => value ** 4 - 3));
    }
    for (const set of [products, fourths]) {
      const { mean, squaredError } = momentsOf(set);
      const z = mean.map((value, i) => Math.abs(value) / Math.sqrt(squaredError[i]));
      expect(Math.max(...z)).toBeLessThan(LARGEST_Z);
    }
  });
});

/** L^{−1} A Z (B × d_1). */
function whitened(inputs: Float64Array, factor: Float64Array, z: Float64Array, d1: number): number[] {
  const count = Math.sqrt(factor.length);
  const width = inputs.length / count;
  const u: number[] = [];
  for (let b = 0; b < count; b++) {
    for (let h = 0; h < d1; h++) {
      let sum = 0;
      for (let i = 0; i < width; i++) sum += inputs[b * width + i] * z[i * d1 + h];
      for (let k = 0; k < b; k++) sum -= factor[b * count + k] * u[k * d1 + h];
      u.push(sum / factor[b * count + b]);
    }
  }
  return u;
}

// 8 cases of two layers' coordinates, projections and the mean weight: 400 |z| at 1.3e-7 each, under 1e-4 in all.
describeAll("weights only", () => {
  const c0 = 1.5;
  const CASES: { layers: number[]; kind: BatchKind; tau: number; projected: boolean }[] = [
    { layers: [6, 3], kind: "repeated", tau: 0.3, projected: true },
    { layers: [6, 3], kind: "tall", tau: 0.03, projected: false },
    { layers: [3], kind: "distinct", tau: 0.3, projected: true },
    { layers: [3], kind: "dependent", tau: 0.03, projected: true },
  ];
  test.each(CASES)("numerator and mean weight are unbiased: $layers, $kind, τ = $tau", (setting) => {
    const { layers, kind, tau, projected } = setting;
    const point = tinyPoint(layers, kind);
    const s = Math.sqrt(tau);
    const temperatures = [1, 0.5];
    const truth = bruteForce(point, s, 100_000, temperatures, c0);
    temperatures.forEach((temperature, t) => {
      const numerators: Float64Array[] = [];
      const weights: Float64Array[] = [];
      for (let update = 0; update < 1500; update++) {
        const coupling = { kind: "walsh", blocks: 2 } as const;
        const settings = { coupling, temperature, tau, noiseScale: s };
        const draw = { key: KEY, update, projected };
        const { gradient, freeEnergy } = finish(importanceSamplingWalsh(point, draw, settings, 2));
        const weight = Math.exp(-(freeEnergy - c0) / temperature);
        numerators.push(gradient.map((value) => value * weight));
        weights.push(Float64Array.of(weight));
      }
      expect(largestZ(point, numerators, truth.numerators[t])).toBeLessThan(LARGEST_Z);
      const [a, b] = [momentsOf(weights), momentsOf(truth.meanWeights[t].map((w) => [w]))];
      const error = Math.sqrt(a.squaredError[0] + b.squaredError[0]);
      expect(Math.abs(a.mean[0] - b.mean[0]) / error).toBeLessThan(LARGEST_Z);
    });
  });
});
