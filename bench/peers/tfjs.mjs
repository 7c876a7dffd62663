/**
 * TensorFlow.js on one of its backends, speaking the protocol of protocol.py: `node tfjs.mjs tensorflow|wasm|cpu`.
 *
 * SGD, Adam and Algorithms 3, 4 and 5 (García Trillos, Kaplan, Sanz-Alonso, Entropy 2019) on a network with one
 * hidden layer of ReLU; gradients by hand. Normals: the native backend
 * draws by TensorFlow's own RandomStandardNormal through the binding, the others by tf.randomNormal, a loop in
 * JavaScript.
 *
 * Symbols: A (B, d0 + 1) inputs with the bias input, y (B, d2) labels as rows of the identity; parameters and noises
 * as lists [W1 (d0 + 1, d1), W2 (d1, d2), b (1, d2)], noises with a leading dimension C of samples.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(new URL("../../.peers/tfjs/package.json", import.meta.url));
const [, , backendName] = process.argv;
console.log = console.error; // what a library prints is no answer
const tf = require(backendName === "tensorflow" ? "@tensorflow/tfjs-node" : "@tensorflow/tfjs");
if (backendName === "wasm") require("@tensorflow/tfjs-backend-wasm");
await tf.setBackend(backendName);
await tf.ready();

const CHUNK = 8;
const TYPES = { float32: Float32Array, uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array };

/** Standard normals as a tensor. */
function normals(shape) {
  if (backendName !== "tensorflow") return tf.randomNormal(shape);
  const { binding } = tf.backend();
  const attributes = [
    { name: "dtype", type: binding.TF_ATTR_TYPE, value: binding.TF_FLOAT },
    { name: "T", type: binding.TF_ATTR_TYPE, value: binding.TF_INT32 },
    { name: "seed", type: binding.TF_ATTR_INT, value: 0 },
    { name: "seed2", type: binding.TF_ATTR_INT, value: 0 },
  ];
  return tf.backend().executeSingleOutput("RandomStandardNormal", attributes, [tf.tensor1d(shape, "int32")]);
}

let p; // the problem: tensors of data and parameters

function load({ network: [d0, d1, d2], batchSize, tau, parameters, inputs, labels }) {
  const pixels = tf.tensor2d(
    Float32Array.from(inputs.values, (byte) => byte / 255),
    inputs.shape,
  );
  const rows = inputs.shape[0];
  const [A, y] = [
    tf.concat([pixels, tf.ones([rows, 1])], 1),
    tf.oneHot(tf.tensor1d(Int32Array.from(labels.values), "int32"), d2).toFloat(),
  ];
  p = {
    shapes: [
      [d0 + 1, d1],
      [d1, d2],
      [1, d2],
    ],
    tau,
    s: Math.sqrt(tau),
    inputs: A,
    labels: y,
  };
  p.A = A.slice([0, 0], [batchSize, d0 + 1]);
  p.y = y.slice([0, 0], [batchSize, d2]);
  p.x = split(tf.tensor1d(parameters.values), []);
  return { name: "TensorFlow.js", version: tf.version.tfjs ?? tf.version_core };
}

/** Flat values (lead…, n) as the list of matrices. */
function split(flat, lead) {
  let at = 0;
  return p.shapes.map((shape) => {
    const size = shape[0] * shape[1];
    const part = flat.slice([...lead.map(() => 0), at], [...lead, size]).reshape([...lead, ...shape]);
    at += size;
    return part;
  });
}

const flat = (list) => tf.concat(list.map((part) => part.flatten()));
const fresh = (lead) => p.shapes.map((shape) => normals([...lead, ...shape]));
const perturbed = (Z) => p.x.map((part, i) => part.add(Z[i].mul(p.s)));

/** Mean losses (…) of parameters with any leading dimensions. */
function losses([W1, W2, b], A, y) {
  const logits = tf.matMul(tf.relu(tf.matMul(A, W1)), W2).add(b);
  return tf.logSumExp(logits, -1).sub(logits.mul(y).sum(-1)).mean(-1);
}

/** Back-propagated signal by the first layer's pre-activations, and gradients of W2 and b. */
function signals([W1, W2, b], A, y) {
  const H = tf.relu(tf.matMul(A, W1));
  const D = tf.softmax(tf.matMul(H, W2).add(b)).sub(y).div(y.shape[0]);
  const G = tf.matMul(D, W2, false, true).mul(tf.step(H));
  return [G, tf.matMul(H, D, true), D.sum(-2, true)];
}

