/**
 * Projection: the factor against the Gram matrix, and projected against direct, deterministically (U = QᵀZ) and in
 * law (moments and two-sample tests, complement included).
 */

import { describe, expect, test } from "@jest/globals";
import type { Examples } from "../../src/backends/backend.ts";
import { meanOf } from "../../src/network.ts";
import { robbinsMonroDirect, robbinsMonroProjected } from "../../src/reference/chains/robbins-monro.ts";
import { sgldDirect, sgldProjected } from "../../src/reference/chains/sgld.ts";
import { joined } from "../../src/reference/linear/product.ts";
import { complementOf, gramMatrix, lift, project } from "../../src/reference/linear/projection.ts";
import { finish, type Normals } from "../../src/reference/machine/work.ts";
import {
  firstLayerSize,
  type NetworkPoint,
  networkLoss,
  networkNormals,
} from "../../src/reference/network/dense.ts";
import { projectionOf, reducedLoss, reducedPoint } from "../../src/reference/network/reduced.ts";
import {
  importanceSamplingDirect,
  importanceSamplingProjected,
  sampleLosses,
} from "../../src/reference/sampling/importance-sampling.ts";
import { type Given, onQuickBackends } from "../support/backends.ts";
import {
  type CaseOptions,
  CROSS_ENTROPY,
  caseName,
  KEY,
  networkCase,
  normalVector,
} from "../support/fixtures.ts";
import {
  KS_BOUND,
  kolmogorovSmirnov,
  mean,
  variance,
  Z_BOUND,
  zOfMeans,
  zOfVariances,
} from "../support/statistics.ts";

/** B below and at d0, no hidden layer and several, floats, a row repeated twice and one that the bias makes dependent. */
const CASES: readonly CaseOptions[] = [
  { layers: [9, 4], rows: 5 },
  { layers: [7, 6, 3], rows: 7, inputs: "floats" },
  { layers: [10, 5, 4, 3], activation: "tanh", rows: 6 },
  { layers: [12, 6, 3], rows: 8, repeats: [[2, 0], [5, 0], [7, 4]] }, // biome-ignore format: pairs
];

function pointOf(options: CaseOptions): NetworkPoint {
  const { network, parameters, batch } = networkCase(options);
  return { network, loss: CROSS_ENTROPY, batches: [batch], x: Float64Array.from(parameters) };
}

const distance = (a: Float64Array, b: Float64Array) =>
  a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);

