/**
 * A model in bytes: a safetensors file of its layers (`tensors.ts`), the network in the metadata. Anywhere, in a browser
 * too, so that what a page has trained can be kept.
 */
import type { Vector } from "../backends/backend.ts";
import type { Source } from "../disk.ts";
import { CheckpointError, describe } from "../errors.ts";
import type { Network, Predicts } from "../network.ts";
import { packageVersion } from "./files.ts";
import {
  decodeSafetensors,
  encodeSafetensors,
  FormatError,
  joined,
  type Safetensors,
} from "./safetensors.ts";
import { layersOf, networkMetadata, networkOf, predictsMetadata, predictsOf, takeVector } from "./tensors.ts";

/** Changes when a reader of the version before would misread the file. */
const FORMAT = "local-entropy-model-1";

/** What a file of a model says. */
export interface ModelFile {
  readonly network: Network;
  /** n. */
  readonly parameters: Vector;
  readonly predicts: Predicts;
}

/** The bytes, a function of the network and its parameters alone but for the package's version. */
export function encodeModel({ network, parameters, predicts }: ModelFile): Uint8Array {
  const metadata = {
    format: FORMAT,
    package: `local-entropy ${packageVersion()}`,
    ...networkMetadata(network),
    ...predictsMetadata(predicts),
  };
  const tensors = new Map(layersOf(network, "", parameters));
  const checksum = sumOf({ metadata, tensors });
  return joined(encodeSafetensors({ metadata: { ...metadata, checksum }, tensors }));
}

/**
 * Reads the bytes of a model.
 *
 * @param name of what is read, for the error's sentence
 * @throws CheckpointError that says what is wrong with it
 */
export function decodeModel(source: Source, name: string): ModelFile {
  try {
    const { metadata, tensors } = decodeSafetensors(source);
    const { checksum, ...rest } = metadata;
    if (rest.format !== FORMAT) {
      const advice = rest.format?.startsWith("local-entropy-")
        ? "load a run by its directory: load(directory)"
        : "it is a safetensors file, but not one of this package";
      throw new FormatError(`its format is ${describe(rest.format)}, not ${describe(FORMAT)}; ${advice}`);
    }
    if (checksum !== sumOf({ metadata: rest, tensors })) throw new FormatError("its checksum does not match");
    const network = networkOf(rest);
    const left = new Map(tensors);
    const parameters = takeVector(network, "", left);
    for (const tensor of left.keys())
      throw new FormatError(`it has a tensor ${describe(tensor)} that its network has no place for`);
    return { network, parameters, predicts: predictsOf(rest) };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new CheckpointError(`${name} cannot be used: ${error.message}`, { cause: error });
  }
}

/** CRC-32 of a file as it would be without its checksum: browsers hash nothing at once, and only where they are secure. */
function sumOf(file: Safetensors): string {
  let sum = 0xffffffff;
  for (const part of encodeSafetensors(file)) {
    for (let i = 0; i < part.length; i++) sum = CRC_TABLE[(sum ^ part[i]) & 0xff] ^ (sum >>> 8);
  }
  return ((sum ^ 0xffffffff) >>> 0).toString(16).padStart(8, "0");
}

/** Remainders of all bytes by the polynomial of ISO 3309, low bits first. */
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++)
    remainder = remainder & 1 ? 0xedb88320 ^ (remainder >>> 1) : remainder >>> 1;
  return remainder;
});