function gradient(x, A, y) {
  const [G, ...rest] = signals(x, A, y);
  return [tf.matMul(A, G, true), ...rest];
}

/** Chunks of J samples: sizes, or the one that was given. */
function chunks(J, given) {
  if (given) return [{ Z: () => split(tensor(given), [given.shape[0]]) }];
  const count = Math.ceil(J / CHUNK);
  return Array.from({ length: count }, (_, i) => ({ Z: () => fresh([Math.min(CHUNK, J - i * CHUNK)]) }));
}
const tensor = ({ values, shape }) => tf.tensor(values, shape);

/** Runs `step` on a list of tensors, again and again; frees what it replaces. */
function iterate(start, count, step) {
  let state = tf.tidy(() => start.map((part) => part.clone()));
  for (let i = 0; i < count; i++) {
    const next = tf.tidy(() => step(state, i));
    tf.dispose(state);
    state = next;
  }
  return state;
}

const taken = (name, tensor) => {
  const values = tensor.dataSync();
  tensor.dispose();
  return { [name]: values };
};

/** Each task: settings → function of no arguments that returns arrays by name. */
const TASKS = {
  gaussian:
    ({ count }) =>
    () =>
      taken("normals", normals([count])),

  weights:
    ({ samples, noise = {} }) =>
    () =>
      taken(
        "losses",
        tf.tidy(() =>
          tf.concat(chunks(samples, noise.Z).map(({ Z }) => tf.tidy(() => losses(perturbed(Z()), p.A, p.y)))),
        ),
      ),

  "importance-sampling":
    ({ samples, noise = {} }) =>
    () => {
      let [total, largest] = [0, Number.NEGATIVE_INFINITY];
      const zeros = tf.tidy(() => p.x.map(tf.zerosLike));
      const list = chunks(samples, noise.Z);
      const sums = iterate(zeros, list.length, (held, i) => {
        const Z = list[i].Z();
        const f = losses(perturbed(Z), p.A, p.y);
        const top = Math.max(largest, -f.min().dataSync()[0]);
        const weights = f.neg().sub(top).exp().expandDims(0); // (1, C)
        const shrink = Math.exp(largest - top);
        total = total * shrink + weights.sum().dataSync()[0];
        largest = top;
        const C = f.shape[0];
        return held.map((sum, l) =>
          sum.mul(shrink).add(tf.matMul(weights, Z[l].reshape([C, -1])).reshape(sum.shape)),
        );
      });
      const mean = tf.tidy(() => flat(p.x.map((part, l) => part.add(sums[l].mul(p.s / total)))));
      tf.dispose([sums, zeros]);
      return taken("mean", mean);
    },

  sgld:
    ({ stepSizes, noise = {} }) =>
    () => {
      const xi = noise.xi && tensor(noise.xi);
      const start = tf.tidy(() => [
        ...p.x.map((part) => part.clone()),
        ...p.x.map((part) => part.mul(stepSizes[0])),
      ]);
      const state = iterate(start, stepSizes.length - 1, (held, j) => {
        const [x, sums] = [held.slice(0, 3), held.slice(3)];
        const e = stepSizes[j];
        const g = gradient(x, p.A, p.y);
        const Z = xi ? split(xi.slice([j, 0], [1, -1]).flatten(), []) : fresh([]);
        const keep = 1 - e / (2 * p.tau);
        const next = x.map((part, l) =>
          part
            .mul(keep)
            .add(p.x[l].mul(1 - keep))
            .sub(g[l].mul(e / 2))
            .add(Z[l].mul(Math.sqrt(e))),
        );
        return [...next, ...sums.map((sum, l) => sum.add(next[l].mul(stepSizes[j + 1])))];
      });
      const whole = stepSizes.reduce((sum, e) => sum + e, 0);
      const mean = tf.tidy(() => flat(state.slice(3)).div(whole));
      tf.dispose([state, start, xi ?? []]);
      return taken("mean", mean);
    },

  "robbins-monro":
    ({ samples, stepSizes, noise = {} }) =>
    () => {
      const given = noise.Z && tensor(noise.Z);
      const state = iterate(p.x, stepSizes.length, (x, j) => {
        const Z = given
          ? split(given.slice([j, 0, 0], [1, -1, -1]).squeeze([0]), [samples])
          : fresh([samples]);
        const at = x.map((part, l) => part.add(Z[l].mul(p.s)));
        const [G, ...rest] = signals(at, p.A, p.y).map((part) => part.mean(0));
        const g = [tf.matMul(p.A, G, true), ...rest];
        return x.map((part, l) => part.sub(part.sub(p.x[l]).add(g[l].mul(p.tau)).mul(stepSizes[j])));
      });
      const mean = tf.tidy(() => flat(state));
      tf.dispose([state, given ?? []]);
      return taken("mean", mean);
    },

  sgd: ({ rate, rows, restart }) =>
    descent(rows, restart, [], (x, A, y) => {
      const [G, ...rest] = signals(x, A, y);
      const moves = [tf.matMul(A, G.mul(rate), true), ...rest.map((part) => part.mul(rate))];
      return x.map((part, l) => part.sub(moves[l]));
    }),

  adam({ rate, weightDecay, rows, restart }) {
    let count = 0;
    return descent(rows, restart, [...p.x, ...p.x].map(tf.zerosLike), (state, A, y, first) => {
      count = first ? 1 : count + 1;
      const [x, m, v] = [state.slice(0, 3), state.slice(3, 6), state.slice(6)];
      const g = gradient(x, A, y);
      const m1 = m.map((part, l) => part.mul(0.9).add(g[l].mul(0.1)));
      const v1 = v.map((part, l) => part.mul(0.999).add(g[l].square().mul(0.001)));
      const [a, b] = [1 - 0.9 ** count, 1 - 0.999 ** count];
      const x1 = x.map((part, l) => {
        const root = v1[l].div(b).sqrt().add(1e-8);
        return part.mul(1 - rate * weightDecay).sub(m1[l].mul(rate / a).div(root));
      });
      return [...x1, ...m1, ...v1];
    });
  },
};

