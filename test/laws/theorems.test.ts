/**
 * Theorems 2 and 4 (García Trillos, Kaplan, Sanz-Alonso, Entropy 2019): along exact iterates, F_τ (Algorithm 1) and
 * F^H_τ (Algorithm 2) never rise, whatever f; by quadrature in one and two dimensions on an f with several minima.
 *
 *     F_τ(x) = −log ∫ e^{−f} φ_{x,τ},  x_{k+1} = E_q[X], q ∝ e^{−f} φ_{x_k,τ}
 *     F^H_τ(x) = ∫ f φ_{x,τ},          x_{k+1} = argmin F^H(x) + |x − x_k|²/2τ, the *global* minimizer
 *
 * Both are majorization–minimization, which gives more than the theorems say, and the tests hold it: each iterate
 * falls by at least |x_{k+1} − x_k|²/2τ.
 *
 * Two quadratures: the trapezoidal rule for the exact iterates, and J equally likely normals (the quantiles of
 * N(0, 1), scaled to variance one) for the package's own estimators, which, fed with them as their samples, must make
 * the same iterates. Symbols: τ variance, J nodes.
 */

import { describe, expect, test } from "@jest/globals";
import { meanOf } from "../../src/network.ts";
import { robbinsMonroDirect } from "../../src/reference/chains/robbins-monro.ts";
import { finish, type LossFunction } from "../../src/reference/machine/work.ts";
import { importanceSamplingDirect } from "../../src/reference/sampling/importance-sampling.ts";
import { testAll } from "../support/everything.ts";

/** Taken out once: looking up a global in a hot loop is slow under jest. */
const { cos, exp, sin } = Math;

/**
 * Nodes of N(0, 1) with weights φ. The trapezoidal rule's error on e^{iωz} is e^{−(2π/STEP − ω)²/2}: below 1e-20 for
 * all that f has at these τ.
 */
const STEP = 0.4;
const NODES = Array.from({ length: 37 }, (_, i) => (i - 18) * STEP);
const WEIGHTS = NODES.map((z) => (STEP * Math.exp((-z * z) / 2)) / Math.sqrt(2 * Math.PI));

interface Surface extends LossFunction {
  readonly name: string;
  readonly gradient: (x: Float64Array) => number[];
  readonly tau: number;
  readonly starts: readonly (readonly number[])[];
}

/** Non-convex, bounded below, several minima. */
const SURFACES: readonly Surface[] = [
  {
    name: "1-D, a tilted double well with ripples",
    dimension: 1,
    tau: 0.17,
    starts: [[2.6], [0.1], [-2.2]],
    value: ([x]) => 0.3 * (x * x - 1.5) ** 2 + 0.4 * x + 0.5 * cos(5 * x),
    gradient: ([x]) => [1.2 * x * (x * x - 1.5) + 0.4 - 2.5 * sin(5 * x)],
  },
  {
    name: "2-D, a curved valley with ripples",
    dimension: 2,
    tau: 0.23,
    starts: [
      [1.7, -1.1],
      [-1.4, 1.6],
    ],
    value: ([x, y]) => (1 - x) ** 2 * 0.4 + 0.7 * (y - x * x) ** 2 + 0.6 * cos(3 * x - 2 * y),
    gradient: ([x, y]) => {
      const ripple = -0.6 * sin(3 * x - 2 * y);
      return [-0.8 * (1 - x) - 2.8 * x * (y - x * x) + 3 * ripple, 1.4 * (y - x * x) - 2 * ripple];
    },
  },
];

/** ∫ g(x') φ_{x,τ}(x') dx', g of several entries. */
function integral(
  x: readonly number[],
  tau: number,
  g: (point: Float64Array) => readonly number[],
): number[] {
  const s = Math.sqrt(tau);
  const total: number[] = [];
  const add = (weight: number, point: Float64Array) => {
    g(point).forEach((value, i) => {
      total[i] = (total[i] ?? 0) + weight * value;
    });
  };
  NODES.forEach((z, i) => {
    if (x.length === 1) add(WEIGHTS[i], Float64Array.of(x[0] + s * z));
    else
      NODES.forEach((w, k) => {
        add(WEIGHTS[i] * WEIGHTS[k], Float64Array.of(x[0] + s * z, x[1] + s * w));
      });
  });
  return total;
}

