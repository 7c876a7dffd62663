/**
 * Trains a network on a part of MNIST in workers of the page, and draws how it goes.
 *
 * `train` is the same as in Node: `backend: "auto"` finds no native addon in a browser and takes WebAssembly, with threads
 * where the page may share memory. The page's own thread only draws.
 */
import { cosine, train } from "local-entropy";
import { lineChart } from "./chart.js";

const LAYERS = [784, 200, 10];
const TRAIN_ROWS = 12_000;
const TEST_ROWS = 2_000;
const UPDATES = 6_000;

const element = (id) => document.getElementById(id);
const tell = (text) => {
  element("status").textContent = text;
};

/** The first `count` rows of an IDX file, which has a header before them. */
async function rowsOf(name, header, width, count) {
  const last = header + count * width - 1;
  const response = await fetch(`/mnist/${name}`, { headers: { Range: `bytes=${header}-${last}` } });
  if (response.status !== 206)
    throw new Error(`/mnist/${name} could not be fetched: status ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

async function split(name, count) {
  const [inputs, labels] = await Promise.all([
    rowsOf(`${name}-images-idx3-ubyte`, 16, 784, count),
    rowsOf(`${name}-labels-idx1-ubyte`, 8, 1, count),
  ]);
  return { inputs, labels, count, width: 784, classes: 10 };
}

const METHODS = {
  "local-entropy": { kind: "local-entropy", tau: 0.01 },
  loss: { kind: "loss" },
};

async function run(data, stopped) {
  const training = train({
    network: LAYERS,
    data,
    objective: METHODS[element("method").value],
    optimizer: { kind: "adam", rate: cosine(1e-3, 0), weightDecay: 0.05 },
    batchSize: 32,
    updates: UPDATES,
    recordEvery: 50,
    evaluateEvery: 250,
    threads: Number(element("threads").value),
    signal: stopped,
  });
  const { name, instructionSet, threads } = training.backend;
  element("build").textContent =
    `${name} ${instructionSet}, ${threads} ${threads === 1 ? "thread" : "threads"}`;
  const loss = lineChart(element("loss"), { x: [0, UPDATES], y: [0, 2.5], format: (y) => y.toFixed(1) });
  const accuracy = lineChart(element("curve"), {
    x: [0, UPDATES],
    y: [0.8, 1],
    format: (y) => `${Math.round(100 * y)} %`,
  });
  for await (const record of training) {
    loss(record.update, record.loss);
    element("updates").textContent = record.update.toLocaleString("en");
    element("speed").textContent = Math.round(record.updatesPerSecond).toLocaleString("en");
    if (record.testAccuracy === undefined) continue;
    accuracy(record.update, record.testAccuracy);
    element("accuracy").textContent = `${(100 * record.testAccuracy).toFixed(1)} %`;
  }
  return training.result;
}

const cores = navigator.hardwareConcurrency ?? 1;
const choices = globalThis.crossOriginIsolated
  ? Array.from({ length: Math.min(cores, 8) }, (_, i) => i + 1)
  : [1];
element("threads").replaceChildren(...choices.map((count) => new Option(count, count)));
element("threads").value = Math.min(2, choices.length);

if (!globalThis.crossOriginIsolated) {
  tell("This host does not isolate its pages (headers COOP and COEP), so they share no memory: one thread.");
}

let data = null;
let halt = null;

element("button").addEventListener("click", async () => {
  if (halt !== null) {
    halt.abort();
    return;
  }
  halt = new AbortController();
  element("button").textContent = "Stop";
  try {
    if (data === null) {
      tell("Fetching the digits …");
      data = { train: await split("train", TRAIN_ROWS), test: await split("t10k", TEST_ROWS) };
    }
    tell("Training …");
    const { testAccuracy, seconds } = await run(data, halt.signal);
    tell(
      `Done: ${(100 * testAccuracy).toFixed(1)} % of the test digits after ${seconds.toFixed(1)} s of training.`,
    );
  } catch (error) {
    tell(halt.signal.aborted ? "Stopped." : error.message);
  }
  halt = null;
  element("button").textContent = "Start again";
});
