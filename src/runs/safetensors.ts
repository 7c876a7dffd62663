/**
 * The safetensors format: named arrays in one file, readable from Python, Rust and elsewhere.
 *
 *     | N: u64, little-endian | header: N bytes of JSON, padded by spaces | data of the tensors, without gaps |
 *     header = { "__metadata__": { name: string }, "<tensor>": { dtype, shape, data_offsets: [begin, end] } }
 *
 * Offsets count from the end of the header. Of the format's types only F32 and F64 are known here.
 */

import type { Source } from "../disk.ts";
import { describe } from "../errors.ts";
import { parseJson } from "./json.ts";

/** An array with its shape, row-major. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array | Float64Array;
}

export interface Safetensors {
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/** A file that is not safetensors; the message says what is wrong with it, not which file it was. */
export class FormatError extends Error {}

const PREFIX = 8;
/** Bytes, enough for 100,000 tensors. The format allows 100 MB, which take a thousand when they are parsed. */
export const LARGEST_HEADER = 2 ** 24;
/** Of the header: itself, a tensor, its shape. */
const DEPTH = 3;
/** Most dimensions of a tensor. */
const DIMENSIONS = 16;
const METADATA = "__metadata__";

/** The header as an object, its keys in the order of the file. */
type Header = Record<string, unknown>;

interface Entry {
  readonly dtype: "F32" | "F64";
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

function bytesOf(data: Float32Array | Float64Array): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/**
 * The bytes of a file in parts, one after the other: a function of names, values and their order alone. The tensors'
 * are views, so that a file of any size costs no memory.
 */
export function encodeSafetensors({ metadata, tensors }: Safetensors): Uint8Array[] {
  const header: Header = { [METADATA]: metadata };
  let offset = 0;
  for (const [name, { shape, data }] of tensors) {
    const end = offset + data.byteLength;
    const dtype = data.BYTES_PER_ELEMENT === 4 ? "F32" : "F64";
    header[name] = { dtype, shape, data_offsets: [offset, end] };
    offset = end;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const headerLength = 8 * Math.ceil(json.length / 8);
  const first = new Uint8Array(PREFIX + headerLength).fill(0x20, PREFIX);
  new DataView(first.buffer).setBigUint64(0, BigInt(headerLength), true);
  first.set(json, PREFIX);
  return [first, ...[...tensors.values()].map(({ data }) => bytesOf(data))];
}

/** The parts of a file in one piece. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/**
 * Reads a file, checking all that the format promises: sizes, types, shapes, and offsets that cover the data once
 * without gap or overlap, before memory is taken for a tensor. So the tensors take no more than the file does.
 *
 * @throws FormatError
 */
export function decodeSafetensors(source: Source): Safetensors {
  const { header, begin: dataBegin } = headerOf(source);
  const { [METADATA]: metadata = {}, ...described } = header;
  if (!isObject(metadata) || !Object.values(metadata).every((value) => typeof value === "string")) {
    throw new FormatError("its metadata are not texts");
  }
  const available = source.size - dataBegin;
  const entries = Object.entries(described).map(
    ([name, entry]) => [name, checkEntry(named(name), entry, available)] as const,
  );
  const spans = entries.map(([, { data_offsets }]) => data_offsets);
  let covered = 0;
  for (const [begin, end] of spans.sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    if (begin !== covered) throw new FormatError("its tensors overlap or leave a gap");
    covered = end;
  }
  if (covered !== available) throw new FormatError(`${available - covered} bytes follow its last tensor`);
  const tensors = new Map<string, Tensor>();
  for (const [name, { dtype, shape, data_offsets }] of entries) {
    const [begin, end] = data_offsets;
    const data = dtype === "F32" ? new Float32Array((end - begin) / 4) : new Float64Array((end - begin) / 8);
    source.read(bytesOf(data), dataBegin + begin);
    tensors.set(name, { shape, data });
  }
  return { metadata: metadata as Record<string, string>, tensors };
}

function headerOf(source: Source): { header: Header; begin: number } {
  if (source.size < PREFIX) throw new FormatError(`it has ${source.size} bytes, too few for a header`);
  const prefix = new Uint8Array(PREFIX);
  source.read(prefix, 0);
  const stated = new DataView(prefix.buffer).getBigUint64(0, true);
  if (stated < 2n || stated > BigInt(LARGEST_HEADER) || stated > BigInt(source.size - PREFIX)) {
    throw new FormatError(
      `its header is to have ${stated} bytes, of ${source.size - PREFIX} that follow and ${LARGEST_HEADER} at most`,
    );
  }
  const bytes = new Uint8Array(Number(stated));
  source.read(bytes, PREFIX);
  let header: unknown;
  try {
    header = parseJson(bytes, DEPTH);
  } catch {
    throw new FormatError("its header is not JSON");
  }
  if (!isObject(header)) throw new FormatError("its header is not a JSON object");
  return { header, begin: PREFIX + bytes.length };
}

/** A tensor's name for a sentence: as it is if it is plain, else in quotes and shortened. */
function named(name: string): string {
  return /^[\w.-]{1,60}$/.test(name) ? name : describe(name);
}

function checkEntry(name: string, entry: unknown, available: number): Entry {
  if (!isObject(entry)) throw new FormatError(`tensor ${name} has no description`);
  const { dtype, shape, data_offsets: offsets } = entry;
  if (dtype !== "F32" && dtype !== "F64") {
    throw new FormatError(`tensor ${name} has type ${describe(dtype)}; F32 and F64 are known`);
  }
  if (!Array.isArray(shape) || shape.length > DIMENSIONS || !shape.every(isSize))
    throw new FormatError(`tensor ${name} has no valid shape`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    throw new FormatError(`tensor ${name} has no valid offsets`);
  }
  const [begin, end] = offsets;
  if (begin > end || end > available) {
    throw new FormatError(
      `tensor ${name} lies at bytes ${begin} to ${end}, of ${available} that the file has`,
    );
  }
  const expected = shape.reduce((product: number, size: number) => product * size, dtype === "F32" ? 4 : 8);
  if (end - begin !== expected) {
    throw new FormatError(`tensor ${name} has ${end - begin} bytes, but its shape needs ${expected}`);
  }
  return { dtype, shape, data_offsets: [begin, end] };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
