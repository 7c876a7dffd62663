/**
 * Products with the Hessian: the reference against central differences of its float64 gradient, a network by hand, every
 * backend against the reference; and the eigenvalues above them against all of a small Hessian's.
 */
import { describe, expect, test } from "@jest/globals";
import type { Backend } from "../../src/backends/backend.ts";
import { hessianEigenvalues } from "../../src/eigenvalues.ts";
import { checkOperation } from "../../src/options/operations.ts";
import { networkLoss } from "../../src/reference/network/dense.ts";
import { eigenvaluesOfTridiagonal } from "../../src/tridiagonal.ts";
import {
  once,
  onEveryBackend,
  onEveryFastBackend,
  reference,
  sameBitsOnThreads,
} from "../support/backends.ts";
import { type CaseOptions, CROSS_ENTROPY, caseName, networkCase, normalVector } from "../support/fixtures.ts";
import { matches } from "../tolerances.ts";

/** Depths 1, 2 and 4, both activations with a slope, more rows than a block and than a part, floats and bytes. */
const CASES: readonly CaseOptions[] = [
  { layers: [5, 3], rows: 4 },
  { layers: [6, 17, 4], activation: "tanh", rows: 6, inputs: "floats" },
  { layers: [6, 31, 4], rows: 139 },
  { layers: [13, 15, 33, 16, 5], rows: 7 },
  { layers: [12, 17, 31, 14, 3], activation: "tanh", rows: 131 },
  { layers: [9, 8, 19], activation: "tanh", rows: 1200 },
  { layers: [784, 200, 10], rows: 20 },
];

function hessianCase(options: CaseOptions) {
  const { network, parameters, batch } = networkCase(options);
  const vector = Float32Array.from(normalVector(77, parameters.length));
  return { network, parameters, batch, vector };
}

describe("the reference's product is the slope of its gradient", () => {
  // Central differences with h = 1e-5 along a v of length 20: truncation h²|v|²/6 times the next derivative ~ 1e-7,
  // rounding 2⁻⁵³/h ~ 1e-11. A ReLU kink within h|v| of a pre-activation would show as an error near 1 over the rows; the
  // cases of few rows have none.
  const small = CASES.filter(
    ({ rows, layers, activation }) => layers[0] < 100 && rows < (activation === "tanh" ? 200 : 100),
  );
  test.each(small.map((options) => [caseName(options), options] as const))("%s", async (_, options) => {
    const input = hessianCase(options);
    const product = await reference.hessianProduct(input);
    const { gradient } = networkLoss(input.network, CROSS_ENTROPY, input.batch);
    const h = 1e-5;
    const moved = (by: number) =>
      gradient!(Float64Array.from(input.parameters, (x, i) => x + by * input.vector[i]));
    const [ahead, behind] = [moved(h), moved(-h)];
    const size = Math.max(...product.map(Math.abs));
    product.forEach((value, i) => {
      expect(Math.abs(value - (ahead[i] - behind[i]) / (2 * h)) / size).toBeLessThan(1e-6);
    });
  });
});

const dot = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((sum, x, i) => sum + x * b[i], 0);

test("a network by hand: one input, two classes, tanh", async () => {
  // h = tanh(w a), logits [u h, 0] with p = 1/(1 + e^{−u h}); f = −log p. With t = u h: f' = p − 1, f'' = p (1 − p).
  const [a, w, u] = [0.5, 0.8, 1.5];
  const network = { layers: [1, 1, 2], activation: "tanh" } as const;
  const parameters = Float64Array.of(w, 0, u, 0, 0, 0);
  const batch = { inputs: Float32Array.of(a), labels: Uint16Array.of(0) };
  const [hidden, slope] = [Math.tanh(w * a), 1 - Math.tanh(w * a) ** 2];
  const p = 1 / (1 + Math.exp(-u * hidden));
  // Along w: t moves by u·slope·a, and t's own second derivative is u·(−2 hidden slope)·a².
  const second = p * (1 - p) * (u * slope * a) ** 2 + (p - 1) * u * -2 * hidden * slope * a * a;
  const crossed = p * (1 - p) * hidden * u * slope * a + (p - 1) * slope * a; // w and u
  const product = await reference.hessianProduct({
    ...{ network, parameters, batch },
    vector: Float64Array.of(1, 0, 0, 0, 0, 0),
  });
  expect(product[0]).toBeCloseTo(second, 14);
  expect(product[2]).toBeCloseTo(crossed, 14);
  expect(product[1]).toBeCloseTo(second / a, 14); // the bias of the hidden unit, where a is 1
});