/** Minibatches `rows` (steps, B), going on from where the last call ended, or from the start. */
function descent({ values, shape: [count, size] }, restart, state, step) {
  const start = [...p.x, ...state];
  let held = start;
  return () => {
    const from = restart ? start : held;
    const next = iterate(from, count, (x, i) => {
      const batch = tf.tensor1d(Int32Array.from(values.subarray(i * size, (i + 1) * size)), "int32");
      return step(x, tf.gather(p.inputs, batch), tf.gather(p.labels, batch), from === start && i === 0);
    });
    if (held !== start) tf.dispose(held);
    held = next;
    return taken(
      "parameters",
      tf.tidy(() => flat(held.slice(0, 3))),
    );
  };
}

function decode(value) {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value;
  if (value.file === undefined)
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, decode(item)]));
  const bytes = readFileSync(value.file);
  return { values: new TYPES[value.type](new Uint8Array(bytes).buffer), shape: value.shape };
}

/** At least `samples` calls for at least `seconds` seconds, each result looked at: what "time" answers. */
function measure(run, { seconds, samples }) {
  const [all, start, processor] = [[], performance.now(), process.cpuUsage()];
  let sink = 0;
  while (all.length < samples || performance.now() - start < 1e3 * seconds) {
    const before = performance.now();
    sink += Object.values(run())[0][0];
    all.push((performance.now() - before) / 1e3);
  }
  if (!Number.isFinite(sink)) throw new Error("the result is not finite");
  const { user, system } = process.cpuUsage(processor);
  return { seconds: all, processor: (user + system) / 1e6 / all.length };
}

const ready = new Map();
function answer(line) {
  const raw = JSON.parse(line);
  const message = decode(raw);
  if (message.do === "load") return load(message);
  if (message.do === "answer") {
    const arrays = TASKS[message.task](message.settings)();
    const base64 = (values) => ({ base64: Buffer.from(Float32Array.from(values).buffer).toString("base64") });
    return Object.fromEntries(Object.entries(arrays).map(([name, values]) => [name, base64(values)]));
  }
  const key = JSON.stringify([raw.task, raw.settings]);
  if (!ready.has(key)) ready.set(key, TASKS[message.task](message.settings));
  return measure(ready.get(key), message);
}

for await (const line of createInterface({ input: process.stdin })) {
  let said;
  try {
    said = answer(line);
  } catch (error) {
    said = { error: error.message };
  }
  process.stdout.write(`${JSON.stringify(said)}\n`);
}
