/**
 * Closed forms: on f = ½xᵀHx + bᵀx + c every estimator's law is known.
 *
 * - Importance sampling: q ∝ e^{−f/δ} φ_{x,τ} is normal with precision Λ = H/δ + I/τ and mean m = Λ^{−1}(x/τ − b/δ);
 *   −log E e^{−f/δ} = ½ log det(τΛ) + |x|²/2τ + c/δ − ½ mᵀΛm.
 * - SGLD and Robbins–Monro: affine maps of normals, so normal, with mean and covariance by recursion.
 *
 * The estimators see f alone; the recursions here use H and b. Two dimensions; false-alarm rates by `Z_BOUND`.
 */

import { describe, expect, test } from "@jest/globals";
import type { Coupling } from "../../src/backends/backend.ts";
import { meanOf } from "../../src/network.ts";
import { robbinsMonroDirect } from "../../src/reference/chains/robbins-monro.ts";
import { complementLaw, sgldDirect } from "../../src/reference/chains/sgld.ts";
import { finish } from "../../src/reference/machine/work.ts";
import { importanceSamplingDirect } from "../../src/reference/sampling/importance-sampling.ts";
import { bulkNormals, normalVector, TARGET, targetLoss } from "../support/fixtures.ts";
import { mean, Z_BOUND, zOfCovariance, zOfMean } from "../support/statistics.ts";

type Matrix = readonly (readonly number[])[];

const { h: H, b, c } = TARGET;

const times = (p: Matrix, q: Matrix): number[][] =>
  p.map((row) => q[0].map((_, k) => row.reduce((sum, value, i) => sum + value * q[i][k], 0)));
const transposed = (p: Matrix): number[][] => p[0].map((_, k) => p.map((row) => row[k]));
const apply = (p: Matrix, v: readonly number[]): number[] =>
  p.map((row) => row.reduce((sum, value, i) => sum + value * v[i], 0));
const solve2 = ([[p, q], [r, s]]: Matrix, [u, v]: readonly number[]): number[] => {
  const determinant = p * s - q * r;
  return [(s * u - q * v) / determinant, (p * v - r * u) / determinant];
};

describe("importance sampling", () => {
  const [tau, temperature, x] = [0.3, 0.45, [0.7, -0.4]];
  const precision = H.map((row, i) => row.map((value, k) => value / temperature + (i === k ? 1 / tau : 0)));
  const m = solve2(
    precision,
    x.map((value, i) => value / tau - b[i] / temperature),
  );
  const determinant = precision[0][0] * precision[1][1] - precision[0][1] ** 2;
  const square = (p: Matrix, v: readonly number[]) =>
    apply(p, v).reduce((sum, value, i) => sum + value * v[i], 0);
  const minusLog =
    0.5 * Math.log(tau ** 2 * determinant) +
    (x[0] ** 2 + x[1] ** 2) / (2 * tau) +
    c / temperature -
    0.5 * square(precision, m);
  const gradient = x.map((value, i) => (temperature * (value - m[i])) / tau);

  const J = 2000;
  const R = 60;
  const COUPLINGS: readonly Coupling[] = [
    { kind: "independent", samples: J, complement: "sample", centred: false },
    { kind: "independent", samples: J, complement: "marginalize", centred: true },
    { kind: "antithetic", samples: J },
  ];

  // Self-normalization's bias is O(1/J) of the scale, here √R/√J = 0.17 standard errors of the mean over replicas:
  // it moves no z near the bound. 5 statistics each.
  test.each(COUPLINGS)("mean, ∇F and F at δ = 0.45: %o", (coupling) => {
    const settings = { coupling, temperature, tau, noiseScale: Math.sqrt(tau) };
    const results = Array.from({ length: R }, (_, replica) =>
      finish(
        importanceSamplingDirect(targetLoss, Float64Array.from(x), settings, bulkNormals(2, J, replica)),
      ),
    );
    for (const i of [0, 1]) {
      const means = results.map(
        ({ gradient }) => meanOf(Float64Array.from(x), gradient, tau / temperature)[i],
      );
      const gradients = results.map((result) => result.gradient[i]);
      expect(Math.abs(zOfMean(means, m[i]))).toBeLessThan(Z_BOUND);
      expect(Math.abs(zOfMean(gradients, gradient[i]))).toBeLessThan(Z_BOUND);
    }
    const energies = results.map((result) => result.freeEnergy);
    expect(Math.abs(zOfMean(energies, temperature * minusLog))).toBeLessThan(Z_BOUND);
    // Power: the replicas' own spread resolves a relative error of 2 % in F.
    expect(Math.abs(zOfMean(energies, 1.02 * temperature * minusLog))).toBeGreaterThan(Z_BOUND);
  });

  // f = bᵀx in 20 dimensions: E_q[X] = x − (τ/δ)b, so ∇F = b exactly. The self-normalization's own error, which the
  // standard error leaves out, is about 1/20 of the whole there; the mean of 100 squared errors of 20 coordinates
  // has a relative spread of 0.03, and the bounds lie 5 of them away.
  test.each(COUPLINGS)("the standard error is the root of the expected squared error: %o", (coupling) => {
    const slope = normalVector(91, 20).map((value) => 0.1 * value);
    const linear = {
      dimension: 20,
      value: (y: Float64Array) => y.reduce((sum, v, i) => sum + v * slope[i], 0),
    };
    const few = { ...coupling, samples: 300 } as Coupling;
    const settings = { coupling: few, temperature, tau, noiseScale: Math.sqrt(tau) };
    const errors: number[] = [];
    const squares: number[] = [];
    for (let replica = 0; replica < 100; replica++) {
      const normals = bulkNormals(20, 300, replica);
      const result = finish(importanceSamplingDirect(linear, slope, settings, normals));
      errors.push(result.gradient.reduce((sum, g, i) => sum + (g - slope[i]) ** 2, 0));
      squares.push(result.standardError! ** 2);
    }
    expect(mean(errors) / mean(squares)).toBeGreaterThan(0.8);
    expect(mean(errors) / mean(squares)).toBeLessThan(1.2);
  });

  test("the second reading scales the perturbation alone: q is that of N(x, s²)", () => {
    // With s in place of √τ the sampled mean is E under e^{−f/δ} N(x, s²I); gradient keeps δ/τ.
    const s = 0.31;
    const settings = { coupling: COUPLINGS[2], temperature, tau, noiseScale: s };
    const wide = H.map((row, i) => row.map((value, k) => value / temperature + (i === k ? 1 / s ** 2 : 0)));
    const expected = solve2(
      wide,
      x.map((value, i) => value / s ** 2 - b[i] / temperature),
    );
    const results = Array.from({ length: R }, (_, replica) =>
      finish(
        importanceSamplingDirect(targetLoss, Float64Array.from(x), settings, bulkNormals(2, J, replica)),
      ),
    );
    for (const i of [0, 1]) {
      const gradients = results.map((result) => result.gradient[i]);
      const exact = (temperature * (x[i] - expected[i])) / tau;
      expect(Math.abs(zOfMean(gradients, exact))).toBeLessThan(Z_BOUND);
    }
  });
});