onEveryBackend((given) => {
  test("it is linear and symmetric, and zero along what changes nothing", async () => {
    const { network, parameters, batch, vector } = hessianCase({
      layers: [7, 9, 4],
      activation: "tanh",
      rows: 11,
    });
    const times = (v: Float32Array) =>
      given().operations.hessianProduct({ network, parameters, batch, vector: v });
    const other = Float32Array.from(normalVector(78, vector.length));
    const [first, second, sum] = await Promise.all([
      times(vector),
      times(other),
      times(vector.map((v, i) => v + 3 * other[i])),
    ]);
    matches(
      "hessian product",
      sum,
      first.map((value, i) => value + 3 * second[i]),
    );
    expect(dot(first, other) / dot(second, vector)).toBeCloseTo(1, 4);
    // All logits' biases moved alike leave every probability as it was.
    const same = new Float32Array(vector.length).fill(1, vector.length - 4);
    const left = await times(same);
    expect(Math.max(...left.map(Math.abs))).toBeLessThan(1e-6);
  });

  test("a row that is sure of its class keeps the digits of its small curvature", async () => {
    // Without a hidden layer and with zero inputs, logits are the biases: H v = p ∘ (v − Σ p v), all but one p below 1e-8.
    const network = { layers: [1, 3], activation: "relu" } as const;
    const product = await given().operations.hessianProduct({
      network,
      parameters: Float32Array.of(0, 0, 0, 20, 0, 1),
      batch: { inputs: Uint8Array.of(0), labels: Uint16Array.of(0) },
      vector: Float32Array.of(0, 0, 0, 100, 101, 103),
    });
    const [q, r] = [Math.exp(-20), Math.exp(-19)];
    const [p1, p2] = [q / (1 + q + r), r / (1 + q + r)];
    const mean = p1 + 3 * p2; // of v − 100
    matches("hessian product", product.slice(3), [-mean / (1 + q + r), p1 * (1 - mean), p2 * (3 - mean)]);
  });
});

onEveryFastBackend((given) => {
  test.each(CASES.map((options) => [caseName(options), options] as const))("%s", async (_, options) => {
    const input = hessianCase(options);
    matches(
      "hessian product",
      await given().operations.hessianProduct(input),
      await reference.hessianProduct(input),
    );
  });

  test("the same bits on any number of threads", async () => {
    if (!given.threaded) return;
    const input = hessianCase({ layers: [9, 18, 19], activation: "tanh", rows: 1200 });
    await sameBitsOnThreads(given, ({ operations }) => operations.hessianProduct(input));
  });

  test("cancelled between blocks of rows", async () => {
    if (given.engine === "cuda" || given().instructionSet === "simd") return; // told when all is done
    const { batch: some, ...rest } = hessianCase({ layers: [40, 60, 10], rows: 100 });
    const inputs = new Uint8Array(some.inputs.length * 400);
    for (let i = 0; i < 400; i++) inputs.set(some.inputs, i * some.inputs.length);
    const labels = new Uint16Array(40_000).fill(3);
    const input = { ...rest, batch: { inputs, labels } };
    const controller = new AbortController();
    const work = given().operations.hessianProduct({ ...input, signal: controller.signal });
    controller.abort(new Error("enough"));
    await expect(work).rejects.toThrow("enough");
    const { vector, batch, ...place } = hessianCase(CASES[0]);
    expect(await given().operations.hessianProduct({ ...place, batch, vector })).toHaveLength(vector.length);
  });
});

/** All eigenvalues of a symmetric matrix, falling, by Jacobi's rotations. */
function jacobi(matrix: readonly Float64Array[]): number[] {
  const a = matrix.map((row) => row.slice());
  const n = a.length;
  for (let sweep = 0; sweep < 12; sweep++) {
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        if (a[p][q] === 0) continue;
        const angle = Math.atan2(2 * a[p][q], a[q][q] - a[p][p]) / 2;
        const [c, s] = [Math.cos(angle), Math.sin(angle)];
        for (let k = 0; k < n; k++)
          [a[k][p], a[k][q]] = [c * a[k][p] - s * a[k][q], s * a[k][p] + c * a[k][q]];
        for (let k = 0; k < n; k++)
          [a[p][k], a[q][k]] = [c * a[p][k] - s * a[q][k], s * a[p][k] + c * a[q][k]];
      }
    }
  }
  return a.map((row, i) => row[i]).sort((x, y) => y - x);
}

