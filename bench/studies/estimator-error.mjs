/**
 * Relative mean-square error of the gradient of each estimator, at equal J and as error × time:
 * `node bench/studies/estimator-error.mjs [--quick] [--write]`. Needs `npm run build` before.
 *
 * On a network that it trains itself (to about 93 % test accuracy), on 3 minibatches × 20 repeats at two settings
 * (τ, δ), against the mean of at least 10⁶ samples. Error = mean |g − g*|² / |g*|², time = a whole update of a run
 * on one thread, Adam included. `--write` puts the picture into docs/.
 *
 * The truth g* is the mean of Walsh estimates with a seed of its own; its own error is estimated from the spread of
 * those estimates and taken off. Independent samples with raw weights are measured against the same truth.
 * Errors, which follow from seeds, also go to bench/results/estimator-error.json with `--write`: the benchmarks put
 * them beside their times.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { loadMnist, openBackend, train } from "../../dist/index.js";

const { values: flags } = parseArgs({ options: { quick: { type: "boolean" }, write: { type: "boolean" } } });
const MINIBATCHES = flags.quick ? 1 : 3;
const REPEATS = flags.quick ? 4 : 20;
const TRUTH_SAMPLES = flags.quick ? 2 ** 17 : 2 ** 20;
const B = 20;
const network = [784, 200, 10];
const SETTINGS = [
  { tau: 5e-4, temperature: 1 / 5 },
  { tau: 1e-2, temperature: 1 },
];
const ESTIMATORS = [
  {
    name: "independent, raw weights, complement sampled (Algorithm 4)",
    rowwise: false,
    coupling: { kind: "independent", samples: 1024, complement: "sample", centred: false },
  },
  {
    name: "independent, raw weights (Algorithm 4, marginalized)",
    rowwise: false,
    coupling: { kind: "independent", samples: 1024, complement: "marginalize", centred: false },
  },
  {
    name: "independent, centred",
    rowwise: false,
    coupling: { kind: "independent", samples: 1024, complement: "marginalize", centred: true },
  },
  { name: "antithetic pairs", rowwise: false, coupling: { kind: "antithetic", samples: 1024 } },
  { name: "Walsh, weights only, K = 2", rowwise: false, coupling: { kind: "walsh", blocks: 2 } },
  { name: "antithetic + row split", rowwise: true, coupling: { kind: "antithetic", samples: 1024 } },
  { name: "Walsh + row split, K = 2", rowwise: true, coupling: { kind: "walsh", blocks: 2 } },
  { name: "Walsh + row split, K = 4", rowwise: true, coupling: { kind: "walsh", blocks: 4 } },
];

const data = await loadMnist();
const { parameters, testAccuracy } = await train({
  network,
  data,
  objective: { kind: "loss" },
  optimizer: { kind: "gradient-descent", rate: 0.1 },
  batchSize: B,
  updates: 1700,
  threads: 1,
}).result;
console.log(`Network at ${(100 * testAccuracy).toFixed(1)} % test accuracy; ${cpus()[0].model}`);

const backend = await openBackend("native", { threads: 1 });
const batches = Array.from({ length: MINIBATCHES }, (_, i) => ({
  inputs: data.train.inputs.slice(784 * B * (i + 100), 784 * B * (i + 101)),
  labels: data.train.labels.slice(B * (i + 100), B * (i + 101)),
}));

const squared = (a) => a.reduce((sum, value) => sum + value * value, 0);

/** Mean of many Walsh estimates, with |error|² of that mean. */
async function truth(batch, setting) {
  const blocks = 32; // groups of 8: the quotient's bias falls with all of them
  const coupling = { kind: "walsh", blocks };
  const repeats = Math.ceil(TRUTH_SAMPLES / (512 * blocks));
  const mean = new Float64Array(parameters.length);
  let squares = 0;
  for (let update = 0; update < repeats; update++) {
    const options = { network, parameters, batch, coupling, rowwise: true, seed: 999, update, ...setting };
    const { gradient } = await backend.importanceSampling(options);
    for (let i = 0; i < mean.length; i++) mean[i] += gradient[i] / repeats;
    squares += squared(gradient) / repeats;
  }
  return { mean, error: (squares - squared(mean)) / (repeats - 1) };
}