/** Replicas' law against a normal one: all means and covariances, k(k + 3)/2 statistics. */
function hasNormalLaw(replicas: readonly (readonly number[])[], center: readonly number[], spread: Matrix) {
  const columns = transposed(replicas);
  for (let i = 0; i < center.length; i++) {
    expect(Math.abs(zOfMean(columns[i], center[i]))).toBeLessThan(Z_BOUND);
    for (let k = 0; k <= i; k++) {
      const z = zOfCovariance(columns[i], columns[k], spread[i][k], spread[i][i], spread[k][k]);
      expect(Math.abs(z)).toBeLessThan(Z_BOUND);
    }
  }
}

const R = 6000;

describe("SGLD", () => {
  const tau = 0.35;
  const stepSizes = Float64Array.from({ length: 6 }, (_, j) => 0.9 / (2 + j));
  const noiseScales = stepSizes.map((e) => 0.8 * Math.sqrt(e));
  const [center, start] = [
    [0.5, -0.2],
    [1.1, 0.6],
  ];

  /** Mean and covariance of (x^J, Σ ε_j x^j/E): y = (x, S) ← M y + r, plus s N(0, 1) along x and ε_{j+1} x in S. */
  function law(h: Matrix, shift: readonly number[]) {
    const weight = stepSizes.reduce((p, q) => p + q, 0);
    let y = [...start, ...start.map((value) => stepSizes[0] * value)];
    let spread: number[][] = Array.from({ length: 4 }, () => [0, 0, 0, 0]);
    for (let j = 0; j + 1 < stepSizes.length; j++) {
      const [e, next, s2] = [stepSizes[j] / 2, stepSizes[j + 1], noiseScales[j] ** 2];
      const a = h.map((row, i) => row.map((value, k) => (i === k ? 1 - e / tau : 0) - e * value));
      const r = shift.map((value, i) => e * (center[i] / tau - value));
      const eye = (i: number, k: number) => (i === k ? 1 : 0);
      const map = [0, 1, 2, 3].map((i) =>
        [0, 1, 2, 3].map((k) => (k < 2 ? (i < 2 ? a[i][k] : next * a[i - 2][k]) : eye(i, k))),
      );
      y = apply(map, y).map((value, i) => value + (i < 2 ? r[i] : next * r[i - 2]));
      const noise = [0, 1, 2, 3].map((i) =>
        [0, 1, 2, 3].map((k) => s2 * eye(i % 2, k % 2) * (i < 2 ? 1 : next) * (k < 2 ? 1 : next)),
      );
      spread = times(times(map, spread), transposed(map)).map((row, i) =>
        row.map((value, k) => value + noise[i][k]),
      );
    }
    const scale = (i: number) => (i < 2 ? 1 : 1 / weight);
    return {
      center: y.map((value, i) => value * scale(i)),
      spread: spread.map((row, i) => row.map((value, k) => value * scale(i) * scale(k))),
    };
  }

  // 14 statistics: false-alarm rate 5.3e-7.
  test("last iterate and average are jointly normal with the recursion's mean and covariance", () => {
    const settings = { tau, stepSizes, noiseScales };
    const replicas = Array.from({ length: R }, (_, replica) => {
      const normals = bulkNormals(2, 5, replica);
      const [from, at] = [Float64Array.from(start), Float64Array.from(center)];
      const result = finish(sgldDirect([targetLoss], at, from, settings, normals));
      return [...result.last, ...result.mean];
    });
    const exact = law(H, b);
    hasNormalLaw(replicas, exact.center, exact.spread);
  });

  test("the complement's two normals have the law of the chain without f", () => {
    const { mean: average, last } = complementLaw({ tau, stepSizes, noiseScales });
    const exact = law([[0, 0], [0, 0]], [0, 0]); // biome-ignore format: a matrix
    for (const i of [0, 1]) {
      const offset = start[i] - center[i];
      expect(center[i] + last.decay * offset).toBeCloseTo(exact.center[i], 13);
      expect(center[i] + average.decay * offset).toBeCloseTo(exact.center[2 + i], 13);
      expect(last.scales[0] ** 2).toBeCloseTo(exact.spread[i][i], 13);
      expect(last.scales[0] * average.scales[0]).toBeCloseTo(exact.spread[i][2 + i], 13);
      expect(average.scales[0] ** 2 + average.scales[1] ** 2).toBeCloseTo(exact.spread[2 + i][2 + i], 13);
    }
    expect(last.scales[1]).toBe(0);
    expect(average.scales[1]).toBeGreaterThan(0.01);
  });

  test("a fresh loss for each transition is used in its turn", () => {
    const silent = () => new Float64Array(2);
    const settings = {
      tau,
      stepSizes: Float64Array.of(0.2, 0.3, 0.1),
      noiseScales: Float64Array.of(0, 0, 0),
    };
    const flat = (slope: number) => ({ dimension: 2, value: () => slope, gradient: () => [slope, 0] });
    const zero = new Float64Array(2);
    const result = finish(sgldDirect([flat(2), flat(10)], zero, zero, settings, silent));
    const second = -0.1 * 2;
    expect(result.last[0]).toBeCloseTo(second - 0.15 * (10 + second / tau), 14);
    expect(result.loss).toBe(6);
  });
});

