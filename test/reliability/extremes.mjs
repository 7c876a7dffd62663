/**
 * Short runs at options of extreme size, each of them with one chance in four anywhere in 1e-45 … 1e45, else usual: a run
 * is refused before it begins, diverges by name, or ends with finite numbers, on every backend that runs here.
 */
import { DivergedError, OptionError, train } from "../../dist/index.js";

const RUNS = process.argv.includes("--long") ? 30_000 : 2_000;
const BACKENDS = ["native", "wasm", "reference"];

/** Seeded, so that a run that breaks something can be made again: mulberry32. */
let state = 20260719;
function random() {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}
const one = (choices) => choices[Math.floor(random() * choices.length)];
const usualOr = (usual) => (random() < 0.25 ? 10 ** (90 * random() - 45) : usual);

const inputs = Uint8Array.from({ length: 40 * 6 }, () => Math.floor(256 * random()));
const labels = Uint8Array.from({ length: 40 }, (_, i) => i % 3);
const data = { train: { inputs, labels, count: 40, width: 6, classes: 3 } };

function estimator() {
  const stepSize = usualOr(0.01);
  const coupling = one([
    { kind: "walsh", blocks: 2 },
    { kind: "antithetic", samples: 8 },
  ]);
  const rowwise = random() < 0.5;
  return one([
    { kind: "importance-sampling", temperature: usualOr(1), rowwise, coupling },
    { kind: "evolution-strategies", rowwise, coupling },
    { kind: "sgld", steps: 4, stepSize },
    { kind: "robbins-monro", samples: 2, steps: 3, stepSize },
  ]);
}

function optimizer() {
  const rate = usualOr(0.01);
  return one([
    { kind: "gradient-descent", rate },
    { kind: "momentum", rate, momentum: one([0.9, 1 - 1e-9]) },
    { kind: "adam", rate, epsilon: usualOr(1e-8), weightDecay: usualOr(0.05), beta2: one([0, 1e-6, 0.999]) },
    { kind: "shift" },
  ]);
}

function options() {
  const chosen = estimator();
  const heat = ["evolution-strategies", "robbins-monro"].includes(chosen.kind);
  const gradients = ["sgld", "robbins-monro"].includes(chosen.kind);
  const start = Float32Array.from({ length: 43 }, () => usualOr(0.3) * (random() - 0.5));
  return {
    network: {
      layers: [6, 4, 3],
      activation: gradients ? one(["relu", "tanh"]) : one(["relu", "tanh", "step"]),
    },
    data,
    loss: gradients ? "cross-entropy" : one(["cross-entropy", "zero-one"]),
    objective: { kind: heat ? "heat" : "local-entropy", tau: usualOr(0.01), estimator: chosen },
    optimizer: optimizer(),
    ...(random() < 0.5 ? { parameters: start } : {}),
    batchSize: 5,
    updates: 30,
    recordEvery: 10,
    seed: Math.floor(random() * 2 ** 32),
    averaging: random() < 0.2,
    backend: one(BACKENDS),
    threads: one([1, 2]),
  };
}

async function outcome(given) {
  try {
    const run = train(given);
    for await (const { loss, gradientNorm } of run) {
      if (Number.isNaN(loss) || !Number.isFinite(gradientNorm))
        throw new Error(`A record has the loss ${loss} and the gradient's norm ${gradientNorm}`);
    }
    const { parameters } = await run.result;
    if (parameters.every(Number.isFinite)) return "finished";
    throw new Error("A parameter is not finite");
  } catch (error) {
    if (error instanceof OptionError) return "refused";
    if (error instanceof DivergedError) return "diverged";
    throw error;
  }
}

const counts = { refused: 0, diverged: 0, finished: 0 };
for (let i = 0; i < RUNS; i++) {
  const given = options();
  try {
    counts[await outcome(given)]++;
  } catch (error) {
    console.error(JSON.stringify({ ...given, data: undefined }));
    console.error(error);
    process.exit(1);
  }
}
console.log(
  `${RUNS} runs on Node ${process.versions.node}: ${counts.refused} refused, ${counts.diverged} diverged by name, ` +
    `${counts.finished} ended finite`,
);
