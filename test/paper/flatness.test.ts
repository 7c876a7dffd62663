/**
 * The measures of flatness on small networks: what changes with the scale of the units and what does not, and each against
 * the whole Hessian.
 */
import { afterAll, expect, test } from "@jest/globals";
import { layerShapes } from "../../src/network.ts";
import { openBackend } from "../../src/operations.ts";
import type { Batch } from "../../src/options/operation-types.ts";
import {
  around,
  filterDirection,
  flatnessOf,
  lossesAlong,
  relativeCurvature,
  rescaled,
} from "../../src/paper/flatness.ts";
import { correlation, fisherInterval } from "../../src/paper/statistics.ts";
import { networkCase } from "../support/fixtures.ts";

const opened = openBackend("reference");
afterAll(async () => (await opened).close());

const placeOf = (activation: "relu" | "tanh") => {
  const { network, parameters, batch } = networkCase({ layers: [4, 5, 3], activation, rows: 14 });
  return { network, parameters, batch: batch as Batch };
};
type Place = ReturnType<typeof placeOf>;

/** vᵀ(∇²f)v for each unit vector, and of D∇²fD the largest eigenvalue by powers of it, shifted to be positive. */
async function dense(place: Place) {
  const backend = await opened;
  const n = place.parameters.length;
  const rows: Float64Array[] = [];
  for (let i = 0; i < n; i++) {
    const vector = new Float64Array(n).fill(1, i, i + 1);
    rows.push(Float64Array.from(await backend.hessianProduct({ ...place, vector })));
  }
  return rows;
}

function largestOf(rows: readonly Float64Array[]): number {
  const shift = Math.max(...rows.map((row) => row.reduce((sum, value) => sum + Math.abs(value), 0)));
  let v = Float64Array.from(rows, (_, i) => 1 + Math.sin(i));
  let length = 1;
  for (let k = 0; k < 20_000; k++) {
    const next = rows.map((row, i) => row.reduce((sum, value, j) => sum + value * v[j], 0) + shift * v[i]);
    length = Math.hypot(...next);
    v = Float64Array.from(next, (value) => value / length);
  }
  return length - shift;
}

test("relative curvature is the largest eigenvalue of D∇²fD", async () => {
  const place = placeOf("tanh");
  const rows = await dense(place);
  const scaled = rows.map((row, i) =>
    row.map((value, j) => Math.abs(place.parameters[i] * place.parameters[j]) * value),
  );
  const { value, converged } = await relativeCurvature(await opened, place);
  expect(converged).toBe(true);
  expect(value / largestOf(scaled)).toBeCloseTo(1, 2);
});

test("rescaled units: the same function, another largest eigenvalue, the same relative curvature", async () => {
  const backend = await opened;
  const place = placeOf("relu");
  const other = { ...place, parameters: rescaled(place, 4) };
  expect(await backend.loss(other)).toBeCloseTo(await backend.loss(place), 6);
  const largest = async (one: Place) => (await backend.hessianEigenvalues(one)).largest[0].value;
  const relative = async (one: Place) => (await relativeCurvature(backend, one)).value;
  expect((await largest(other)) / (await largest(place))).toBeGreaterThan(1.5);
  expect((await relative(other)) / (await relative(place))).toBeCloseTo(1, 3);
});

test("heat's rise is half of τ times the trace; the measures are there", async () => {
  const place = placeOf("tanh");
  const trace = (await dense(place)).reduce((sum, row, i) => sum + row[i], 0);
  const { flatness, vectors } = await flatnessOf(await opened, place, [1e-4, 1e-2]);
  // 32 samples in pairs and signs: the rise's error is a few per cent at τ = 1e-4.
  expect(flatness.smoothed[0].heat / (0.5e-4 * trace)).toBeCloseTo(1, 0);
  expect(flatness.smoothed[1].heat).toBeGreaterThan(flatness.smoothed[0].heat);
  expect(flatness.norm).toBeCloseTo(Math.hypot(...place.parameters), 5);
  expect(flatness.largest).toEqual([...flatness.largest].sort((a, b) => b - a));
  expect(flatness.smallest).toBeLessThan(flatness.largest[4]);
  expect(vectors.map((vector) => vector.length)).toEqual([43, 43]);
});

test("a filter direction has each unit's length", async () => {
  const place = placeOf("relu");
  const direction = await filterDirection(await opened, place, 3);
  for (const { offset, rows, columns } of layerShapes(place.network)) {
    for (let c = 0; c < columns; c++) {
      const column = (x: ArrayLike<number>) =>
        Math.hypot(...Array.from({ length: rows }, (_, r) => x[offset + r * columns + c]));
      expect(column(direction) / column(place.parameters)).toBeCloseTo(1, 5);
    }
  }
  const [before, here, after] = await lossesAlong(
    await opened,
    place,
    [direction],
    around(0.5, 3).map((t) => [t]),
  );
  expect(here).toBeCloseTo(await (await opened).loss(place), 12);
  expect(Math.min(Math.abs(before - here), Math.abs(after - here))).toBeGreaterThan(1e-4);
});

test("correlations and their intervals", () => {
  expect(correlation([1, 2, 3, 4], [2, 4, 6, 8])).toBeCloseTo(1, 12);
  expect(correlation([1, 2, 3], [1, 0, 1])).toBeCloseTo(0, 12);
  expect(correlation([0, 1, 2, 3], [1, 0, 3, 2])).toBeCloseTo(0.6, 12);
  // atanh 0.6 = ln 2; ± 1.96/√(28 − 3).
  const [low, high] = fisherInterval(0.6, 28)!;
  expect(low).toBeCloseTo(Math.tanh(Math.LN2 - 0.392), 4);
  expect(high).toBeCloseTo(Math.tanh(Math.LN2 + 0.392), 4);
  expect(fisherInterval(0.6, 3)).toBeNull();
});