describe("Robbins–Monro", () => {
  const [tau, noiseScale, samples] = [0.4, 0.7, 3];
  const stepSizes = Float64Array.of(0.8, 0.5, 0.35, 0.3);
  const center = [0.9, 0.3];

  // x ← (1 − a)x + a x_k − aτ(H(x + s Z̄) + b), Z̄ ~ N(0, I/M): 5 statistics, rate 1.9e-7.
  test("the iterate is normal with the recursion's mean and covariance", () => {
    let y: number[] = [...center];
    let spread: number[][] = [[0, 0], [0, 0]]; // biome-ignore format: a matrix
    for (const a of stepSizes) {
      const map = H.map((row, i) => row.map((value, k) => (i === k ? 1 - a : 0) - a * tau * value));
      y = apply(map, y).map((value, i) => value + a * center[i] - a * tau * b[i]);
      const noise = times(H, H).map((row) =>
        row.map((value) => (value * (a * tau * noiseScale) ** 2) / samples),
      );
      spread = times(times(map, spread), transposed(map)).map((row, i) =>
        row.map((value, k) => value + noise[i][k]),
      );
    }
    const settings = { tau, noiseScale, stepSizes, samples };
    const replicas = Array.from({ length: R }, (_, replica) => {
      const normals = bulkNormals(2, 12, replica);
      return [...finish(robbinsMonroDirect([targetLoss], Float64Array.from(center), settings, normals)).mean];
    });
    hasNormalLaw(replicas, y, spread);
  });

  test("without noise it converges to the proximal point, (I + τH)x = x_k − τb", () => {
    const settings = { tau, noiseScale: 0, stepSizes: new Float64Array(200).fill(0.5), samples: 1 };
    const result = finish(
      robbinsMonroDirect([targetLoss], Float64Array.from(center), settings, bulkNormals(2, 200, 1)),
    );
    const map = H.map((row, i) => row.map((value, k) => (i === k ? 1 : 0) + tau * value));
    const proximal = solve2(
      map,
      center.map((value, i) => value - tau * b[i]),
    );
    expect(result.mean[0]).toBeCloseTo(proximal[0], 12);
    expect(result.mean[1]).toBeCloseTo(proximal[1], 12);
  });
});

test("the test's own statistics: a standard normal passes, one shifted or scaled by a tenth does not", () => {
  const z = normalVector(90, 12_000);
  const pairs = (scale: number, shift: number) =>
    Array.from({ length: 6000 }, (_, i) => [scale * z[2 * i] + shift, z[2 * i + 1]]);
  const identity = [[1, 0], [0, 1]]; // biome-ignore format: a matrix
  hasNormalLaw(pairs(1, 0), [0, 0], identity);
  expect(() => hasNormalLaw(pairs(1, 0.1), [0, 0], identity)).toThrow();
  expect(() => hasNormalLaw(pairs(1.1, 0), [0, 0], identity)).toThrow();
});
