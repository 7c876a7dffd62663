/**
 * The law of squared error on a network without a hidden layer, known in closed form, on every backend.
 *
 * f = |A W − T|²/2B is quadratic in W, each output's column w by itself: H = AᵀA/B, slope Aᵀ(A w − t)/B. So q ∝ e^{−f/δ}
 * φ_{x,τ} is normal with precision Λ = H/δ + I/τ and mean m = Λ^{−1}(x/τ + Aᵀt/δB); the local entropy's gradient is
 * δ(x − m)/τ and F = f(x) + (δ/2) log det(τΛ) − |∇f|²_{Λ^{−1}}/2δ summed over columns; the heat is f plus a constant.
 *
 * Symbols: A (B × (d_0 + 1)) inputs with the bias input 1, T (B × d_1) targets, R replicas (updates).
 */
import { describe, expect, test } from "@jest/globals";
import type { Coupling, ImportanceSamplingOutput } from "../../src/backends/backend.ts";
import { onEveryBackend, reference } from "../support/backends.ts";
import { KEY, normalVector } from "../support/fixtures.ts";
import { mean, Z_BOUND, zOfMean } from "../support/statistics.ts";

const [B, d0, d1] = [3, 4, 2];
const network = { layers: [d0, d1], activation: "relu" } as const;
const loss = { kind: "squared-error" } as const;
const inputs = Float32Array.from(normalVector(301, B * d0));
const targets = Float32Array.from(normalVector(302, B * d1));
const parameters = Float32Array.from(normalVector(303, (d0 + 1) * d1));
const batch = { inputs, labels: new Uint16Array(0), targets };

const a = Array.from({ length: B }, (_, b) => [...inputs.subarray(b * d0, (b + 1) * d0), 1]);
const indices = (count: number) => Array.from({ length: count }, (_, i) => i);
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

/** Solves M v = r by elimination, and gives log det M. */
function solve(
  matrix: readonly (readonly number[])[],
  right: readonly number[],
): { v: number[]; log: number } {
  const rows = matrix.map((row, i) => [...row, right[i]]);
  let log = 0;
  for (const i of indices(rows.length)) {
    log += Math.log(rows[i][i]); // positive: M is positive definite
    for (const k of indices(rows.length)) {
      if (k === i) continue;
      const factor = rows[k][i] / rows[i][i];
      rows[k] = rows[k].map((value, j) => value - factor * rows[i][j]);
    }
  }
  return { v: rows.map((row, i) => row[rows.length] / row[i]), log };
}

/** ∇F (n), F and ∇f (n) at `parameters`. */
function exact(tau: number, delta: number) {
  const n = d0 + 1;
  const h = indices(n).map((i) => indices(n).map((k) => sum(a.map((row) => row[i] * row[k])) / B));
  const precision = h.map((row, i) => row.map((value, k) => value / delta + (i === k ? 1 / tau : 0)));
  const gradient = new Float64Array(n * d1);
  const slopes = new Float64Array(n * d1);
  let energy = 0;
  for (const c of indices(d1)) {
    const x = indices(n).map((i) => parameters[i * d1 + c]);
    const residuals = a.map((row, b) => sum(row.map((value, i) => value * x[i])) - targets[b * d1 + c]);
    const slope = indices(n).map((i) => sum(a.map((row, b) => row[i] * residuals[b])) / B);
    const { v, log } = solve(precision, slope); // m = x − Λ^{−1}∇f/δ
    energy += sum(residuals.map((r) => r * r)) / (2 * B);
    energy += (delta / 2) * (log + n * Math.log(tau)) - sum(slope.map((g, i) => g * v[i])) / (2 * delta);
    for (const i of indices(n)) {
      gradient[i * d1 + c] = v[i] / tau;
      slopes[i * d1 + c] = slope[i];
    }
  }
  return { gradient, energy, slopes };
}

const walsh = (blocks: number): Coupling => ({ kind: "walsh", blocks });
const FORMS: readonly { coupling: Coupling; rowwise: boolean }[] = [
  { coupling: walsh(64), rowwise: true },
  { coupling: walsh(64), rowwise: false },
  { coupling: { kind: "antithetic", samples: 400 }, rowwise: true },
  { coupling: { kind: "antithetic", samples: 400 }, rowwise: false },
];

const inputOf = (form: (typeof FORMS)[number], update: number, tau: number, temperature: number) => ({
  ...{ network, loss, parameters, batch, ...form, key: KEY, update, tau, temperature },
  ...{ noiseScale: Math.sqrt(tau), projected: true },
});

test("the closed form's own gradient of f is the reference's", async () => {
  const { gradient } = await reference.gradient({ network, loss, parameters, batch });
  const { slopes } = exact(0.3, 1);
  gradient.forEach((g: number, i: number) => {
    expect(g).toBeCloseTo(slopes[i], 12);
  });
});

onEveryBackend((given) => {
  const R = given.slow ? 20 : 120;

  describe.each(FORMS.map((form) => [JSON.stringify(form), form] as const))("%s", (_, form) => {
    // 10 entries and F. The quotient's bias is O(1/units) of an error's square: some hundredths of the replicas' spread.
    test("local entropy is that of the normal law", async () => {
      const [tau, delta] = [0.02, 0.8];
      const truth = exact(tau, delta);
      const results: ImportanceSamplingOutput[] = [];
      for (let update = 0; update < R; update++)
        results.push(await given().operations.importanceSampling(inputOf(form, update, tau, delta)));
      truth.gradient.forEach((g, i) => {
        expect(
          Math.abs(
            zOfMean(
              results.map(({ gradient }) => gradient[i]),
              g,
            ),
          ),
        ).toBeLessThan(Z_BOUND);
      });
      const energies = results.map(({ freeEnergy }) => freeEnergy);
      expect(Math.abs(zOfMean(energies, truth.energy))).toBeLessThan(Z_BOUND);
      expect(mean(energies)).toBeCloseTo(truth.energy, 1);
      // Power: the replicas' spread tells F from f, and by rows ∇F from ∇f.
      const f = await reference.loss({ network, loss, parameters, batch });
      expect(Math.abs(zOfMean(energies, f))).toBeGreaterThan(Z_BOUND);
      if (!form.rowwise || given.slow) return;
      const told = truth.slopes.map((g, i) => {
        const values = results.map(({ gradient }) => gradient[i]);
        return Math.abs(zOfMean(values, g));
      });
      expect(Math.max(...told)).toBeGreaterThan(Z_BOUND);
    });

    // Smoothing a quadratic adds a constant, so the heat's gradient is ∇f: 10 entries, unbiased at any number of samples.
    test("heat has the loss's own gradient", async () => {
      const tau = 0.3;
      const { slopes } = exact(tau, 1);
      const results: ArrayLike<number>[] = [];
      for (let update = 0; update < R; update++)
        results.push((await given().operations.evolutionStrategies(inputOf(form, update, tau, 1))).gradient);
      slopes.forEach((g, i) => {
        const values = results.map((gradient) => gradient[i]);
        expect(Math.abs(zOfMean(values, g))).toBeLessThan(Z_BOUND);
        expect(Math.abs(mean(values) - g)).toBeLessThan(0.5);
      });
    });
  });
});
