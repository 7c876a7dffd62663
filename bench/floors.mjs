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
import { B, batch, network } from "./problem.mjs";

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
  // Three transforms a class (T, N, the way back of ψ), one each for the hidden row's norm and the losses.
  const row = (3 * classes + 2) * transform + 2 * m * classes * 6;
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

/** Operations by the titles of the benchmarks: [stem, row's beginning, count a unit, bytes a unit]. */
function rows() {
  const step = { arithmetic: 2 * through(B, width) + 3 * last(B, width), exponentials: B * (classes + 1) };
  const adam = { ...step, arithmetic: step.arithmetic + 10 * n };
  const moments = 6 * 4 * n; // parameters and two moments, read and written
  const sampling = (kind, J, projected) => operationCount(kind, { J, projected });
  return [
    ["gaussian", "gaussian", "", { arithmetic: 0, normals: 1 }, 12],
    ["sgd", "SGD", "", step, 2 * FIRST],
    ["step", "back-propagation with Adam", "", adam, moments + FIRST],
    ["walsh", "importance sampling by Walsh", "row split, K = 2", walshCount(2), 2 * FIRST],
    [
      "importance-sampling",
      "importance sampling",
      "independent, projected;",
      sampling("importance-sampling", 1000, true),
      2 * FIRST,
    ],
    [
      "importance-sampling",
      "importance sampling",
      "independent, direct",
      sampling("importance-sampling", 1000, false),
      2 * FIRST,
    ],
    ["sgld", "SGLD", "projected", sampling("sgld", 1000, true), 2 * FIRST],
    ["sgld", "SGLD", "direct", sampling("sgld", 1000, false), 1000 * 3 * FIRST],
    ["robbins-monro", "Robbins–Monro", "projected", sampling("robbins-monro", 900, true), 2 * FIRST],
    ["robbins-monro", "Robbins–Monro", "direct", sampling("robbins-monro", 900, false), 2 * FIRST],
  ];
}

/** Each operation's floor beside what was measured: seconds a unit, on one core and on two. */
export function floorTable({ results, floors }) {
  if (!floors?.one) return [];
  return rows().flatMap(([stem, title, begins, count, bytes]) => {
    const found = results.find((result) => result.stem === stem && result.title.startsWith(title));
    return ["one", "two"].flatMap((cores) => {
      const threads = cores === "one" ? "1 thread" : "2 threads";
      const row = found?.rows.find(({ name }) => name.startsWith(begins) && name.endsWith(threads));
      if (!row) return [];
      const peak = floors[cores];
      const arithmetic = weighed(count, prices(floors)) / peak.multiplyAdds;
      const moving = bytes / peak.near;
      const floor = Math.max(arithmetic, moving);
      const bound = arithmetic > moving ? "arithmetic" : "bytes";
      const name = `${found.title}, ${row.name}`;
      return [{ name, ...count, bytes, floor, bound, measured: row.median, above: row.median / floor }];
    });
  });
}
