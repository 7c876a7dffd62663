/**
 * The benchmarks as a list of stems, and one run over them: `local-entropy bench` runs it as it is, bench/run.mjs
 * with rivals from other packages.
 */
import { existsSync, readFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import dense from "./dense.bench.mjs";
import evolutionStrategies from "./evolution-strategies.bench.mjs";
import gaussian from "./gaussian.bench.mjs";
import { Harness } from "./harness.mjs";
import hessianProduct from "./hessian-product.bench.mjs";
import importanceSampling from "./importance-sampling.bench.mjs";
import philox from "./philox.bench.mjs";
import projection from "./projection.bench.mjs";
import robbinsMonro from "./robbins-monro.bench.mjs";
import sgd from "./sgd.bench.mjs";
import sgld from "./sgld.bench.mjs";
import step from "./step.bench.mjs";
import update from "./update.bench.mjs";
import walsh from "./walsh.bench.mjs";

/** By stem. Written out, since in the installed package no folder tells which there are: they are bundled. */
const BENCHMARKS = {
  dense,
  "evolution-strategies": evolutionStrategies,
  gaussian,
  "hessian-product": hessianProduct,
  "importance-sampling": importanceSampling,
  philox,
  projection,
  "robbins-monro": robbinsMonro,
  sgd,
  sgld,
  step,
  update,
  walsh,
};

export { dataName, missing } from "./problem.mjs";
export const STEMS = Object.keys(BENCHMARKS);

/** Relative mean-square error of each estimator by name, at τ = 0.01, δ = 1, as the study wrote it. */
function estimatorErrors() {
  const file = new URL("../bench/results/estimator-error.json", import.meta.url); // the same from the bundle
  if (!existsSync(file)) return {};
  const { estimators } = JSON.parse(readFileSync(file, "utf8"));
  return Object.fromEntries(estimators.map(({ name, errors }) => [name, errors.at(-1)]));
}

/** What the numbers were measured on. */
export function machine() {
  return {
    processor: cpus()[0].model.trim(),
    cores: cpus().length,
    memory: totalmem(),
    system: `${process.platform} ${release()}`,
    node: process.version,
  };
}

/**
 * Runs the benchmarks of these stems (default all), printing a table of each.
 *
 * @returns results: [{ stem, title, unit, rows: [{ name, median, low, high, samples, ratio, error?, errorSeconds? }] }]
 */
export async function runSuite({ quick = false, only = STEMS, peerRivals } = {}) {
  const harness = new Harness({ quick, errors: estimatorErrors(), peerRivals });
  for (const stem of only) {
    harness.stem = stem;
    await BENCHMARKS[stem](harness);
  }
  return harness.results;
}
