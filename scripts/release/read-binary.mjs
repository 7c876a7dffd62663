/**
 * Reads what a shared library needs and gives, of the three formats that a release has, without the tools of any system:
 *
 *     { needs, versions, exports, minimum, signature }
 *
 * `needs` names libraries, `versions` (ELF) the symbol versions wanted of them, `exports` what others can call, `minimum`
 * (Mach-O) the oldest system, `signature` (Mach-O) whether there is one of this very content.
 */
import { createHash } from "node:crypto";

/** A view of a file's bytes, little-endian, with texts that end in a zero. */
class Reader {
  constructor(bytes) {
    this.bytes = bytes;
  }
  u8 = (at) => this.bytes.readUInt8(at);
  u16 = (at) => this.bytes.readUInt16LE(at);
  u32 = (at) => this.bytes.readUInt32LE(at);
  u64 = (at) => Number(this.bytes.readBigUInt64LE(at));
  text = (at) => this.bytes.toString("latin1", at, this.bytes.indexOf(0, at));
}

const range = (count) => Array.from({ length: count }, (_, i) => i);

/** ELF's kinds of sections, and what a dynamic entry that names a library is marked with. */
const DYNAMIC = 6;
const DYNAMIC_SYMBOLS = 11;
const VERSIONS_NEEDED = 0x6ffffffe;
const NEEDED = 1;

function readElf(bytes) {
  const file = new Reader(bytes);
  const table = file.u64(0x28);
  const sections = range(file.u16(0x3c)).map((i) => {
    const at = table + i * file.u16(0x3a);
    const [offset, size] = [file.u64(at + 24), file.u64(at + 32)];
    return { kind: file.u32(at + 4), offset, size, link: file.u32(at + 40), count: file.u32(at + 44) };
  });
  const find = (kind) => sections.find((section) => section.kind === kind);
  const text = (section, at) => file.text(sections[section.link].offset + at);

  const dynamic = find(DYNAMIC);
  const needs = range(dynamic.size / 16)
    .map((i) => dynamic.offset + 16 * i)
    .filter((at) => file.u64(at) === NEEDED)
    .map((at) => text(dynamic, file.u64(at + 8)));

  const symbols = find(DYNAMIC_SYMBOLS);
  const exports = range(symbols.size / 24)
    .map((i) => symbols.offset + 24 * i)
    .filter((at) => file.u8(at + 4) >> 4 !== 0 && file.u16(at + 6) !== 0) // neither local nor undefined
    .map((at) => text(symbols, file.u32(at)));

  const versions = [];
  const needed = find(VERSIONS_NEEDED);
  let library = needed?.offset;
  for (let i = 0; i < (needed?.count ?? 0); i++) {
    let wanted = library + file.u32(library + 8);
    for (let j = 0; j < file.u16(library + 2); j++) {
      versions.push(text(needed, file.u32(wanted + 8)));
      wanted += file.u32(wanted + 12);
    }
    library += file.u32(library + 12);
  }
  return { needs, versions, exports, minimum: null, signature: null };
}

/** A number of seven bits a byte, and where the next thing begins. */
function uleb(file, start) {
  let value = 0;
  for (let at = start, shift = 0; ; at++, shift += 7) {
    value += (file.u8(at) & 0x7f) * 2 ** shift;
    if (file.u8(at) < 0x80) return [value, at + 1];
  }
}

/** Names in a Mach-O file's tree of exports, which shares their beginnings. */
function exportsOf(file, tree, node = 0, prefix = "") {
  const [length, content] = uleb(file, tree + node);
  const found = length > 0 ? [prefix] : [];
  let at = content + length;
  const children = file.u8(at++);
  for (let i = 0; i < children; i++) {
    const edge = file.text(at);
    const [child, next] = uleb(file, at + edge.length + 1);
    found.push(...exportsOf(file, tree, child, prefix + edge));
    at = next;
  }
  return found;
}

const CODE_DIRECTORY = 0xfade0c02;
const AD_HOC = 2;