describe.each(CASES.map((options) => [caseName(options), options] as const))("%s", (_, options) => {
  const point = pointOf(options);
  const { network, x } = point;
  const [d0, d1] = network.layers;
  const split = firstLayerSize(network);
  const span = projectionOf(point);
  const full = networkNormals(network, KEY, 3);
  /** U = QᵀZ, and the upper layers' normals as they are. */
  const projected: Normals = (index) => {
    const z = full(index);
    return joined(project(span, z.subarray(0, split), d1), z.subarray(split));
  };
  const direct = networkLoss(network, CROSS_ENTROPY, point.batches[0]);
  const firstLayer = (vector: Float64Array) => vector.subarray(0, split);
  const inSpan = (vector: Float64Array) => project(span, firstLayer(vector), d1);

  test("L Lᵀ is the Gram matrix, rank counts the independent rows", () => {
    const gram = gramMatrix(point.batches[0].inputs, d0);
    const { count, factor } = span;
    const product = gram.map((__, at) => {
      const [i, k] = [Math.floor(at / count), at % count];
      let sum = 0;
      for (let c = 0; c < count; c++) sum += factor[i * count + c] * factor[k * count + c];
      return sum;
    });
    expect(distance(product, gram)).toBeLessThan(1e-12 * Math.max(...gram));
    expect(span.rank).toBe(count - (options.repeats?.length ?? 0));
  });

  test("Q has orthonormal columns, A = L Qᵀ", () => {
    const v = normalVector(3, span.count * d1);
    for (let i = 0; i < span.count; i++) {
      if (span.factor[i * span.count + i] === 0) v.fill(0, i * d1, (i + 1) * d1);
    }
    expect(distance(project(span, lift(span, v, d1), d1), v)).toBeLessThan(1e-10);
    const z = normalVector(4, split);
    const outside = complementOf(span, z, d1);
    expect(Math.max(...project(span, outside, d1).map(Math.abs))).toBeLessThan(1e-10);
    expect(Math.max(...outside.map(Math.abs))).toBeGreaterThan(0.01);
  });

  const settings = { tau: 0.21, noiseScale: 0.37, temperature: 0.4 };

  test("given Z, U = QᵀZ gives the same losses", () => {
    const coupling = { kind: "independent", samples: 6, complement: "sample", centred: false } as const;
    const losses = finish(sampleLosses(direct, x, { ...settings, coupling }, full));
    const reduced = reducedLoss(point, span);
    const center = reducedPoint(point, span, x);
    const same = finish(sampleLosses(reduced, center, { ...settings, coupling }, projected));
    expect(distance(same, losses)).toBeLessThan(1e-12);
    expect(new Set(losses).size).toBe(6);
  });

  test.each([
    { kind: "independent", samples: 6, complement: "marginalize", centred: false },
    { kind: "independent", samples: 6, complement: "marginalize", centred: true },
    { kind: "antithetic", samples: 8 },
  ] as const)("… the same in-span gradient: %o", (coupling) => {
    const expected = finish(importanceSamplingDirect(direct, x, { ...settings, coupling }, full));
    const actual = finish(
      importanceSamplingProjected(point, span, { ...settings, coupling }, projected, () => {
        throw new Error("the complement is marginalized");
      }),
    );
    expect(distance(inSpan(actual.gradient), inSpan(expected.gradient))).toBeLessThan(1e-10);
    expect(distance(actual.gradient.subarray(split), expected.gradient.subarray(split))).toBeLessThan(1e-12);
    const outside = complementOf(span, firstLayer(actual.gradient), d1);
    expect(Math.max(...outside.map(Math.abs))).toBeLessThan(1e-10);
    expect(actual.freeEnergy).toBeCloseTo(expected.freeEnergy, 12);
    expect(actual.effectiveSampleSize).toBeCloseTo(expected.effectiveSampleSize, 10);
  });

  test("… the same Langevin chain in the span and above", () => {
    const stepSizes = Float64Array.from({ length: 9 }, (__, j) => 0.2 / (j + 2));
    const chain = { tau: 0.21, stepSizes, noiseScales: stepSizes.map((e) => 0.7 * Math.sqrt(e)) };
    const start = x.map((value, i) => value + 0.1 * Math.sin(i));
    const expected = finish(sgldDirect([direct], x, start, chain, full));
    const silent = () => new Float64Array(split);
    const actual = finish(sgldProjected(point, span, start, chain, projected, silent));
    expect(actual.loss).toBeCloseTo(expected.loss, 12);
    for (const part of ["mean", "last"] as const) {
      expect(distance(inSpan(actual[part]), inSpan(expected[part]))).toBeLessThan(1e-9);
      expect(distance(actual[part].subarray(split), expected[part].subarray(split))).toBeLessThan(1e-10);
    }
  });

  test("… the same Robbins–Monro iterate, in every coordinate", () => {
    const stepSizes = Float64Array.from({ length: 5 }, (__, j) => 0.6 * (j + 1) ** -0.7);
    const chain = { tau: 0.21, noiseScale: 0.37, stepSizes, samples: 3 };
    const expected = finish(robbinsMonroDirect([direct], x, chain, full));
    const actual = finish(robbinsMonroProjected(point, span, chain, projected));
    expect(distance(actual.mean, expected.mean)).toBeLessThan(1e-10);
    expect(distance(actual.mean, x)).toBeGreaterThan(1e-3);
    expect(actual.loss).toBeCloseTo(expected.loss, 12);
  });
});

const R = 700;

/** Law tests on one small case: 4 inputs, 3 rows, so that span and complement each hold some coordinates. */
const LAW: CaseOptions = { layers: [5, 4, 3], rows: 3, repeats: [[2, 0]] };

