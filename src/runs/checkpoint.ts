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
 * `encoding`, of data that `table` made, is its JSON. `checksum` is the SHA-256 of the file as it would be without it, so no changed byte is read as if it were right.
 */

import { withLast } from "../averaging.ts";
import type { Vector } from "../backends/backend.ts";
import { pieces, plainReason, readingFile, type Source } from "../disk.ts";
import { CheckpointError, describe, expected, OptionError } from "../errors.ts";
import { isNode, nodeModule } from "../host.ts";
import { Model } from "../model.ts";
import type { Network, Predicts } from "../network.ts";
import type { Resume } from "../options/types.ts";
import type { Encoding } from "../table/encoding.ts";
import { CHECKPOINT_FILE, packageVersion, RUN_FILE, removeLeftBehind, stage, writing } from "./files.ts";
import { type RunReport, readRunFile, updatedRunFile } from "./folder.ts";
import { holdingFolder } from "./lock.ts";
import {
  decodeSafetensors,
  encodeSafetensors,
  FormatError,
  LARGEST_HEADER,
  type Safetensors,
  type Tensor,
} from "./safetensors.ts";
import { layersOf, networkMetadata, networkOf, predictsMetadata, predictsOf, takeVector } from "./tensors.ts";

/** Changes when a reader of the version before would misread the file. */
const FORMAT = "local-entropy-1";

/** A network and where its training stands. */
export interface Checkpoint {
  /** Widths and activation. */
  readonly network: Network;
  /** What `train({ …, resume })` takes. */
  readonly resume: Resume;
  /** How the data's rows became inputs, where `table` made them: what `encode` takes. */
  readonly encoding?: Encoding;
  /** What its outputs are (default classes). */
  readonly predicts?: Predicts;
}

/**
 * Writes `checkpoint.safetensors` and `run.json` into a directory, made if missing: both, or neither. Saves into one
 * directory take their turns.
 *
 * @throws CheckpointError if a value is not finite, a file cannot be written, or a run of the command is under way in the
 *   directory; what was there before stays. OptionError if the directory is no path
 */
export async function save(directory: string, checkpoint: Checkpoint, report: RunReport): Promise<void> {
  const path = pathIn(directory, "save");
  await writing(`The checkpoint ${path}`, async () => {
    const parts = encodeCheckpoint(checkpoint, path);
    await holdingFolder(directory, async () => {
      await removeLeftBehind(directory);
      const { fingerprint } = checkpoint.resume;
      const run = await updatedRunFile(directory, { ...report, fingerprint });
      // A full disk is met here, where nothing has been replaced yet. run.json goes first: who is killed between the two
      // can still go on from the checkpoint before.
      const files = [await stage(nodeModule("node:path").join(directory, RUN_FILE), [run])];
      try {
        files.push(await stage(path, parts));
        for (const file of files) await file.place();
      } finally {
        for (const file of files) await file.drop();
      }
    });
  });
}

/**
 * Reads what `save` wrote.
 *
 * @param directory of a run, or one that `save` was given
 * @returns the model (the average of the iterates, where they were averaged), and beside it `resume` for `train`, and
 *   the `encoding` of data that `table` made
 * @throws CheckpointError that names the file, what is wrong with it and what to do; OptionError if the directory is no
 *   path
 */
export async function load(
  directory: string,
): Promise<Model & { readonly resume: Resume; readonly encoding?: Encoding }> {
  const path = pathIn(directory, "load");
  let checkpoint: Checkpoint;
  try {
    checkpoint = readingFile(path, (source) => decodeCheckpoint(source, path));
  } catch (error) {
    if (error instanceof CheckpointError) throw error;
    throw new CheckpointError(
      `The checkpoint ${path} could not be read: ${plainReason(error, "reading")}. Name the directory of a run`,
      { cause: error },
    );
  }
  const run = await readRunFile(directory);
  const seconds = run?.fingerprint === checkpoint.resume.fingerprint ? (run.seconds ?? 0) : 0;
  const resume = { ...checkpoint.resume, seconds };
  const { average, parameters, update } = resume;
  const model = new Model({
    network: checkpoint.network,
    predicts: checkpoint.predicts,
    parameters: average ? withLast(average, parameters, update) : parameters,
  });
  const { encoding } = checkpoint;
  return Object.assign(model, encoding === undefined ? { resume } : { resume, encoding });
}

