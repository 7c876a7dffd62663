/**
 * The benchmarks as a list of stems, and one run over them: `local-entropy bench` runs it as it is, bench/run.mjs
 * with rivals from other packages.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { Harness } from "./harness.mjs";

const folder = new URL(".", import.meta.url);
export const STEMS = readdirSync(folder)
  .filter((name) => name.endsWith(".bench.mjs"))
  .map((name) => name.replace(".bench.mjs", ""));

/** Relative mean-square error of each estimator by name, at τ = 0.01, δ = 1, as the study wrote it. */
function estimatorErrors() {
  const file = new URL("results/estimator-error.json", folder);
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
    await (await import(`./${stem}.bench.mjs`)).default(harness);
  }
  return harness.results;
}