/** Seconds of a whole update of a run, one thread: the median of five short runs. */
async function updateSeconds({ coupling, rowwise }) {
  const times = [];
  for (let run = 0; run < 5; run++) {
    const estimator = { kind: "importance-sampling", coupling, rowwise };
    const objective = { kind: "local-entropy", tau: 0.01, estimator };
    const { seconds } = await train({
      network,
      data: { train: data.train },
      objective,
      batchSize: B,
      updates: 60,
      threads: 1,
    }).result;
    times.push(seconds / 60);
  }
  return times.sort((a, b) => a - b)[2];
}

const table = [];
for (const estimator of ESTIMATORS) {
  const microseconds = 1e6 * (await updateSeconds(estimator));
  table.push({ name: estimator.name, error: [], microseconds });
}
for (const setting of SETTINGS) {
  const errors = ESTIMATORS.map(() => 0);
  for (const batch of batches) {
    const { mean, error } = await truth(batch, setting);
    const norm = squared(mean);
    for (const [e, { coupling, rowwise }] of ESTIMATORS.entries()) {
      let total = 0;
      for (let update = 0; update < REPEATS; update++) {
        const options = { network, parameters, batch, coupling, rowwise, seed: 7, update, ...setting };
        const { gradient } = await backend.importanceSampling(options);
        let difference = 0;
        for (let i = 0; i < mean.length; i++) difference += (gradient[i] - mean[i]) ** 2;
        total += difference - error;
      }
      errors[e] += total / REPEATS / norm / MINIBATCHES;
    }
  }
  for (const [e, value] of errors.entries()) table[e].error.push(value);
}
backend.close();

const head = SETTINGS.map(({ tau, temperature }) => `τ = ${tau}, δ = ${temperature}`);
const number = (value) => value.toPrecision(2).replace(/e\+?(\d)/, "e$1");
const lines = [
  `| relative mean-square error of the gradient, B = ${B} | ${head.join(" | ")} | µs an update | error × ms (second) |`,
  "| --- | --- | --- | --- | --- |",
  ...table.map(
    ({ name, error, microseconds }) =>
      `| ${name} | ${error.map(number).join(" | ")} | ${microseconds.toFixed(0)} | ${number((error[1] * microseconds) / 1000)} |`,
  ),
];
console.log(lines.join("\n"));

/** Labels for powers of ten only. */
const decade = (value) => (Number.isInteger(Math.round(1e6 * Math.log10(value)) / 1e6) ? String(value) : "");

if (flags.write) {
  const estimators = table.map(({ name, error: errors }) => ({ name, errors }));
  const folder = new URL("../results/", import.meta.url);
  mkdirSync(folder, { recursive: true });
  const text = JSON.stringify({ batchSize: B, settings: SETTINGS, estimators }, null, 1);
  writeFileSync(new URL("estimator-error.json", folder), `${text}\n`);

  const { document } = parseHTML("<html><body></body></html>");
  const points = table.flatMap(({ name, error, microseconds }) =>
    SETTINGS.map((_, s) => ({ name, setting: head[s], error: error[s], milliseconds: microseconds / 1000 })),
  );
  const figure = Plot.plot({
    document,
    width: 860,
    height: 420,
    marginLeft: 60,
    marginRight: 190,
    style: { background: "white", color: "#222", fontSize: "12px" },
    x: {
      type: "log",
      domain: [0.1, 40],
      ticks: 3,
      tickFormat: decade,
      label: "time of an update, one thread (ms) →",
    },
    y: {
      type: "log",
      domain: [0.01, 20_000],
      tickFormat: decade,
      label: "↑ relative mean-square error",
      grid: true,
    },
    marks: [
      Plot.dot(points, { x: "milliseconds", y: "error", symbol: "setting", stroke: "setting", r: 5 }),
      ...["start", "end"].map((textAnchor) =>
        Plot.text(
          points.filter(
            ({ setting, name }) =>
              setting === head[1] && (name === "antithetic pairs") === (textAnchor === "end"),
          ),
          {
            x: "milliseconds",
            y: "error",
            text: ({ name }) => name.replace(/ \(.*/, ""),
            dx: textAnchor === "start" ? 9 : -9,
            textAnchor,
          },
        ),
      ),
      Plot.text([`○ ${head[0]}     + ${head[1]}`], { frameAnchor: "bottom-left", dx: 8, dy: -8 }),
    ],
  });
  const svg = figure.outerHTML.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"');
  const docs = new URL("../../docs/", import.meta.url);
  writeFileSync(new URL("estimator-error.svg", docs), svg);
}