onQuickBackends((given) => {
  const { network, parameters, batch } = networkCase(LAW);
  const split = firstLayerSize(network);
  const place = { network, loss: CROSS_ENTROPY, parameters, key: KEY };
  const x = Float64Array.from(parameters);
  const span = projectionOf({ network, loss: CROSS_ENTROPY, batches: [batch], x });

  /** Directions to look along: in the span, in the complement, in the second layer, and across all. */
  const directions = [
    joined(lift(span, normalVector(21, 12), 4), new Float64Array(x.length - split)),
    joined(complementOf(span, normalVector(22, split), 4), new Float64Array(x.length - split)),
    joined(new Float64Array(split), normalVector(23, x.length - split)),
    normalVector(24, x.length),
  ];

  /** R replicas of `draw`'s vectors, each seen along every direction. */
  async function seen(
    draw: (update: number) => Promise<readonly ArrayLike<number>[]>,
  ): Promise<Float64Array[]> {
    const along: Float64Array[] = [];
    for (let replica = 0; replica < R; replica++) {
      const vectors = await draw(replica);
      vectors.forEach((vector, v) => {
        directions.forEach((direction, d) => {
          const at = v * directions.length + d;
          along[at] ??= new Float64Array(R);
          along[at][replica] = direction.reduce((sum, value, i) => sum + value * (vector[i] - x[i]), 0);
        });
      });
    }
    return along;
  }

  /** Means, variances and whole distributions agree: 3 statistics a direction and vector, 2 × 4 at most. */
  function sameLaw(a: readonly Float64Array[], b: readonly Float64Array[]) {
    a.forEach((values, i) => {
      expect(Math.abs(zOfMeans(values, b[i]))).toBeLessThan(Z_BOUND);
      expect(Math.abs(zOfVariances(values, b[i]))).toBeLessThan(Z_BOUND);
      expect(kolmogorovSmirnov(values, b[i])).toBeLessThan(KS_BOUND);
    });
  }

  const importance = (
    given: Given,
    projected: boolean,
    complement: "sample" | "marginalize",
    shift: number,
  ) =>
    seen(async (replica) => {
      const { gradient } = await given().operations.importanceSampling({
        ...place,
        batch,
        update: replica + shift,
        tau: 0.5,
        noiseScale: 0.6,
        temperature: 0.3,
        coupling: { kind: "independent", samples: 4, complement, centred: false },
        rowwise: false,
        projected,
      });
      return [meanOf(place.parameters, gradient, 0.5 / 0.3)];
    });

  // False-alarm rate of each test below: at most 24 statistics, 24 · 5.4e-7 = 1.3e-5.
  test("importance sampling with its complement sampled has the direct form's law", async () => {
    sameLaw(await importance(given, true, "sample", 0), await importance(given, false, "sample", R));
  });

  test("marginalized, it has the same mean and less variance", async () => {
    const direct = await importance(given, false, "sample", R);
    const marginal = await importance(given, true, "marginalize", 0);
    marginal.forEach((values, i) => {
      // Constant up to rounding in the complement: there the direct mean is held against it alone.
      const z = (mean(direct[i]) - mean(values)) / Math.sqrt((variance(direct[i]) + variance(values)) / R);
      expect(Math.abs(z)).toBeLessThan(Z_BOUND);
    });
    expect(Math.sqrt(variance(marginal[1]))).toBeLessThan(1e-5 * Math.sqrt(variance(direct[1])));
    expect(variance(marginal[3])).toBeLessThan(0.9 * variance(direct[3]));
  });

  test("SGLD's average and last iterate have the direct form's law", async () => {
    const stepSizes = Float64Array.from({ length: 7 }, (_, j) => 1 / (2 + j));
    const start = parameters.map((value, i) => value + 0.4 * Math.cos(i));
    const chain = (projected: boolean, shift: number) =>
      seen(async (replica) => {
        const result = await given().operations.sgld({
          ...place,
          batches: [batch],
          update: replica + shift,
          tau: 0.6,
          stepSizes,
          noiseScales: stepSizes.map((e) => 0.8 * Math.sqrt(e)),
          start,
          projected,
        });
        // The difference as well: it sees the two's correlation.
        return [result.mean, result.last, result.mean.map((value, i) => x[i] + value - result.last[i])];
      });
    sameLaw(await chain(true, 0), await chain(false, R));
  });

  test("Robbins–Monro's iterate has the direct form's law", async () => {
    const stepSizes = Float64Array.of(0.7, 0.5, 0.4);
    const chain = (projected: boolean, shift: number) =>
      seen(async (replica) => {
        const result = await given().operations.robbinsMonro({
          ...place,
          batches: [batch],
          update: replica + shift,
          tau: 0.9,
          noiseScale: 0.8,
          stepSizes,
          samples: 2,
          projected,
        });
        return [result.mean];
      });
    const [projected, direct] = [await chain(true, 0), await chain(false, R)];
    // Nothing moves in the complement, in either form.
    for (const form of [projected, direct]) {
      expect(Math.max(...form[1].map(Math.abs))).toBeLessThan(1e-5);
    }
    sameLaw(
      projected.filter((_, i) => i !== 1),
      direct.filter((_, i) => i !== 1),
    );
  });
});

test("a repeated row has pivot zero, whatever rounding leaves of it", () => {
  // Rows 4 … 11 repeat rows 0 … 3: what is left of their pivots is rounding, often above zero.
  for (let number = 1; number <= 20; number++) {
    const repeats = Array.from({ length: 8 }, (_, i) => [4 + i, i % 4] as const);
    for (const inputs of ["bytes", "floats"] as const) {
      const point = pointOf({ layers: [40, 2], rows: 12, repeats, inputs, number });
      expect(projectionOf(point).rank).toBe(4);
    }
  }
});

test("integer Gram matrices of bytes are exact", () => {
  const { batch } = networkCase({ layers: [784, 3], rows: 3 });
  const pixels = (b: number) => (batch as Examples).inputs.subarray(b * 784, (b + 1) * 784);
  const products = Array.from(pixels(0), (p, i) => BigInt(p) * BigInt(pixels(2)[i]));
  const sum = products.reduce((total, p) => total + p, 0n);
  expect(gramMatrix(batch.inputs, 784)[2]).toBe(Number(sum) / 65025 + 1);
});