/** Where a directory's checkpoint is. */
function pathIn(directory: string, call: "save" | "load"): string {
  if (!isNode) {
    throw new CheckpointError(
      "A browser has no files to save a run in; keep `parameters` of the run's result",
    );
  }
  if (typeof directory !== "string" || directory === "" || directory.includes("\0")) {
    throw new OptionError(expected("a directory's path", `${call}.directory`, directory));
  }
  return nodeModule("node:path").join(directory, CHECKPOINT_FILE);
}

/** The bytes of a checkpoint in parts, a function of the state alone. `path` is for the error's sentence. */
export function encodeCheckpoint(checkpoint: Checkpoint, path: string): Uint8Array[] {
  const { network, resume, encoding, predicts } = checkpoint;
  const tensors = new Map<string, Tensor>();
  for (const [prefix, vector] of vectorsOf(resume)) {
    for (const [name, tensor] of layersOf(network, prefix, vector)) {
      const at = tensor.data.findIndex((value) => !Number.isFinite(value));
      if (at >= 0) {
        throw new CheckpointError(
          `The checkpoint ${path} was not written: ${name} has the value ${tensor.data[at]} at ${at}. ` +
            "The run diverged: `run.save` writes its last state that was finite",
        );
      }
      tensors.set(name, tensor);
    }
  }
  const metadata = {
    format: FORMAT,
    package: `local-entropy ${packageVersion()}`,
    ...networkMetadata(network),
    ...predictsMetadata(predicts),
    update: String(resume.update),
    fingerprint: resume.fingerprint,
    backend: resume.backend,
    "instruction-set": resume.instructionSet,
    // Shortest decimals that read back as the same number; NaN and −0 too.
    pending: resume.pending.map((value) => (Object.is(value, -0) ? "-0" : String(value))).join(" "),
  };
  const described = encoding === undefined ? metadata : { ...metadata, encoding: JSON.stringify(encoding) };
  const checksum = digest({ metadata: described, tensors });
  const parts = encodeSafetensors({ metadata: { ...described, checksum }, tensors });
  if (parts[0].length > LARGEST_HEADER) {
    throw new CheckpointError(
      `The checkpoint ${path} was not written: ${network.layers.length} layers are more than its header can describe. ` +
        "Keep `parameters` of the run's result",
    );
  }
  return parts;
}

/** Reads the bytes of a checkpoint; its `seconds` are 0. */
export function decodeCheckpoint(source: Source, path: string): Checkpoint {
  try {
    const { metadata, tensors } = decodeSafetensors(source);
    const { checksum, ...rest } = metadata;
    if (!metadata.format?.startsWith("local-entropy-")) {
      throw new FormatError("it is a safetensors file, but not one that this package wrote");
    }
    if (metadata.format !== FORMAT) {
      throw new FormatError(`it has format ${describe(metadata.format)}, not ${describe(FORMAT)}`);
    }
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
  const hash = nodeModule("node:crypto").createHash("sha256");
  for (const part of encodeSafetensors(file)) for (const piece of pieces(part)) hash.update(piece);
  return hash.digest("hex");
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

function interpret(metadata: Readonly<Record<string, string>>, tensors: Safetensors["tensors"]): Checkpoint {
  const network = networkOf(metadata);
  const rest = new Map(tensors);
  const parameters = takeVector(network, "", rest);
  const moments: Vector[] = [];
  while (rest.has(`moment-${moments.length + 1}.layer-1.weight`)) {
    moments.push(takeVector(network, `moment-${moments.length + 1}.`, rest));
  }
  const chain = rest.has("chain.layer-1.weight") ? takeVector(network, "chain.", rest) : null;
  const average = rest.has("average.layer-1.weight") ? takeVector(network, "average.", rest) : null;
  for (const name of rest.keys())
    throw new FormatError(`it has a tensor ${describe(name)} that its network has no place for`);
  const update = /^\d+$/.test(metadata.update) ? Number(metadata.update) : Number.NaN;
  if (!Number.isSafeInteger(update)) throw new FormatError(`its update is ${describe(metadata.update)}`);
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
  const predicts = predictsOf(metadata);
  return {
    network,
    resume,
    ...(predicts === "classes" ? {} : { predicts }),
    ...(metadata.encoding === undefined ? {} : { encoding: encodingOf(metadata.encoding) }),
  };
}

/** The file's checksum is right, so this is what was written, unless another program wrote it. */
function encodingOf(text: string): Encoding {
  try {
    return JSON.parse(text) as Encoding;
  } catch {
    throw new FormatError(`its encoding is ${describe(text)}`);
  }
}
