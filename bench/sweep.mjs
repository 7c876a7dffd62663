/**
 * Projected against direct over B, the hidden width and J, on one core by processor time, which other programs do not
 * disturb: is the projection ever slower, and does time grow as the count of operations says? And peak memory
 * against J.
 *
 * Each axis runs through B = 20, width 200, J = 1,000 (Robbins–Monro: M = 10, J/10 steps, J evaluations); all
 * pairs of B and width are measured at J = 10, 100 and 1,000, each point by a few calls.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { initialParameters } from "../lib/initialization.js";
import { operationCount } from "./floors.mjs";
import { backends, key, openRun } from "./problem.mjs";

const BATCHES = [1, 5, 20, 64, 256];
const WIDTHS = [10, 50, 200, 500, 1000];
const SAMPLES = [10, 100, 1000, 10_000, 100_000];
const BASE = { B: 20, width: 200, J: 1000 };
const M = 10;

/** Estimators by kind: (J, projected) → the seam's object. */
const ESTIMATORS = {
  "importance-sampling": (samples, projected) => ({
    kind: "importance-sampling",
    coupling: { kind: "independent", samples, complement: "marginalize", centred: true },
    temperature: 1,
    rowwise: false,
    projected,
  }),
  sgld(J, projected) {
    const stepSizes = Float64Array.from({ length: J }, (_, i) => 1 / (1001 + i));
    const noiseScales = stepSizes.map(Math.sqrt);
    return { kind: "sgld", stepSizes, noiseScales, chainStart: "center", batches: 1, projected };
  },
  "robbins-monro"(J, projected) {
    const stepSizes = Float64Array.from({ length: J / M }, (_, i) => 0.1 * (i + 1) ** -0.7);
    return { kind: "robbins-monro", samples: M, stepSizes, batches: 1, projected };
  },
};

function points(quick) {
  const grid = BATCHES.flatMap((B) =>
    WIDTHS.flatMap((width) => [10, 100, 1000].map((J) => ({ B, width, J }))),
  );
  const long = SAMPLES.slice(3).map((J) => ({ ...BASE, J }));
  const all = [...grid, ...long];
  return quick ? all.filter(({ B, width, J }) => B <= 20 && width <= 200 && J <= 100) : all;
}

/** Processor seconds of an update: the least of calls that fill a tenth of a second, at most seven. */
async function seconds(backend, estimator, { B, width }) {
  const network = { layers: [784, width, 10], activation: "relu" };
  const state = { parameters: initialParameters(network, key), moments: [], chain: null };
  const { session, run } = openRun(backend, estimator, { network, batchSize: B, state });
  const times = [];
  let total = 0;
  while (times.length === 0 || (total < 0.1 && times.length < 7)) {
    const before = process.cpuUsage();
    await run();
    const { user, system } = process.cpuUsage(before);
    times.push((user + system) / 1e6);
    total += times.at(-1);
  }
  session.close();
  return Math.min(...times);
}

/** Least-squares slope of log y against log x. */
function slope(x, y) {
  const [u, v] = [x, y].map((values) => values.map(Math.log));
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [mu, mv] = [mean(u), mean(v)];
  const top = u.reduce((sum, value, i) => sum + (value - mu) * (v[i] - mv), 0);
  return top / u.reduce((sum, value) => sum + (value - mu) ** 2, 0);
}

/** Along each axis through the base: slope of the time and of the operations, for each form. */
function slopes(measured, weigh) {
  const found = [];
  for (const kind of Object.keys(ESTIMATORS)) {
    for (const axis of Object.keys(BASE)) {
      const others = Object.keys(BASE).filter((name) => name !== axis);
      const line = measured.filter(
        (point) => point.kind === kind && others.every((name) => point[name] === BASE[name]),
      );
      if (line.length < 3) continue;
      const x = line.map((point) => point[axis]);
      for (const form of ["projected", "direct"]) {
        const counts = line.map(({ B, width, J }) =>
          weigh(operationCount(kind, { rows: B, d1: width, J, projected: form === "projected", samples: M })),
        );
        const [time, operations] = [line.map((point) => point[form]), counts].map((y) => slope(x, y));
        found.push({ kind, axis, form, time, operations, deviation: time - operations });
      }
    }
  }
  return found;
}

/** @param weigh an operation count → one number */
export async function sweep({ quick, weigh }) {
  const opened = Object.entries(backends());
  const [name, backend] = opened.find(([label]) => label.endsWith("1 thread")) ?? opened[0];
  const measured = [];
  for (const [kind, estimator] of Object.entries(ESTIMATORS)) {
    for (const point of points(quick)) {
      const projected = await seconds(backend, estimator(point.J, true), point);
      const direct = await seconds(backend, estimator(point.J, false), point);
      measured.push({ kind, ...point, projected, direct });
    }
    const mine = measured.filter((point) => point.kind === kind);
    const gains = mine.map(({ projected, direct }) => direct / projected);
    const [low, high] = [Math.min(...gains), Math.max(...gains)].map((gain) => gain.toPrecision(3));
    console.log(`\n${kind}, direct over projected at ${mine.length} sizes: ${low} … ${high}`);
  }
  for (const [, each] of opened) each.close();
  const lines = slopes(measured, weigh);
  console.log("\nLog-log slopes: estimator, axis, form, of time, of operations");
  for (const { kind, axis, form, time, operations, deviation } of lines) {
    const cells = [kind.padEnd(20), axis.padEnd(6), form.padEnd(10), time.toFixed(2), operations.toFixed(2)];
    console.log(`  ${cells.join(" ")}${Math.abs(deviation) > 0.3 ? "  deviates" : ""}`);
  }
  return { backend: name, points: measured, slopes: lines };
}

/** Peak resident bytes of a process that runs one update of J samples, for growing J. */
export function measureMemory({ quick }) {
  const script = fileURLToPath(new URL("sample-memory.mjs", import.meta.url));
  const peaks = [];
  for (const form of ["projected", "direct", "walsh"]) {
    for (const J of quick ? [10, 1000] : form === "direct" ? [10, 1000, 10_000] : [10, 1000, 100_000]) {
      const { status, stdout, stderr } = spawnSync(process.execPath, [script, form, String(J)]);
      if (status !== 0) throw new Error(`sample-memory.mjs: ${stderr}`);
      peaks.push({ form, ...JSON.parse(String(stdout)) });
    }
  }
  console.log("\nPeak memory of an update of importance sampling");
  for (const { form, J, peak } of peaks)
    console.log(`  ${form}, J = ${J}: ${(peak / 2 ** 20).toFixed(1)} MB`);
  return peaks;
}
