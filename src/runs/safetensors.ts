/**
 * The safetensors format: named arrays in one file, readable from Python, Rust and elsewhere.
 *
 *     | N: u64, little-endian | header: N bytes of JSON, padded by spaces | data of the tensors, without gaps |
 *     header = { "__metadata__": { name: string }, "<tensor>": { dtype, shape, data_offsets: [begin, end] } }
 *
 * Offsets count from the end of the header. Of the format's types only F32 and F64 are known here.
 */

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
/** The format's own limit of a header, 100 MB. */
const LARGEST_HEADER = 100_000_000;
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

/** The bytes of a file: a function of names, values and their order alone. */
export function encodeSafetensors({ metadata, tensors }: Safetensors): Uint8Array {
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
  const bytes = new Uint8Array(PREFIX + headerLength + offset).fill(0x20, PREFIX, PREFIX + headerLength);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerLength), true);
  bytes.set(json, PREFIX);
  let at = PREFIX + headerLength;
  for (const { data } of tensors.values()) {
    bytes.set(bytesOf(data), at);
    at += data.byteLength;
  }
  return bytes;
}

/**
 * Reads a file's bytes, checking all that the format promises: sizes, types, shapes, and offsets that cover the data
 * once without gap or overlap.
 *
 * @returns copies, which do not hold on to `bytes`
 * @throws FormatError
 */
export function decodeSafetensors(bytes: Uint8Array): Safetensors {
  const { header, data } = split(bytes);
  const { [METADATA]: metadata = {}, ...entries } = header;
  if (!isObject(metadata) || !Object.values(metadata).every((value) => typeof value === "string")) {
    throw new FormatError("its metadata are not texts");
  }
  const tensors = new Map<string, Tensor>();
  const spans: [number, number][] = [];
  for (const [name, entry] of Object.entries(entries)) {
    const { dtype, shape, data_offsets } = checkEntry(name, entry, data.length);
    const [begin, end] = data_offsets;
    spans.push([begin, end]);
    // A copy: the data of the file need not lie at a multiple of the element's size.
    const copy = new Uint8Array(data.subarray(begin, end)).buffer;
    tensors.set(name, { shape, data: dtype === "F32" ? new Float32Array(copy) : new Float64Array(copy) });
  }
  let covered = 0;
  for (const [begin, end] of spans.sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    if (begin !== covered) throw new FormatError("its tensors overlap or leave a gap");
    covered = end;
  }
  if (covered !== data.length) throw new FormatError(`${data.length - covered} bytes follow its last tensor`);
  return { metadata: metadata as Record<string, string>, tensors };
}

function split(bytes: Uint8Array): { header: Header; data: Uint8Array } {
  if (bytes.length < PREFIX) throw new FormatError(`it has ${bytes.length} bytes, too few for a header`);
  const stated = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (stated < 2n || stated > BigInt(LARGEST_HEADER) || stated > BigInt(bytes.length - PREFIX)) {
    throw new FormatError(`its header is to have ${stated} bytes, of ${bytes.length - PREFIX} that follow`);
  }
  const end = PREFIX + Number(stated);
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(PREFIX, end)));
  } catch {
    throw new FormatError("its header is not JSON");
  }
  if (!isObject(header)) throw new FormatError("its header is not a JSON object");
  return { header, data: bytes.subarray(end) };
}

function checkEntry(name: string, entry: unknown, available: number): Entry {
  if (!isObject(entry)) throw new FormatError(`tensor ${name} has no description`);
  const { dtype, shape, data_offsets: offsets } = entry;
  if (dtype !== "F32" && dtype !== "F64") {
    throw new FormatError(`tensor ${name} has type ${JSON.stringify(dtype)}; F32 and F64 are known`);
  }
  if (!Array.isArray(shape) || !shape.every(isSize))
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
