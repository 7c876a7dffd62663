/**
 * Reads IDX files, the format of MNIST and its kin, plain or gzip.
 *
 *     0 0 type dimensions | size of each dimension, 32 bits big-endian | values, row-major
 *
 * Here type 8 (unsigned bytes) in 3 dimensions (images: count, rows, columns) or 1 (labels: count). Values are views
 * of the bytes that were read, not copies. No file makes this take more memory than a file of its size may ask for.
 */

import { fileBytes, plainReason, readingFile } from "../disk.ts";
import { DataError } from "../errors.ts";
import { nodeModule } from "../host.ts";

/** Images as bytes: count × (rows · columns), row-major. */
export interface Images {
  readonly pixels: Uint8Array;
  readonly count: number;
  readonly rows: number;
  readonly columns: number;
}

const UNSIGNED_BYTE = 8;
const IMAGES = { what: "images", dimensions: 3 } as const;
const LABELS = { what: "labels", dimensions: 1 } as const;
/** How many times its size a gzip file may hold, MNIST's hold 5 times theirs, and how much any may hold in bytes. */
const LARGEST_RATIO = 100;
const SMALL = 2 ** 26;

/** @throws DataError that names the file, what was expected and what was found */
export async function readImages(path: string): Promise<Images> {
  return parseImages(await readPossiblyGzipped(path, IMAGES), path);
}

/**
 * @param classes how many there are
 * @param first the label that is class 0
 * @returns Uint8Array(count) of classes, 0 … classes − 1
 * @throws DataError that names the file, what was expected and what was found
 */
export async function readLabels(path: string, classes = 256, first = 0): Promise<Uint8Array> {
  return parseLabels(await readPossiblyGzipped(path, LABELS), classes, path, first);
}

/** Images from a file's bytes, unzipped; `name` is for errors. */
export function parseImages(bytes: Uint8Array, name = "IDX bytes"): Images {
  const { sizes, values } = parse(bytes, name, IMAGES);
  const [count, rows, columns] = sizes;
  return { pixels: values, count, rows, columns };
}

/** Classes from a file's bytes, unzipped; `name` is for errors. */
export function parseLabels(bytes: Uint8Array, classes = 256, name = "IDX bytes", first = 0): Uint8Array {
  const labels = parse(bytes, name, LABELS).values;
  for (let i = 0; i < labels.length; i++) {
    if (labels[i] >= first && labels[i] < first + classes) continue;
    let [least, most] = [255, 0];
    for (const label of labels) [least, most] = [Math.min(least, label), Math.max(most, label)];
    throw new DataError(
      `Expected labels ${first} … ${first + classes - 1} in ${name} but found ${labels[i]} at row ${i}; give the right ` +
        `number of classes: its labels are ${least} … ${most}, which is { classes: ${most - least + 1}, firstLabel: ${least} }`,
    );
  }
  return first === 0 ? labels : labels.map((label) => label - first);
}

function parse(bytes: Uint8Array, name: string, kind: Kind) {
  const { sizes, header, length } = parseHeader(bytes, name, kind);
  const left = bytes.length - header;
  if (left !== length) {
    const fault =
      left < length ? "it is truncated; fetch it again" : "it has trailing bytes and is not plain IDX";
    throw new DataError(
      `Expected ${sizes.join(" × ")} = ${length} bytes of ${kind.what} after the header in ${name} but found ${left}: ${fault}`,
    );
  }
  return { sizes, values: bytes.subarray(header) };
}

type Kind = typeof IMAGES | typeof LABELS;

