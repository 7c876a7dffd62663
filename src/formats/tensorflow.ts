/**
 * A model as TensorFlow.js has one: the artifacts of a LayersModel, which `tf.loadLayersModel(tf.io.fromMemory(artifacts))`
 * takes and `model.save(tf.io.withSaveHandler(…))` gives. Nothing of TensorFlow.js is needed here.
 */
import { DataError, describe, expected, OptionError } from "../errors.ts";
import type { Model, ModelPlace } from "../model.ts";
import { packageVersion } from "../runs/files.ts";
import { joined } from "../runs/safetensors.ts";
import { bytesOf, type Dense, denseOf, floatsOf, modelOf, oneActivation, parsedJson } from "./dense.ts";

const WHAT = "The TensorFlow.js model";
const ACTIVATIONS = { relu: "relu", tanh: "tanh" } as const;

/** One array of weights that a model comes with. */
export interface GivenWeight {
  /** As "dense_1/kernel". */
  readonly name: string;
  /** Of a kernel inputs × outputs, of a bias outputs. */
  readonly shape: readonly number[];
  /** "float32" is read. */
  readonly dtype: string;
}

/** One array of a model's weights. */
export interface WeightSpec {
  /** As "dense_1/kernel". */
  readonly name: string;
  /** Of a kernel inputs × outputs, of a bias outputs. */
  readonly shape: number[];
  /** "float32". */
  readonly dtype: "float32";
}

/** What `tf.io.fromMemory` takes; model.json and its weights hold the same. */
export interface LayersModelArtifacts {
  /** "layers-model". */
  readonly format: string;
  /** The program that wrote it. */
  readonly generatedBy: string;
  /** Null: nothing converted it. */
  readonly convertedBy: null;
  /** A Sequential of Dense layers. */
  readonly modelTopology: object;
  /** The weights' names and shapes, in their order. */
  readonly weightSpecs: WeightSpec[];
  /** The weights' float32 numbers, little-endian, one array after the other. */
  readonly weightData: ArrayBuffer;
}

/** What `fromTensorflow` takes: artifacts of TensorFlow.js, or the object in a model.json with its weights beside it. */
export interface TensorflowModel {
  /** The layers; in a model.json too. */
  readonly modelTopology?: unknown;
  /** Names and shapes of the weights, as artifacts have them. */
  readonly weightSpecs?: readonly GivenWeight[];
  /** The same as a model.json has it: groups of `weights`, in their order. */
  readonly weightsManifest?: readonly { readonly weights?: readonly GivenWeight[] }[];
  /** The weights' bytes: one buffer, or several that follow each other. */
  readonly weightData?: ArrayBuffer | readonly ArrayBuffer[] | Uint8Array;
}

/**
 * A model as the artifacts of a LayersModel, softmax at its end: `tf.loadLayersModel(tf.io.fromMemory(toTensorflow(model)))`.
 * Rows are floats; bytes are given divided by 255.
 *
 * @throws DataError for step activations, which TensorFlow.js does not have
 */
export function toTensorflow(model: Model): LayersModelArtifacts {
  const { layers, activation } = denseOf(model);
  if (activation === "step") {
    throw new DataError(
      "TensorFlow.js has no step activation, so a model with one cannot be written for it; toOnnx can",
    );
  }
  const topology = layers.map(({ inputs, outputs }, i) => ({
    class_name: "Dense",
    config: {
      name: `dense_${i + 1}`,
      trainable: true,
      ...(i === 0 ? { batch_input_shape: [null, inputs] } : {}),
      dtype: "float32",
      units: outputs,
      activation: i === layers.length - 1 ? "softmax" : activation,
      use_bias: true,
    },
  }));
  const specs = layers.flatMap(({ inputs, outputs }, i): WeightSpec[] => [
    { name: `dense_${i + 1}/kernel`, shape: [inputs, outputs], dtype: "float32" },
    { name: `dense_${i + 1}/bias`, shape: [outputs], dtype: "float32" },
  ]);
  const parts = layers.flatMap(({ weights, biases }) => [bytesOf(weights), bytesOf(biases)]);
  return {
    format: "layers-model",
    generatedBy: `local-entropy ${packageVersion()}`,
    convertedBy: null,
    modelTopology: {
      class_name: "Sequential",
      config: { name: "sequential", layers: topology },
      keras_version: "2",
      backend: "tensorflow",
    },
    weightSpecs: specs,
    weightData: joined(parts).buffer as ArrayBuffer,
  };
}

/**
 * The model of a LayersModel: a Sequential, or a chain of layers, of Dense with "relu" or "tanh" and, at its end, "softmax"
 * or nothing. Keras 3's names of fields are known too.
 *
 * @param artifacts of TensorFlow.js, or a model.json's object with its weights as `weightData`
 * @param place where the model is to compute
 * @throws DataError that says which layer is none of a dense network's
 */
