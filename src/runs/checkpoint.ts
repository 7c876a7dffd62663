/**
 * Checkpoints: a network and where its training stands, as `checkpoint.safetensors` in a run's folder.
 *
 * Tensors, float32 or float64 (ℓ = 1 … L; each vector of n parameters is cut into its layers):
 *
 *     layer-ℓ.weight (d_{ℓ−1} × d_ℓ)   layer-ℓ.bias (d_ℓ)        x_k
 *     moment-1.layer-ℓ.weight …                                  optimizer: velocity, or Adam's m; moment-2: v
 *     chain.layer-ℓ.weight …                                     x^J of the Langevin chain
 *     average.layer-ℓ.weight …                                   average of the iterates, the last 0 to 49 updates left out
 *
 * The metadata hold the rest of `Resume` but the seconds, which are in run.json: the same state gives the same bytes.
 * `checksum` is the SHA-256 of the file as it would be without it, so no changed byte is read as if it were right.
 */

import { withLast } from "../averaging.ts";
import type { Vector } from "../backends/backend.ts";
import { KINDS } from "../backends/description.ts";
import { CheckpointError } from "../errors.ts";
import { isNode, nodeModule } from "../host.ts";
import { type Activation, layerShapes, type Network, parameterCount } from "../network.ts";
import type { Resume } from "../options/types.ts";
import { CHECKPOINT_FILE, makeFolder, packageVersion, plainReason, writeAtomically } from "./files.ts";
import { type RunReport, readRunFile, updateRunFile } from "./folder.ts";
import {
  decodeSafetensors,
  encodeSafetensors,
  FormatError,
  type Safetensors,
  type Tensor,
} from "./safetensors.ts";

/** Changes when a reader of the version before would misread the file. */
const FORMAT = "local-entropy-1";

/** A network and where its training stands. */
export interface Checkpoint {
  /** Widths and activation. */
  readonly network: Network;
  /** What `train({ …, resume })` takes. */
  readonly resume: Resume;
}

/**
 * Writes `checkpoint.safetensors` and `run.json` into a directory, made if missing; each whole or not at all.
 *
 * @throws CheckpointError if a value is not finite or a file cannot be written; what was there before stays
 */
export async function save(directory: string, checkpoint: Checkpoint, report: RunReport): Promise<void> {
  const path = pathIn(directory);
  const bytes = encodeCheckpoint(checkpoint, path);
  try {
    await makeFolder(directory);
    await updateRunFile(directory, { ...report, fingerprint: checkpoint.resume.fingerprint });
    await writeAtomically(path, bytes);
  } catch (error) {
    if (error instanceof CheckpointError) throw error;
    throw new CheckpointError(
      `The checkpoint ${path} could not be written: ${plainReason(error)}. Name a directory that can be written to`,
      { cause: error },
    );
  }
}

/**
 * Reads what `save` wrote.
 *
 * @param directory of a run, or one that `save` was given
 * @returns the network, its `parameters` (n; the average of the iterates, where they were averaged), and `resume` for
 * `train`
 * @throws CheckpointError that names the file, what is wrong with it and what to do
 */
export async function load(directory: string): Promise<Checkpoint & { readonly parameters: Vector }> {
  const path = pathIn(directory);
  let bytes: Uint8Array;
  try {
    bytes = await nodeModule("node:fs/promises").readFile(path);
  } catch (error) {
    throw new CheckpointError(
      `The checkpoint ${path} could not be read: ${plainReason(error)}. Name the directory of a run`,
      { cause: error },
    );
  }
  const checkpoint = decodeCheckpoint(bytes, path);
  const seconds = (await readRunFile(directory))?.seconds ?? 0;
  const resume = { ...checkpoint.resume, seconds };
  const { average, parameters, update } = resume;
  return {
    network: checkpoint.network,
    parameters: average ? withLast(average, parameters, update) : parameters,
    resume,
  };
}

/** Where a directory's checkpoint is. */
function pathIn(directory: string): string {
  if (isNode) return nodeModule("node:path").join(directory, CHECKPOINT_FILE);
  throw new CheckpointError("A browser has no files to save a run in; keep `parameters` of the run's result");
}

/** The bytes of a checkpoint, a function of the state alone. `path` is for the error's sentence. */
export function encodeCheckpoint({ network, resume }: Checkpoint, path: string): Uint8Array {
  const tensors = new Map<string, Tensor>();
  for (const [prefix, vector] of vectorsOf(resume)) {
    for (const [name, tensor] of layersOf(network, prefix, vector)) {
      const at = tensor.data.findIndex((value) => !Number.isFinite(value));
      if (at >= 0) {
        throw new CheckpointError(
          `The checkpoint ${path} was not written: ${name} has the value ${tensor.data[at]} at ${at}`,
        );
      }
      tensors.set(name, tensor);
    }
  }
  const metadata = {
    format: FORMAT,
    package: `local-entropy ${packageVersion()}`,
    layers: network.layers.join(" "),
    activation: network.activation,
    update: String(resume.update),
    fingerprint: resume.fingerprint,
    backend: resume.backend,
    "instruction-set": resume.instructionSet,
    // Shortest decimals that read back as the same number; NaN and −0 too.
    pending: resume.pending.map((value) => (Object.is(value, -0) ? "-0" : String(value))).join(" "),
  };
  const checksum = digest({ metadata, tensors });
  return encodeSafetensors({ metadata: { ...metadata, checksum }, tensors });
}