/** Sizes, bytes of the header and bytes of the values after it, from the beginning of a file. */
function parseHeader(bytes: Uint8Array, name: string, { what, dimensions }: Kind) {
  const header = 4 + 4 * dimensions;
  const magic = [0, 0, UNSIGNED_BYTE, dimensions];
  if (bytes.length < 4 || magic.some((value, i) => bytes[i] !== value)) {
    throw new DataError(
      `Expected IDX ${what} (beginning with the bytes ${hex(magic)}) in ${name} but found ${found(bytes)}`,
    );
  }
  if (bytes.length < header) {
    throw new DataError(
      `Expected a header of ${header} bytes in ${name} but found ${bytes.length}: it is truncated`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const sizes = Array.from({ length: dimensions }, (_, i) => view.getUint32(4 + 4 * i));
  if (sizes.includes(0)) {
    throw new DataError(
      `Expected sizes of 1 or more in ${name} but found ${sizes.join(" × ")}: it holds no ${what}`,
    );
  }
  return { sizes, header, length: sizes.reduce((product, size) => product * size, 1) };
}

/** What a foreign file looks like, in a few words. */
function found(bytes: Uint8Array): string {
  if (bytes.length === 0) return "an empty file";
  const [a, b, type, dimensions] = bytes;
  if (a === 0 && b === 0 && type === UNSIGNED_BYTE && dimensions === LABELS.dimensions) return "IDX labels";
  if (a === 0 && b === 0 && type === UNSIGNED_BYTE && dimensions === IMAGES.dimensions) return "IDX images";
  if (a === 0 && b === 0 && dimensions > 0 && dimensions < 8) {
    return `an IDX file of type ${hex([type])} in ${dimensions} dimensions`;
  }
  if (isGzip(bytes)) return "gzip inside gzip";
  return `another format (${hex(bytes.subarray(0, 4))})`;
}

function hex(bytes: ArrayLike<number>): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** A file's bytes, unzipped where they are gzip, whatever its name. */
async function readPossiblyGzipped(path: string, kind: Kind): Promise<Uint8Array> {
  let bytes: Uint8Array;
  try {
    bytes = readingFile(path, fileBytes);
  } catch (cause) {
    throw new DataError(`The data file ${path} could not be read: ${plainReason(cause, "reading")}`, {
      cause,
    });
  }
  return isGzip(bytes) ? unzip(bytes, path, kind) : bytes;
}

/** The header is unzipped first: it says how much the rest may be, and what says too much is not unzipped. */
async function unzip(bytes: Uint8Array, path: string, kind: Kind): Promise<Uint8Array> {
  const first = await unzipped(bytes, path, HEADER);
  if (first.length < HEADER) return first;
  const { sizes, header, length } = parseHeader(first, path, kind);
  const most = Math.max(SMALL, LARGEST_RATIO * bytes.length);
  if (header + length > most) {
    throw new DataError(
      `Expected at most ${most} bytes unzipped from ${path} of ${bytes.length} but its header says ${sizes.join(" × ")}: ` +
        "it is damaged, or unzip it yourself and give the folder of the plain file",
    );
  }
  // One more, so that trailing bytes are seen.
  const whole = await unzipped(bytes, path, header + length + 1);
  if (whole.length <= header + length) return whole;
  throw new DataError(
    `Expected ${sizes.join(" × ")} = ${length} bytes of ${kind.what} after the header in ${path} but found more: ` +
      "it has trailing bytes and is not plain IDX",
  );
}

/** Bytes of the longest header. */
const HEADER = 4 + 4 * IMAGES.dimensions;

/** Room for what is unzipped, doubled where more comes: more than a chunk. */
const FIRST_ROOM = 2 ** 20;

/** The first so many unzipped bytes, or all if there are fewer. */
async function unzipped(bytes: Uint8Array, path: string, most: number): Promise<Uint8Array> {
  const stream = nodeModule("node:zlib").createGunzip({ chunkSize: 2 ** 18 });
  stream.on("error", () => {}); // the loop below hears it too, unless it has enough
  stream.end(bytes);
  try {
    let out = new Uint8Array(Math.min(most, FIRST_ROOM)); // what a header promises may never come
    let length = 0;
    for await (const chunk of stream) {
      const taken = (chunk as Uint8Array).subarray(0, most - length);
      if (length + taken.length > out.length) {
        const larger = new Uint8Array(Math.min(most, 2 * out.length));
        larger.set(out);
        out = larger;
      }
      out.set(taken, length);
      length += taken.length;
      if (length === most) break;
    }
    return out.subarray(0, length);
  } catch (cause) {
    if (cause instanceof RangeError) {
      throw new DataError(`The data file ${path} could not be read: ${plainReason(cause)}`, { cause });
    }
    throw new DataError(
      `Expected whole gzip data in ${path} but it is truncated or damaged (${(cause as Error).message}); fetch it again`,
      { cause },
    );
  } finally {
    stream.destroy();
  }
}
