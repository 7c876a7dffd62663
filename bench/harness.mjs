/**
 * Times rivals beside each other: checks first, then alternates them round by round, so that a slow minute of the
 * machine falls on all of them; reports medians, spread and ratios. The clock and the number of calls a sample are
 * benchmark.js's.
 */
import Benchmark from "benchmark";

/** Quick runs tell whether everything still works; only full ones are worth quoting. */
const EFFORT = {
  quick: { rounds: 1, seconds: 0.05, samples: 3 },
  full: { rounds: 5, seconds: 0.6, samples: 8 },
};

/** Seconds of each sample of one turn of `run`, an async function. */
function sample(run, { seconds, samples }) {
  return new Promise((resolve, reject) => {
    new Benchmark({
      defer: true,
      delay: 0,
      maxTime: seconds,
      minSamples: samples,
      fn: (deferred) =>
        run().then(
          () => deferred.resolve(),
          (error) => reject(error),
        ),
      onComplete: ({ target }) => (target.error ? reject(target.error) : resolve(target.stats.sample)),
    }).run({ async: true });
  });
}

const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];

/** Throws unless |actual − expected| ≤ bound · |expected| as vectors (or numbers). */
export function expectClose(what, actual, expected, bound) {
  const [a, b] = [actual, expected].map((value) => (typeof value === "number" ? [value] : Array.from(value)));
  if (a.length !== b.length)
    throw new Error(`${what}: expected ${b.length} numbers but received ${a.length}`);
  const norm = (values) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
  const error = norm(a.map((value, i) => value - b[i])) / norm(b);
  if (!(error <= bound)) throw new Error(`${what}: relative error ${error} exceeds ${bound}: not timed`);
}

export class Harness {
  results = [];

  constructor(quick) {
    this.effort = quick ? EFFORT.quick : EFFORT.full;
  }

  /**
   * Compares rivals, an object of async functions by name, and prints the table; the first is the yardstick.
   *
   * @param title what is computed
   * @param rivals what is called
   * @param per how many of `unit` one call does (default one call)
   */
  async compare(title, rivals, { per = 1, unit = "call" } = {}) {
    const seconds = new Map(Object.keys(rivals).map((name) => [name, []]));
    for (const run of Object.values(rivals)) await run();
    for (let round = 0; round < this.effort.rounds; round++) {
      for (const [name, run] of Object.entries(rivals)) {
        seconds.get(name).push(...(await sample(run, this.effort)));
      }
    }
    const rows = [...seconds].map(([name, samples]) => {
      const sorted = samples.map((value) => value / per).sort((a, b) => a - b);
      const [low, median, high] = [0.25, 0.5, 0.75].map((q) => quantile(sorted, q));
      return { name, median, low, high, samples: sorted.length };
    });
    this.results.push({
      title,
      unit,
      rows: rows.map((row) => ({ ...row, ratio: row.median / rows[0].median })),
    });
    print(title, unit, rows);
  }
}

/** A duration with its unit, three digits. */
function duration(seconds) {
  const [scale, unit] =
    seconds < 1e-6 ? [1e9, "ns"] : seconds < 1e-3 ? [1e6, "µs"] : seconds < 1 ? [1e3, "ms"] : [1, "s"];
  return `${(seconds * scale).toPrecision(3)} ${unit}`;
}

function print(title, unit, rows) {
  const width = Math.max(...rows.map(({ name }) => name.length));
  console.log(`\n${title}, time a ${unit}: median, quartiles, ratio to the first`);
  for (const { name, median, low, high } of rows) {
    const spread = `${duration(low)} … ${duration(high)}`;
    const ratio = (median / rows[0].median).toPrecision(3);
    console.log(
      `  ${name.padEnd(width)}  ${duration(median).padStart(9)}  ${spread.padStart(21)}  ${ratio.padStart(6)}`,
    );
  }
}