/** F_τ(x) and E_q[X]. */
function localEntropy({ value, tau }: Surface, x: readonly number[]): { energy: number; mean: number[] } {
  const [mass, ...moments] = integral(x, tau, (point) => {
    const w = exp(-value(point));
    return [w, ...Array.from(point, (p) => w * p)];
  });
  return { energy: -Math.log(mass), mean: moments.map((moment) => moment / mass) };
}

/** F^H_τ(x) and its gradient E∇f. */
function heat({ value, gradient, tau }: Surface, x: readonly number[]): { energy: number; slope: number[] } {
  const [energy, ...slope] = integral(x, tau, (point) => [value(point), ...gradient(point)]);
  return { energy, slope };
}

const squared = (a: readonly number[], b: readonly number[]) =>
  a.reduce((sum, value, i) => sum + (value - b[i]) ** 2, 0);

/** Global minimizer of F^H(x) + |x − x_k|²/2τ: the best of a grid over ±2.5 around x_k, then descent from there. */
function proximalPoint(surface: Surface, center: readonly number[]): number[] {
  const { tau, dimension } = surface;
  const steps = Array.from({ length: 21 }, (_, i) => (i - 10) / 4);
  const offsets = dimension === 1 ? steps.map((u) => [u]) : steps.flatMap((u) => steps.map((v) => [u, v]));
  let best: number[] = [...center];
  let lowest = Number.POSITIVE_INFINITY;
  for (const offset of offsets) {
    const x = center.map((value, i) => value + offset[i]);
    const cost = heat(surface, x).energy + squared(x, center) / (2 * tau);
    if (cost < lowest) [lowest, best] = [cost, x];
  }
  for (let t = 0; t < 120; t++) {
    const { slope } = heat(surface, best);
    best = best.map((value, i) => value - 0.25 * (value - center[i] + tau * slope[i]));
  }
  return best;
}

/** J equally likely numbers with mean zero and variance one, close to N(0, 1) in law: scaled quantiles. */
function quantiles(count: number): Float64Array {
  const fine = 1e-3;
  const numbers = new Float64Array(count);
  let [mass, z] = [0, -8];
  for (let j = 0; j < count; j++) {
    while (mass < (j + 0.5) / count) {
      mass += (fine * exp(-((z + fine / 2) ** 2) / 2)) / Math.sqrt(2 * Math.PI);
      z += fine;
    }
    numbers[j] = z;
  }
  const square = numbers.reduce((sum, value) => sum + value * value, 0) / count;
  return numbers.map((value) => value / Math.sqrt(square));
}

/** Quantiles as an estimator's samples: J of them in 1-D, the √J × √J product in 2-D. */
function asNormals(dimension: number, axis: number) {
  const z = quantiles(axis);
  const normals = (index: number) =>
    dimension === 1
      ? Float64Array.of(z[index % axis])
      : Float64Array.of(z[index % axis], z[Math.floor(index / axis) % axis]);
  return { normals, samples: axis ** dimension };
}

const cases = SURFACES.flatMap((surface) =>
  surface.starts.map((start) => [`${surface.name}, from ${start}`, surface, start] as const),
);

/** Rounding and quadrature: what a decrease may be short of. */
const SLACK = 1e-12;