export function fromTensorflow(artifacts: TensorflowModel, place: ModelPlace = {}): Model {
  if (typeof artifacts !== "object" || artifacts === null)
    throw new OptionError(expected("a model's artifacts", "fromTensorflow.artifacts", artifacts));
  const weights = weightsOf(artifacts);
  const layers: Dense[] = [];
  const activations: string[] = [];
  for (const { class_name: kind, config } of layersOf(artifacts.modelTopology)) {
    const of = config ?? {};
    if (kind === "Dense") {
      layers.push(dense(of, weights));
      const own = nameOf(of.activation);
      if (own !== "linear") activations.push(own);
    } else if (kind === "Activation") activations.push(nameOf(of.activation));
    else if (kind === "ReLU" && plainReLU(of)) activations.push("relu");
    else if (kind === "Softmax") activations.push("softmax");
    else if (!PASSED.has(kind))
      throw new DataError(`${WHAT} has a layer ${describe(kind)}; here are Dense layers`);
  }
  if (activations.at(-1) === "softmax") activations.pop();
  if (activations.length !== layers.length - 1) {
    throw new DataError(
      `${WHAT} has ${layers.length} dense layers and ${activations.length} activations between them; here one stands between two, and softmax or nothing at the end`,
    );
  }
  return modelOf(WHAT, { layers, activation: oneActivation(WHAT, activations, ACTIVATIONS) }, place);
}

/** They change no number of a row where nothing is trained. */
const PASSED: ReadonlySet<string> = new Set(["InputLayer", "Dropout", "Flatten", "GaussianNoise", "Reshape"]);

type Config = Readonly<Record<string, unknown>>;

interface KerasLayer {
  readonly class_name: string;
  readonly config?: Config;
}

function layersOf(topology: unknown): readonly KerasLayer[] {
  const value = typeof topology === "string" ? parsedJson(WHAT, topology) : topology;
  const model = ((value as Config | null)?.model_config ?? value) as {
    config?: { layers?: unknown } | unknown[];
  } | null;
  const config = model?.config;
  const layers = Array.isArray(config) ? config : config?.layers;
  if (!Array.isArray(layers)) throw new DataError(expected("a model's layers", "modelTopology", topology));
  for (const layer of layers as ({ class_name?: unknown; inbound_nodes?: unknown[] } | null)[]) {
    if (typeof layer?.class_name !== "string")
      throw new DataError(expected("a layer with its class_name", "modelTopology", layer));
    const nodes = layer.inbound_nodes;
    if (nodes !== undefined && nodes.length > 1)
      throw new DataError(`${WHAT} uses a layer more than once; here is one chain of layers`);
  }
  return layers as KerasLayer[];
}

/** An activation's name; Keras may give an object with its class. */
function nameOf(activation: unknown): string {
  if (activation === undefined || activation === null) return "linear";
  if (typeof activation === "string") return activation.toLowerCase();
  const { class_name: kind, config } = activation as { class_name?: string; config?: unknown };
  return String(typeof config === "string" ? config : kind).toLowerCase();
}

function plainReLU({ max_value: most, negative_slope: slope, threshold }: Config): boolean {
  return (most === undefined || most === null) && !slope && !threshold;
}

interface Weights {
  readonly path: readonly string[];
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

function weightsOf({ weightSpecs, weightsManifest, weightData }: TensorflowModel): Weights[] {
  const specs = weightSpecs ?? weightsManifest?.flatMap(({ weights }) => weights ?? []);
  if (!Array.isArray(specs)) throw new DataError(expected("an array", "weightSpecs", specs));
  if (weightData === undefined) {
    throw new DataError(
      expected(
        "the weights' bytes",
        "weightData",
        weightData,
        "read the files that the model.json names, one after the other",
      ),
    );
  }
  const buffers = Array.isArray(weightData) ? weightData : [weightData];
  const bytes = joined(
    buffers.map((buffer: ArrayBuffer | Uint8Array) =>
      buffer instanceof Uint8Array ? buffer : new Uint8Array(buffer),
    ),
  );
  let at = 0;
  const weights = specs.map((spec: GivenWeight): Weights => {
    if (typeof spec?.name !== "string" || !Array.isArray(spec.shape))
      throw new DataError(expected("a name and a shape", "weightSpecs", spec));
    const { name, shape, dtype, ...more } = spec;
    if (dtype !== "float32" || "quantization" in more)
      throw new DataError(
        `${WHAT} has ${describe(name)} in ${"quantization" in more ? "quantized numbers" : dtype}; here they are float32`,
      );
    const length = 4 * shape.reduce((product: number, size: number) => product * size, 1);
    const values = floatsOf(bytes.subarray(at, at + length));
    at += length;
    if (4 * values.length !== length)
      throw new DataError(
        `${WHAT} has too few bytes of weights: ${describe(name)} ends at byte ${at} of ${bytes.length}`,
      );
    return { path: name.split("/"), shape, values };
  });
  if (at !== bytes.length)
    throw new DataError(`${WHAT} has ${bytes.length} bytes of weights; its layers take ${at}`);
  return weights;
}

/** The layer's own by its name, or else the next of such a shape. */
function dense(config: Config, weights: Weights[]): Dense {
  const take = (dimensions: number): Weights | undefined => {
    const fits = ({ shape }: Weights) => shape.length === dimensions;
    const named = weights.findIndex((one) => fits(one) && one.path.at(-2) === config.name);
    const place = named >= 0 ? named : weights.findIndex(fits);
    return weights.splice(place, place < 0 ? 0 : 1)[0];
  };
  const kernel = take(2);
  if (kernel === undefined)
    throw new DataError(`${WHAT} lacks the kernel of its layer ${describe(config.name)}`);
  const [inputs, outputs] = kernel.shape;
  const bias = config.use_bias === false ? undefined : take(1);
  if (config.use_bias !== false && bias === undefined)
    throw new DataError(`${WHAT} lacks the bias of its layer ${describe(config.name)}`);
  return { inputs, outputs, weights: kernel.values, biases: bias?.values ?? new Float32Array(outputs) };
}
