/**
 * Times rivals beside each other: checks first, then alternates them round by round, so that a slow minute of the
 * machine falls on all of them; reports medians, quartiles and ratios of single calls, and processor time beside them,
 * which counts all threads of a rival and nothing of other programs. The clock is tinybench's.
 */
import { Bench } from "tinybench";

/** Quick runs tell whether everything still works; only full ones are worth quoting. Seconds are one turn's. */
const EFFORT = {
  quick: { rounds: 1, seconds: 0.05, samples: 2 },
  full: { rounds: 3, seconds: 0.3, samples: 5 },
};

/** One turn of `run`, an async function: seconds of each call, and processor seconds a call. */
async function sample(run, { seconds, samples }) {
  const bench = new Bench({
    time: 1000 * seconds,
    iterations: samples,
    warmup: false,
    retainSamples: true,
    throws: true,
  });
  bench.add("", run, { async: true });
  const before = process.cpuUsage();
  const [{ result }] = await bench.run();
  const { user, system } = process.cpuUsage(before);
  const milliseconds = result.latency.samples;
  return {
    seconds: milliseconds.map((each) => each / 1000),
    processor: (user + system) / 1e6 / milliseconds.length,
  };
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
  stem = "";

  /**
   * @param quick little effort
   * @param errors relative mean-square error of each estimator by name, as bench/studies/estimator-error.mjs wrote it
   * @param peerRivals (task, options) → rivals from other packages, checked; none in the installed package
   */
  constructor({ quick = false, errors = {}, peerRivals = async () => ({}) } = {}) {
    this.quick = quick;
    this.effort = quick ? EFFORT.quick : EFFORT.full;
    this.errors = errors;
    this.peerRivals = peerRivals;
  }

  /**
   * Compares rivals and prints the table; the first is the yardstick.
   *
   * @param title what is computed
   * @param rivals by name: an async function; or { run } or { sample(effort) → one turn }, with `error`,
   *   the estimator's name in `errors`, where rivals err differently, and with `per` of its own, or `share` of it
   * @param per how many of `unit` one call does (default one call)
   */
  async compare(title, rivals, { per = 1, unit = "call" } = {}) {
    const turns = Object.entries(rivals).map(([name, rival]) => {
      const { run = rival, sample: other, error, per: own = per, share = 1 } = rival;
      return { name, error, run, turn: other, per: own * share, seconds: [], processor: [] };
    });
    for (const each of turns) each.effort = await this.#warmUp(each);
    for (let round = 0; round < this.effort.rounds; round++) {
      for (const { turn, run, effort, seconds, processor } of turns) {
        const one = await (turn ? turn(effort) : sample(run, effort));
        seconds.push(...one.seconds);
        processor.push(one.processor);
      }
    }
    const rows = turns.map((each) => this.#row(each));
    for (const row of rows) row.ratio = row.median / rows[0].median;
    this.results.push({ stem: this.stem, title, unit, rows });
    print(title, unit, rows);
  }

  /** One call, unmeasured; slow rivals get fewer samples a turn. */
  async #warmUp({ turn, run }) {
    const { seconds, samples } = this.effort;
    const start = performance.now();
    if (turn) await turn({ seconds: 0, samples: 1 });
    else await run();
    const call = (performance.now() - start) / 1000;
    return { seconds, samples: Math.max(1, Math.min(samples, Math.ceil(seconds / call))) };
  }

  #row({ name, error, per, seconds, processor }) {
    const sort = (values) => values.map((value) => value / per).sort((a, b) => a - b);
    const sorted = sort(seconds);
    const [low, median, high] = [0.25, 0.5, 0.75].map((q) => quantile(sorted, q));
    const row = {
      name,
      median,
      low,
      high,
      processor: quantile(sort(processor), 0.5),
      samples: sorted.length,
    };
    if (error === undefined || this.errors[error] === undefined) return row;
    return { ...row, error: this.errors[error], errorSeconds: this.errors[error] * median };
  }
}

/** A duration with its unit, three digits. */
export function duration(seconds) {
  const [scale, unit] =
    seconds < 1e-6 ? [1e9, "ns"] : seconds < 1e-3 ? [1e6, "µs"] : seconds < 1 ? [1e3, "ms"] : [1, "s"];
  return `${(seconds * scale).toPrecision(3)} ${unit}`;
}

function print(title, unit, rows) {
  const width = Math.max(...rows.map(({ name }) => name.length));
  const erring = rows.some(({ error }) => error !== undefined);
  const head = `${title}, time a ${unit}: median, quartiles, ratio to the first, processor time`;
  console.log(`\n${head}${erring ? "; relative mean-square error × ms" : ""}`);
  for (const { name, median, low, high, ratio, processor, errorSeconds } of rows) {
    const spread = `${duration(low)} … ${duration(high)}`;
    const cells = [duration(median).padStart(9), spread.padStart(21), ratio.toPrecision(3).padStart(7)];
    cells.push(duration(processor).padStart(9));
    if (erring) cells.push((errorSeconds ? (1e3 * errorSeconds).toPrecision(2) : "–").padStart(8));
    console.log(`  ${name.padEnd(width)}  ${cells.join("  ")}`);
  }
}
