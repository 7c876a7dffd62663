/**
 * Predictions of one row and of 10,000 through 784-200-10: `Model.predict` beside onnxruntime-node, TensorFlow.js and plain
 * JavaScript, in one process. `node bench/predict.mjs [--quick]`; the others come by `npm run bench:setup`.
 *
 * All compute what `toOnnx` and `toTensorflow` wrote of one model. A row is an image of MNIST, in bytes for this package and
 * in floats for all.
 */
import { createRequire } from "node:module";
import { toOnnx, toTensorflow } from "../dist/formats/index.js";
import { initialize, Model } from "../dist/index.js";
import { expectClose, Harness } from "./harness.mjs";
import { data } from "./problem.mjs";

const NETWORK = [784, 200, 10];
/** Calls that are timed at one go, where one takes microseconds. */
const CALLS = 200;

const parameters = initialize(NETWORK);
const bytes = data.test.inputs;
const floats = Float32Array.from(bytes, (byte) => byte / 255);

/** What a package of .peers gives, or null with a line that says so. */
function peer(folder, name) {
  try {
    return createRequire(new URL(`../.peers/${folder}/package.json`, import.meta.url))(name);
  } catch {
    console.error(`${name} is not there: npm run bench:setup`);
    return null;
  }
}

/** Functions of rows (floats) to probabilities, by name. */
async function rivals() {
  const model = (backend) => new Model({ network: NETWORK, parameters, backend });
  const [native, wasm] = [model("native"), model("wasm")];
  const found = {
    "Model, native": async (rows) => (await native.predict(rows)).probabilities,
    "Model, wasm": async (rows) => (await wasm.predict(rows)).probabilities,
  };
  const ort = peer("onnx", "onnxruntime-node");
  if (ort !== null) {
    const session = await ort.InferenceSession.create(toOnnx(native), { intraOpNumThreads: 0 });
    found["onnxruntime-node"] = async (rows) => {
      const given = { rows: new ort.Tensor("float32", rows, [rows.length / 784, 784]) };
      return (await session.run(given, ["probabilities"])).probabilities.data;
    };
  }
  for (const [name, backend] of Object.entries({ "tfjs-node": "tensorflow", tfjs: "wasm" })) {
    const tf = peer("tfjs", `@tensorflow/${name}`);
    if (tf === null || (backend === "wasm" && peer("tfjs", "@tensorflow/tfjs-backend-wasm") === null))
      continue;
    if (!(await tf.setBackend(backend)))
      throw new Error(`TensorFlow.js does not start its backend ${backend}`);
    const loaded = await tf.loadLayersModel(tf.io.fromMemory(toTensorflow(native)));
    found[`TensorFlow.js, ${backend}`] = async (rows) => {
      const count = rows.length / 784;
      const output = tf.tidy(() => loaded.predict(tf.tensor2d(rows, [count, 784]), { batchSize: count })); // else by 32
      const probabilities = await output.data();
      output.dispose();
      return probabilities;
    };
    break; // one of its copies at a time: they share a registry of backends
  }
  found["plain JavaScript"] = async (rows) => plain(native.layers, rows);
  return { found, native, wasm };
}

/** The same by loops, which leave out inputs that are zero. */
function plain(layers, rows) {
  const [first, last] = layers;
  const probabilities = new Float32Array((rows.length / first.inputs) * last.outputs);
  const hidden = new Float32Array(first.outputs);
  for (let at = 0, to = 0; at < rows.length; at += first.inputs, to += last.outputs) {
    hidden.set(first.biases);
    for (let i = 0; i < first.inputs; i++) {
      const value = rows[at + i];
      if (value === 0) continue;
      for (let j = 0, w = i * first.outputs; j < hidden.length; j++, w++)
        hidden[j] += value * first.weights[w];
    }
    const logits = Array.from(last.biases);
    for (let i = 0; i < hidden.length; i++) {
      if (hidden[i] > 0)
        for (let c = 0; c < logits.length; c++) logits[c] += hidden[i] * last.weights[i * logits.length + c];
    }
    const top = Math.max(...logits);
    const sum = logits.reduce((total, logit) => total + Math.exp(logit - top), 0);
    for (const [c, logit] of logits.entries()) probabilities[to + c] = Math.exp(logit - top) / sum;
  }
  return probabilities;
}

const quick = process.argv.includes("--quick");
const harness = new Harness({ quick });
const { found, native, wasm } = await rivals();
const some = floats.slice(0, 50 * 784);
const expected = (await native.predict(some)).probabilities;
for (const [name, predict] of Object.entries(found)) expectClose(name, await predict(some), expected, 1e-5);

const repeated = (predict, rows) => ({
  run: async () => {
    for (let call = 0; call < CALLS; call++) await predict(rows);
  },
  per: CALLS,
});
const own = { native, wasm };
const inBytes = Object.fromEntries(
  Object.entries(own).map(([name, model]) => [`Model, ${name}, bytes`, (rows) => model.predict(rows)]),
);
await harness.compare("one row", {
  ...Object.fromEntries(
    Object.entries(found).map(([name, predict]) => [name, repeated(predict, floats.slice(0, 784))]),
  ),
  ...Object.fromEntries(
    Object.entries(inBytes).map(([name, predict]) => [name, repeated(predict, bytes.slice(0, 784))]),
  ),
});
const { labels } = data.test;
await harness.compare(`${labels.length} rows`, {
  ...Object.fromEntries(Object.entries(found).map(([name, predict]) => [name, () => predict(floats)])),
  ...Object.fromEntries(Object.entries(inBytes).map(([name, predict]) => [name, () => predict(bytes)])),
  "evaluate, native, bytes": () => native.evaluate({ inputs: bytes, labels }),
});
for (const model of [native, wasm]) model.close();