describe.each(cases)("%s", (_, surface, start) => {
  const { dimension, tau } = surface;

  test("f is not convex on the way: its slope rises and falls", () => {
    const slopes = Array.from(
      { length: 41 },
      (__, i) => surface.gradient(Float64Array.of(i / 10 - 2, 0.3))[0],
    );
    const rises = slopes.slice(1).map((slope, i) => slope > slopes[i]);
    expect(new Set(rises).size).toBe(2);
  });

  test("theorem 2: F_τ falls along x ← E_q[X], and stops where ∇F_τ = 0", () => {
    let x: readonly number[] = start;
    let { energy, mean } = localEntropy(surface, x);
    const first = energy;
    for (let k = 0; k < 400; k++) {
      const before = { x, energy };
      x = mean;
      ({ energy, mean } = localEntropy(surface, x));
      const moved = squared(x, before.x);
      expect(energy).toBeLessThanOrEqual(before.energy - moved / (2 * tau) + SLACK);
    }
    expect(first - energy).toBeGreaterThan(0.05);
    expect(squared(x, mean)).toBeLessThan(1e-12);
    // A point where it stops is stationary: central differences of F_τ itself.
    const h = 1e-4;
    for (let i = 0; i < dimension; i++) {
      const at = (offset: number) =>
        localEntropy(
          surface,
          x.map((value, c) => (c === i ? value + offset : value)),
        ).energy;
      expect(Math.abs(at(h) - at(-h)) / (2 * h)).toBeLessThan(1e-5);
    }
  });

  test("importance sampling on equally likely nodes makes the same iterates, F_τ falling", () => {
    const { normals, samples } = asNormals(dimension, dimension === 1 ? 1500 : 60);
    const coupling = { kind: "independent", samples, complement: "sample", centred: false } as const;
    const settings = { coupling, temperature: 1, tau, noiseScale: Math.sqrt(tau) };
    let x: Float64Array = Float64Array.from(start);
    let last = Number.POSITIVE_INFINITY;
    for (let k = 0; k < 8; k++) {
      const exact = localEntropy(surface, [...x]);
      const estimate = finish(importanceSamplingDirect(surface, x, settings, normals));
      expect(estimate.freeEnergy).toBeLessThan(last);
      expect(Math.abs(estimate.freeEnergy - exact.energy)).toBeLessThan(0.05);
      const mean = meanOf(x, estimate.gradient, tau);
      expect(Math.sqrt(squared([...mean], exact.mean))).toBeLessThan(0.01);
      expect(Math.sqrt(squared([...mean], [...x]))).toBeGreaterThan(k === 0 ? 0.05 : 0);
      last = estimate.freeEnergy;
      x = mean;
    }
  });

  // Quadrature in two dimensions takes seconds: one start of each surface shows it, test:all takes the others too.
  const quick = dimension === 1 || start === surface.starts[0];
  (quick ? test : testAll)("theorem 4: F^H_τ falls along global proximal points", () => {
    let x: readonly number[] = start;
    let { energy } = heat(surface, x);
    const first = energy;
    for (let k = 0; k < 6; k++) {
      const before = { x, energy };
      x = proximalPoint(surface, x);
      energy = heat(surface, x).energy;
      expect(energy).toBeLessThanOrEqual(before.energy - squared(x, before.x) / (2 * tau) + SLACK);
    }
    expect(first - energy).toBeGreaterThan(0.05);
  });

  test("the proximal point is stationary, and Robbins–Monro on equally likely nodes stops there from nearby", () => {
    const next = proximalPoint(surface, start);
    const { slope } = heat(surface, next);
    slope.forEach((g, i) => {
      expect(Math.abs(next[i] - start[i] + tau * g)).toBeLessThan(1e-5);
    });
    // J = 60 transitions on all nodes: gradient descent on the sampled F^H(x) + |x − x_k|²/2τ.
    const { normals, samples } = asNormals(dimension, dimension === 1 ? 400 : 24);
    const settings = { tau, noiseScale: Math.sqrt(tau), stepSizes: new Float64Array(60).fill(0.3), samples };
    const found = finish(robbinsMonroDirect([surface], Float64Array.from(start), settings, normals)).mean;
    const residual = heat(surface, [...found]).slope.map((g, i) => found[i] - start[i] + tau * g);
    expect(Math.max(...residual.map(Math.abs))).toBeLessThan(0.01);
  });
});

test("monotone decrease is no triviality: steps of 20τ∇F_τ do rise", () => {
  const [surface] = SURFACES;
  const rises = (next: (x: readonly number[]) => readonly number[]) => {
    let x: readonly number[] = [-2.2];
    let count = 0;
    for (let k = 0; k < 50; k++) {
      const before = localEntropy(surface, x).energy;
      x = next(x);
      if (localEntropy(surface, x).energy > before + SLACK) count++;
    }
    return count;
  };
  expect(rises((x) => localEntropy(surface, x).mean)).toBe(0);
  expect(rises((x) => [x[0] - 20 * (x[0] - localEntropy(surface, x).mean[0])])).toBeGreaterThan(0);
});
