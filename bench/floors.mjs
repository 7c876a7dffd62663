/**
 * How fast each operation could be: what it must compute and move, over what this machine can do at most.
 *
 * Floor = max((arithmetic/peak + exponentials/peak + normals/peak) / cores, bytes/bandwidth). Arithmetic counts a
 * multiply-add, and an addition of a transform, as one. A normal is 5 products of 32 × 32 bits (Philox: 20 a block
 * of four) and 26 multiply-adds (Box–Muller's polynomials, square root and scalings).
 *
 * Symbols: B rows, r = min(B, d0) of them independent, d0, d1, d2 widths, J samples or steps, z the share of pixels
 * that are not zero, n parameters.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { duration } from "./harness.mjs";
import { B, backends, batch, key, network, openRun, parameters } from "./problem.mjs";

const PRODUCTS = 5;
const POLYNOMIALS = 26;

/** The machine's peaks on one core and on two, by the probe; { reason } where it does not build. */
export function measureFloors() {
  const folder = mkdtempSync(join(tmpdir(), "local-entropy-peaks-"));
  const program = join(folder, "peaks");
  const source = fileURLToPath(new URL("probes/peaks.cc", import.meta.url));
  const flags = ["-std=c++17", "-O3", "-march=native", "-ffast-math", "-pthread"];
  try {
    const built = spawnSync(process.env.CXX ?? "c++", [...flags, source, "-o", program], {
      encoding: "utf8",
    });
    if (built.status !== 0) return { reason: built.error?.message ?? built.stderr.split("\n")[0] };
    const [one, two] = [1, 2].map((threads) => JSON.parse(spawnSync(program, [String(threads)]).stdout));
    return { one, two };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const [d0, width, classes] = network.layers;
const pixels = batch().inputs;
const z = pixels.reduce((sum, byte) => sum + (byte > 0), 0) / pixels.length;

/** The first product A W (the pixels that are not zero) and the way back AᵀC. */
const through = (rows, d1) => rows * z * d0 * d1;

/** Forward through the last layer, and back through it: its gradient and its input's signal. */
const last = (rows, d1) => rows * (d1 + 1) * classes;

/**
 * What an update must do: { arithmetic, exponentials, normals }, for `kind` "importance-sampling", "sgld" or
 * "robbins-monro" (J evaluations in all), projected or direct, without the optimizer's step.
 */
export function operationCount(kind, { rows = B, d1 = width, J, projected, samples = 30 }) {
  const upper = (d1 + 1) * classes;
  const n = (d0 + 1) * d1 + upper;
  const r = Math.min(rows, d0);
  const span = ((r * (r + 1)) / 2) * d1; // a triangle times r × d1
  const forward = projected ? span : rows * (d0 + 1) * z * d1;
  const normals = projected ? r * d1 + upper : n;
  const exponentials = rows * (classes + 1);
  // Gram matrix, first product, the gradient's way back; the direct form has the last two as well.
  const once = 2 * through(rows, d1) + (projected ? rows * rows * z * d0 : 0);
  const back = kind === "importance-sampling" ? normals : 2 * last(rows, d1);
  const sample = forward + last(rows, d1) + back;
  // A chain moves all its coordinates each step; Robbins–Monro once for M evaluations.
  const steps = kind === "sgld" ? J : kind === "robbins-monro" ? J / samples : 0;
  const step = projected ? 2 * span + 4 * r * d1 + 4 * upper : through(rows, d1) + 4 * n;
  return {
    arithmetic: once + J * sample + steps * step,
    exponentials: J * exponentials,
    normals: J * normals,
  };
}

/** Walsh blocks with the row split: K blocks of 2m samples. */
function walshCount(K) {
  const m = 2 ** Math.ceil(Math.log2(width + classes));
  const transform = m * Math.log2(m);
  // Transforms: T of the other classes, N and the way back of ψ of each, the hidden row's norm and the losses.
  const row = (3 * classes + 1) * transform + 2 * m * classes * 6;
  const upper = (width + 1) * classes;
  return {
    arithmetic: 2 * through(B, width) + B * K * row + B * ((B + 1) / 2) * width * K,
    exponentials: B * K * 2 * m * (classes + 1),
    normals: K * (B * width + upper),
  };
}

/** Multiply-adds that cost as much as an exponential and as a normal, by the peaks. */
export function prices({ one }) {
  return {
    exponential: one.multiplyAdds / one.exponentials,
    normal: (PRODUCTS * one.multiplyAdds) / one.wideMultiplies + POLYNOMIALS,
  };
}

/** A count in multiply-adds. */
export function weighed({ arithmetic, exponentials = 0, normals = 0 }, { exponential, normal }) {
  return arithmetic + exponential * exponentials + normal * normals;
}

const n = (d0 + 1) * width + (width + 1) * classes;
const FIRST = 4 * (d0 + 1) * width; // bytes of W¹

const SAMPLING = { temperature: 1, rowwise: false };
const INDEPENDENT = { kind: "independent", samples: 1000, complement: "marginalize", centred: true };
const STEPS = Float64Array.from({ length: 1000 }, (_, i) => 1 / (1001 + i));
const DECREASING = Float64Array.from({ length: 30 }, (_, i) => 0.1 * (i + 1) ** -0.7);

/** Estimators by kind: projected → the seam's object, and how many evaluations an update of it makes. */
const ESTIMATORS = {
  "importance-sampling": [
    (projected) => ({ kind: "importance-sampling", coupling: INDEPENDENT, ...SAMPLING, projected }),
    1000,
  ],
  sgld: [
    (projected) => ({
      ...{ kind: "sgld", stepSizes: STEPS, noiseScales: STEPS.map(Math.sqrt), projected },
      ...{ chainStart: "previous", batches: 1 },
    }),
    1000,
  ],
  "robbins-monro": [
    (projected) => ({ kind: "robbins-monro", samples: 30, stepSizes: DECREASING, batches: 1, projected }),
    900,
  ],
};

/** What is measured: { name, count, bytes } and, but for normals, { estimator, options, calls an update's sample }. */
function operations() {
  const step = { arithmetic: 2 * through(B, width) + 3 * last(B, width), exponentials: B * (classes + 1) };
  const zeros = () => new Float32Array(n);
  const adam = {
    optimizer: { kind: "adam", beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.05 },
    state: { parameters, moments: [zeros(), zeros()], chain: null },
    rate: 1e-3,
  };
  const walsh = { kind: "importance-sampling", coupling: { kind: "walsh", blocks: 2 }, ...SAMPLING };
  const forms = Object.entries(ESTIMATORS).flatMap(([kind, [estimator, J]]) =>
    [true, false].map((projected) => ({
      name: `${kind}, ${projected ? "projected" : "direct"}`,
      count: operationCount(kind, { J, projected }),
      bytes: kind === "sgld" && !projected ? J * 3 * FIRST : 2 * FIRST,
      estimator: estimator(projected),
      calls: 1,
    })),
  );
  return [
    { name: "normal", count: { arithmetic: 0, normals: 1 }, bytes: 12 },
    {
      name: "sgd",
      count: step,
      bytes: 2 * FIRST,
      estimator: { kind: "sgd" },
      options: { rate: 0.01 },
      calls: 200,
    },
    {
      name: "sgd with Adam",
      count: { ...step, arithmetic: step.arithmetic + 10 * n },
      bytes: 6 * 4 * n + FIRST, // parameters and two moments, read and written; the first product
      estimator: { kind: "sgd" },
      options: adam,
      calls: 200,
    },
    {
      name: "walsh, row split, K = 2",
      count: walshCount(2),
      bytes: 2 * FIRST,
      estimator: { ...walsh, rowwise: true, projected: true },
      calls: 50,
    },
    ...forms,
  ];
}

/** Least processor seconds of some repeats: what other programs take does not count. */
async function processorSeconds(repeats, run) {
  const all = [];
  for (let repeat = 0; repeat < repeats; repeat++) {
    const before = process.cpuUsage();
    await run();
    const { user, system } = process.cpuUsage(before);
    all.push((user + system) / 1e6);
  }
  return Math.min(...all);
}

/** Each operation's floor beside its processor time, in seconds, on one core by the best backend. */
export async function measureAboveFloors({ quick, floors }) {
  if (!floors.one) return [];
  const opened = Object.entries(backends());
  const [name, backend] = opened.find(([label]) => label.endsWith("1 thread")) ?? opened[0];
  const rows = [];
  for (const { name: operation, count, bytes, estimator, options, calls } of operations()) {
    const input = { key, stream: 16, update: 0, sample: 0, count: 1e6 };
    const { run, session } = estimator ? openRun(backend, estimator, options) : {};
    const each = estimator ? () => run(calls) : () => backend.operations.gaussian(input);
    await each();
    const measured = (await processorSeconds(quick ? 1 : 9, each)) / (calls ?? input.count);
    session?.close();
    const arithmetic = weighed(count, prices(floors)) / floors.one.multiplyAdds;
    const moving = bytes / floors.one.near;
    const floor = Math.max(arithmetic, moving);
    const bound = arithmetic > moving ? "arithmetic" : "bytes";
    rows.push({ operation, ...count, bytes, floor, bound, measured, above: measured / floor });
  }
  for (const [, each] of opened) each.close();
  console.log(`\nAbove the floor, processor time on one core, ${name}`);
  for (const { operation, floor, bound, measured, above } of rows) {
    const cells = [operation.padEnd(32), duration(floor).padStart(9), duration(measured).padStart(9)];
    console.log(`  ${cells.join("  ")}  ${above.toFixed(2)} × (${bound})`);
  }
  return rows;
}