/** Reads the bytes of a checkpoint; its `seconds` are 0. */
export function decodeCheckpoint(bytes: Uint8Array, path: string): Checkpoint {
  try {
    const { metadata, tensors } = decodeSafetensors(bytes);
    const { checksum, ...rest } = metadata;
    if (!metadata.format?.startsWith("local-entropy-")) {
      throw new FormatError("it is a safetensors file, but not one that this package wrote");
    }
    if (metadata.format !== FORMAT) throw new FormatError(`it has format ${metadata.format}, not ${FORMAT}`);
    if (checksum !== digest({ metadata: rest, tensors }))
      throw new FormatError("its checksum does not match");
    return interpret(rest, tensors);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new CheckpointError(
      `The checkpoint ${path} cannot be used: ${error.message}. Restore it from a copy, or start the run anew`,
      { cause: error },
    );
  }
}

function digest(file: Safetensors): string {
  return nodeModule("node:crypto").createHash("sha256").update(encodeSafetensors(file)).digest("hex");
}

function* vectorsOf({
  parameters,
  moments,
  chain,
  average,
}: Resume): Generator<[prefix: string, vector: Vector]> {
  yield ["", parameters];
  for (const [index, moment] of moments.entries()) yield [`moment-${index + 1}.`, moment];
  if (chain !== null) yield ["chain.", chain];
  if (average !== null) yield ["average.", average];
}

/** Cuts a vector (n) into the tensors of its layers. */
function* layersOf(
  network: Network,
  prefix: string,
  vector: Vector,
): Generator<[name: string, tensor: Tensor]> {
  for (const [index, { offset, rows, columns }] of layerShapes(network).entries()) {
    const biases = offset + (rows - 1) * columns;
    const layer = `${prefix}layer-${index + 1}`;
    yield [`${layer}.weight`, { shape: [rows - 1, columns], data: vector.subarray(offset, biases) }];
    yield [`${layer}.bias`, { shape: [columns], data: vector.subarray(biases, biases + columns) }];
  }
}

function interpret(metadata: Readonly<Record<string, string>>, tensors: Safetensors["tensors"]): Checkpoint {
  const network = networkOf(metadata);
  const rest = new Map(tensors);
  const parameters = take(network, "", rest);
  const moments: Vector[] = [];
  while (rest.has(`moment-${moments.length + 1}.layer-1.weight`)) {
    moments.push(take(network, `moment-${moments.length + 1}.`, rest));
  }
  const chain = rest.has("chain.layer-1.weight") ? take(network, "chain.", rest) : null;
  const average = rest.has("average.layer-1.weight") ? take(network, "average.", rest) : null;
  for (const name of rest.keys())
    throw new FormatError(`it has a tensor ${name} that its network has no place for`);
  const update = Number(metadata.update);
  if (!Number.isSafeInteger(update) || update < 0) throw new FormatError(`its update is ${metadata.update}`);
  const { fingerprint, backend, "instruction-set": instructionSet, pending } = metadata;
  for (const [name, value] of Object.entries({
    fingerprint,
    backend,
    "instruction-set": instructionSet,
    pending,
  })) {
    if (value === undefined) throw new FormatError(`it does not say its ${name}`);
  }
  const sums = pending === "" ? [] : pending.split(" ").map(Number);
  const resume = {
    update,
    fingerprint,
    parameters,
    moments,
    chain,
    average,
    pending: sums,
    backend,
    instructionSet,
    seconds: 0,
  };
  return { network, resume };
}

function networkOf({ layers = "", activation }: Readonly<Record<string, string>>): Network {
  const widths = layers.split(" ").map(Number);
  if (widths.length < 2 || !widths.every((width) => Number.isSafeInteger(width) && width > 0)) {
    throw new FormatError(`its layers are "${layers}"`);
  }
  if (!KINDS.activation.includes(activation as Activation)) {
    throw new FormatError(`its activation is "${activation}"`);
  }
  return { layers: widths, activation: activation as Activation };
}

/** Joins the tensors of one vector, and removes them from `tensors`. */
function take(network: Network, prefix: string, tensors: Map<string, Tensor>): Vector {
  const first = tensors.get(`${prefix}layer-1.weight`);
  // The tensors come first: a wrong width must not make this reserve memory that the file does not fill.
  const entries = [...tensors.values()].reduce((sum, { data }) => sum + data.length, 0);
  const count = parameterCount(network);
  if (!first || entries < count)
    throw new FormatError(`it lacks tensors of ${prefix || "the parameters, "}layer-1 …`);
  const vector = first.data.BYTES_PER_ELEMENT === 4 ? new Float32Array(count) : new Float64Array(count);
  for (const [name, { shape, data: place }] of layersOf(network, prefix, vector)) {
    const tensor = tensors.get(name);
    if (!tensor) throw new FormatError(`it lacks the tensor ${name}`);
    if (tensor.shape.join("×") !== shape.join("×")) {
      throw new FormatError(
        `tensor ${name} has shape ${tensor.shape.join("×")}; its network needs ${shape.join("×")}`,
      );
    }
    if (tensor.data.BYTES_PER_ELEMENT !== vector.BYTES_PER_ELEMENT)
      throw new FormatError(`tensor ${name} has another type`);
    const at = tensor.data.findIndex((value) => !Number.isFinite(value));
    if (at >= 0) throw new FormatError(`tensor ${name} has the value ${tensor.data[at]} at ${at}`);
    place.set(tensor.data);
    tensors.delete(name);
  }
  return vector;
}
