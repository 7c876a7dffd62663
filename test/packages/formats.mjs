/**
 * Models for other tools and theirs for here, by those tools: onnxruntime and TensorFlow.js compute what `Model.predict`
 * does, from what the package wrote and from what they wrote themselves. Probabilities agree to 1e-6.
 */
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { installedProject } from "./support/project.mjs";
import { toolsRequire } from "./support/tools.mjs";

const ROWS = 50;
const BOUND = 1e-6;
const NETWORKS = [
  { layers: [784, 200, 10], activation: "relu" },
  { layers: [7, 9, 8, 4], activation: "tanh" },
  { layers: [7, 9, 4], activation: "step" },
  { layers: [3, 2], activation: "relu" },
];

/** The package as the project has it. */
async function installed(project) {
  const require = createRequire(join(project, "package.json"));
  const [index, formats] = await Promise.all(
    ["local-entropy", "local-entropy/formats"].map(
      (name) => import(pathToFileURL(require.resolve(name)).href),
    ),
  );
  return { ...index, ...formats };
}

/** The worst difference, which is to be within the bound. */
function compared(what, theirs, ours) {
  const worst = theirs.reduce((most, value, i) => Math.max(most, Math.abs(value - ours[i])), 0);
  if (theirs.length !== ours.length || !(worst <= BOUND))
    throw new Error(`${what}: ${worst} off, allowed is ${BOUND}`);
  return worst;
}

const rowsOf = ([width]) => Float32Array.from({ length: ROWS * width }, (_, i) => Math.sin(i * i));

async function onEach(package_, networks, compare) {
  const worst = [];
  for (const network of networks) {
    const model = new package_.Model({ network, parameters: package_.initialize(network, 3) });
    const rows = rowsOf(network.layers);
    const { probabilities } = await model.predict(rows);
    worst.push(await compare(model, rows, probabilities, network));
    model.close();
  }
  return `${networks.length} networks, ${Math.max(...worst.flat()).toExponential(1)} off at most`;
}

async function tensorflow() {
  const tf = toolsRequire("@tensorflow/tfjs-core");
  toolsRequire("@tensorflow/tfjs-backend-cpu");
  await tf.setBackend("cpu");
  return { ...tf, ...toolsRequire("@tensorflow/tfjs-layers") };
}

/** What TensorFlow.js saves of a model. */
async function artifactsOf(tf, model) {
  let kept;
  const keep = async (artifacts) => {
    kept = artifacts;
    return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: "JSON" } };
  };
  await model.save(tf.io.withSaveHandler(keep));
  return kept;
}

/** Sequential, and a chain with activations in layers of their own. */
function modelsOf(tf, { layers, activation }) {
  const sequential = tf.sequential();
  const input = tf.input({ shape: [layers[0]] });
  let values = input;
  for (const [i, units] of layers.slice(1).entries()) {
    const own = i === layers.length - 2 ? "softmax" : activation;
    const more = { units, biasInitializer: "randomNormal" };
    sequential.add(
      tf.layers.dense({ ...more, activation: own, ...(i === 0 ? { inputShape: [layers[0]] } : {}) }),
    );
    values = tf.layers.activation({ activation: own }).apply(tf.layers.dense(more).apply(values));
  }
  return [sequential, tf.model({ inputs: input, outputs: values })];
}

export default [
  {
    name: "formats",
    async run(context, step) {
      const package_ = await installed(await installedProject(context));
      await step("onnxruntime runs toOnnx", () => {
        const ort = toolsRequire("onnxruntime-node");
        return onEach(package_, NETWORKS, async (model, rows, probabilities, { layers }) => {
          const session = await ort.InferenceSession.create(package_.toOnnx(model));
          const given = { rows: new ort.Tensor("float32", rows, [ROWS, layers[0]]) };
          const { probabilities: theirs } = await session.run(given);
          const back = package_.fromOnnx(package_.toOnnx(model));
          const same = await back.predict(rows);
          back.close();
          return [
            compared("onnxruntime", theirs.data, probabilities),
            compared("fromOnnx", same.probabilities, probabilities),
          ];
        });
      });
      const smooth = NETWORKS.filter(({ activation }) => activation !== "step");
      await step("TensorFlow.js runs toTensorflow", async () => {
        const tf = await tensorflow();
        return onEach(package_, smooth, async (model, rows, probabilities, { layers }) => {
          const loaded = await tf.loadLayersModel(tf.io.fromMemory(package_.toTensorflow(model)));
          const theirs = await loaded.predict(tf.tensor2d(rows, [ROWS, layers[0]])).data();
          return compared("TensorFlow.js", theirs, probabilities);
        });
      });
      await step("fromTensorflow of its own", async () => {
        const tf = await tensorflow();
        return onEach(package_, smooth, async (_model, rows, _probabilities, network) => {
          const worst = [];
          for (const made of modelsOf(tf, network)) {
            const model = package_.fromTensorflow(await artifactsOf(tf, made));
            const theirs = await made.predict(tf.tensor2d(rows, [ROWS, network.layers[0]])).data();
            worst.push(compared("fromTensorflow", theirs, (await model.predict(rows)).probabilities));
            model.close();
          }
          return worst;
        });
      });
    },
  },
];