/** Whether a Mach-O file's signature is one without an identity, and of these very pages. */
function signatureOf({ bytes }, start) {
  const u32 = (at) => bytes.readUInt32BE(at); // signatures alone are big-endian
  const blobs = range(u32(start + 8)).map((i) => start + u32(start + 12 + 8 * i + 4));
  const directory = blobs.find((at) => u32(at) === CODE_DIRECTORY);
  const [hashes, pages, end] = [16, 28, 32].map((at) => u32(directory + at));
  const size = bytes.readUInt8(directory + 36);
  const page = 2 ** bytes.readUInt8(directory + 39);
  const good = range(pages).every((i) => {
    const content = bytes.subarray(i * page, Math.min((i + 1) * page, end));
    const at = directory + hashes + i * size;
    return createHash("sha256")
      .update(content)
      .digest()
      .equals(bytes.subarray(at, at + size));
  });
  return { adHoc: (u32(directory + 12) & AD_HOC) !== 0, good };
}

const LOAD_DYLIB = [0xc, 0x80000018, 0x8000001f];
const BUILD_VERSION = 0x32;
const DYLD_INFO = [0x22, 0x80000022];
const EXPORTS_TREE = 0x80000033;
const CODE_SIGNATURE = 0x1d;

function readMachO(bytes) {
  const file = new Reader(bytes);
  const found = { needs: [], versions: [], exports: [], minimum: null, signature: null };
  let at = 32;
  for (let i = 0; i < file.u32(16); i++) {
    const kind = file.u32(at);
    if (LOAD_DYLIB.includes(kind)) found.needs.push(file.text(at + file.u32(at + 8)));
    if (kind === BUILD_VERSION) found.minimum = `${file.u16(at + 14)}.${file.u8(at + 13)}`;
    if (DYLD_INFO.includes(kind) && file.u32(at + 44) > 0)
      found.exports.push(...exportsOf(file, file.u32(at + 40)));
    if (kind === EXPORTS_TREE && file.u32(at + 12) > 0)
      found.exports.push(...exportsOf(file, file.u32(at + 8)));
    if (kind === CODE_SIGNATURE) found.signature = signatureOf(file, file.u32(at + 8));
    at += file.u32(at + 4);
  }
  found.exports = found.exports.map((name) => name.replace(/^_/, ""));
  return found;
}

function readPe(bytes) {
  const file = new Reader(bytes);
  const header = file.u32(0x3c);
  const optional = header + 24;
  const first = optional + file.u16(header + 20);
  const sections = range(file.u16(header + 6)).map((i) => {
    const at = first + 40 * i;
    return { address: file.u32(at + 12), size: file.u32(at + 16), offset: file.u32(at + 20) };
  });
  const place = (address) => {
    const section = sections.find(({ address: from, size }) => address >= from && address < from + size);
    return address - section.address + section.offset;
  };
  const directory = (i) => file.u32(optional + 112 + 8 * i);
  const [exported, imported] = [directory(0), directory(1)];
  const exports = [];
  if (exported > 0) {
    const names = place(file.u32(place(exported) + 32));
    for (const i of range(file.u32(place(exported) + 24)))
      exports.push(file.text(place(file.u32(names + 4 * i))));
  }
  const needs = [];
  for (let at = place(imported); file.u32(at + 12) > 0; at += 20)
    needs.push(file.text(place(file.u32(at + 12))));
  return { needs, versions: [], exports, minimum: null, signature: null };
}

/** @param bytes of a 64-bit shared library @throws Error if it is none of the three formats */
export function readBinary(bytes) {
  if (bytes.readUInt32BE(0) === 0x7f454c46) return readElf(bytes);
  if (bytes.readUInt32LE(0) === 0xfeedfacf) return readMachO(bytes);
  if (bytes.toString("latin1", 0, 2) === "MZ") return readPe(bytes);
  throw new Error("Expected a shared library of ELF, Mach-O or PE");
}