type Point = Omit<ReturnType<typeof hessianCase>, "vector">;

/** The reference's whole Hessian, a product with each unit vector. */
async function denseHessian(point: Point): Promise<Float64Array[]> {
  const n = point.parameters.length;
  const rows = Array.from({ length: n }, (_, i) =>
    reference.hessianProduct({ ...point, vector: new Float64Array(n).fill(1, i, i + 1) }),
  );
  return (await Promise.all(rows)) as Float64Array[];
}

const spectrumOf = (point: Point) => once(["spectrum", point], async () => jacobi(await denseHessian(point)));

/** As `openBackend`'s operation, on a backend of the tests. */
const eigenvaluesOn = ({ operations }: Backend, options: object) =>
  hessianEigenvalues(operations, checkOperation("hessianEigenvalues", options));

describe("eigenvalues", () => {
  test("of tridiagonal matrices: closed forms, and zeros beside the diagonal", () => {
    // 2 on the diagonal, −1 beside it: 2 − 2 cos(kπ/(m + 1)).
    const m = 30;
    const { values, vectors } = eigenvaluesOfTridiagonal(new Array(m).fill(2), new Array(m - 1).fill(-1));
    const sorted = [...values].sort((a, b) => a - b);
    sorted.forEach((value, i) => {
      expect(value).toBeCloseTo(2 - 2 * Math.cos(((i + 1) * Math.PI) / (m + 1)), 13);
    });
    values.forEach((value, k) => {
      const v = vectors[k];
      expect(Math.hypot(...v)).toBeCloseTo(1, 13);
      for (const [i, x] of v.entries())
        expect(2 * x - (v[i - 1] ?? 0) - (v[i + 1] ?? 0)).toBeCloseTo(value * x, 13);
    });
    const last = eigenvaluesOfTridiagonal(new Array(m).fill(2), new Array(m - 1).fill(-1), m - 1);
    expect(last.values).toEqual(values);
    expect(last.vectors.map((v) => [...v])).toEqual(vectors.map((v) => [v[m - 1]]));
    expect(eigenvaluesOfTridiagonal([3, 1, 2], [0, 0]).values.sort()).toEqual([1, 2, 3]);
    const pair = eigenvaluesOfTridiagonal([0, 0], [1]).values.sort((a, b) => a - b);
    expect(pair).toEqual([expect.closeTo(-1, 14), expect.closeTo(1, 14)]);
    expect(eigenvaluesOfTridiagonal([5], []).values).toEqual([5]);
    expect(eigenvaluesOfTridiagonal([0, 0, 0], [0, 0]).values).toEqual([0, 0, 0]);
  });

  // 34 and 31 parameters; tanh has curvature of its own, so some eigenvalues are negative.
  const SMALL: readonly CaseOptions[] = [
    { layers: [3, 4, 3], activation: "tanh", rows: 9, inputs: "floats" },
    { layers: [4, 3, 4], rows: 12 },
  ];

  onEveryBackend((given) => {
    const exact = given.engine === "reference";
    const near = (actual: number, wanted: number, size: number) =>
      expect(Math.abs(actual - wanted) / size).toBeLessThan(exact ? 1e-9 : 3e-6);

    test.each(SMALL.map((options) => [caseName(options), options] as const))(
      "both ends of %s's spectrum, with vectors and residuals that hold",
      async (_, options) => {
        const { vector: _unused, ...point } = hessianCase(options);
        const spectrum = await spectrumOf(point);
        const n = spectrum.length;
        const tolerance = exact ? 1e-10 : 1e-5;
        const found = await eigenvaluesOn(given(), { ...point, largest: 3, smallest: 2, tolerance });
        expect(found.converged).toBe(true);
        expect(found.products).toBeLessThanOrEqual(point.parameters.length);
        for (const [i, { value }] of found.largest.entries()) near(value, spectrum[i], spectrum[0]);
        for (const [i, { value }] of found.smallest.entries()) near(value, spectrum[n - 1 - i], spectrum[0]);
        expect([found.largest.length, found.smallest.length]).toEqual([3, 2]);
        for (const { value, vector, residual } of [...found.largest, ...found.smallest]) {
          expect(Math.hypot(...vector)).toBeCloseTo(1, 10);
          const product = await reference.hessianProduct({ ...point, vector });
          const distance = Math.hypot(...product.map((h, i) => h - value * vector[i]));
          expect(distance).toBeLessThanOrEqual(residual + (exact ? 1e-12 : 3e-6) * spectrum[0]);
        }
      },
    );

    test("a search that is cut short says so, and its residuals are a bound", async () => {
      const { vector: _unused, ...point } = hessianCase(SMALL[0]);
      const spectrum = await spectrumOf(point);
      const found = await eigenvaluesOn(given(), { ...point, largest: 2, products: 4, tolerance: 1e-9 });
      expect([found.products, found.converged]).toEqual([4, false]);
      for (const { value, residual } of found.largest) {
        const distance = Math.min(...spectrum.map((eigenvalue) => Math.abs(eigenvalue - value)));
        expect(distance).toBeLessThanOrEqual(residual * 1.0001);
        expect(residual).toBeGreaterThan(1e-4 * spectrum[0]);
      }
    });

    test("it ends with the first product after which all residuals are small enough", async () => {
      const { vector: _unused, ...point } = hessianCase(SMALL[0]);
      for (const tolerance of [0.3, 0.03]) {
        const wanted = { ...point, largest: 2, tolerance };
        const found = await eigenvaluesOn(given(), wanted);
        expect(found.converged).toBe(true);
        const most = Math.max(...found.largest.map(({ residual }) => residual));
        expect(most).toBeLessThanOrEqual(tolerance * found.largest[0].value * 1.0001);
        const before = await eigenvaluesOn(given(), { ...wanted, products: found.products - 1 });
        expect(before.converged).toBe(false);
      }
    });

    test("all eigenvalues, past the space that one start reaches", async () => {
      // Two rows, two classes, no hidden layer: H has rank 2 at most of 8 parameters.
      const { vector: _unused, ...point } = hessianCase({ layers: [3, 2], rows: 2 });
      const spectrum = await spectrumOf(point);
      const found = await eigenvaluesOn(given(), { ...point, largest: 8, tolerance: 1e-12 });
      expect(found.products).toBe(8);
      for (const [i, { value }] of found.largest.entries()) near(value, spectrum[i], spectrum[0]);
      found.largest.forEach(({ vector }, i) => {
        for (const { vector: other } of found.largest.slice(0, i)) {
          expect(Math.abs(dot(vector, other))).toBeLessThan(1e-9);
        }
      });
    });

    test("the same seed, the same result; given arrays are read before the call returns", async () => {
      const { vector: _unused, ...point } = hessianCase(SMALL[1]);
      const options = { ...point, largest: 2, products: 6, seed: 5 };
      const first = await eigenvaluesOn(given(), options);
      const [parameters, labels] = [point.parameters.slice(), point.batch.labels.slice()];
      const inputs = Buffer.from(point.batch.inputs as Uint8Array); // whose slices are no copies
      const call = eigenvaluesOn(given(), { ...options, parameters, batch: { inputs, labels } });
      for (const array of [parameters, labels, inputs]) array.fill(0);
      expect(await call).toEqual(first);
      expect((await eigenvaluesOn(given(), { ...options, seed: 6 })).largest).not.toEqual(first.largest);
    });
  });

  test("a loss that is flat: zeros, converged", async () => {
    const { vector: _unused, ...point } = hessianCase({ layers: [3, 4, 2], rows: 3 });
    // Dead units and equal logits' weights: only the biases of the logits have curvature, so 3 rows give one eigenvalue.
    const parameters = point.parameters.map((_, i) => (i < 16 ? -1 : 0));
    const found = await eigenvaluesOn({ operations: reference } as unknown as Backend, {
      ...point,
      parameters,
      largest: 2,
      smallest: 1,
    });
    expect(found.converged).toBe(true);
    expect(found.largest[0].value).toBeCloseTo(0.5, 12); // ¼ (1, −1)ᵀ(1, −1)
    expect(found.largest[1].value).toBeCloseTo(0, 12);
    expect(found.smallest[0].value).toBeCloseTo(0, 12);
  });
});
