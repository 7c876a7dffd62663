/**
 * What a file of machine code is, read from the file itself: for what platform, and whether all of it is there.
 *
 * It is looked at before a system's loader maps it. That of Linux does not ask whether a file is as long as its header
 * says, and the first touch of a page that is not there ends the process: an installation that was cut off would. That of
 * musl takes glibc's names for its own, and runs code that was made for the other one. Only the headers are read, a
 * fraction of a millisecond.
 */
import { nodeModule } from "../../host.ts";

/**
 * The platform of a binary, by the names of `platforms.ts` ("linux-x64-musl"), null where that is none of theirs; or what
 * is wrong with the file.
 */
export type Binary = { readonly platform: string | null } | { readonly damage: string };

/** Bytes of a file from a place on. */
type Read = (at: number, length: number) => DataView;

class CutOff extends Error {}

const CPUS = {
  linux: { 62: "x64", 183: "arm64" },
  darwin: { 16777223: "x64", 16777228: "arm64" },
  win32: { 34404: "x64", 43620: "arm64" },
} as const;

function platformOf(os: keyof typeof CPUS, code: number, libc = ""): Binary {
  const cpu = (CPUS[os] as Record<number, string>)[code];
  return { platform: cpu === undefined ? null : `${os}-${cpu}${libc}` };
}

/** @throws what the file system says where the file cannot be read */
export function binaryOf(path: string): Binary {
  const { closeSync, fstatSync, openSync, readSync } = nodeModule("node:fs");
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    const read: Read = (at, length) => {
      const bytes = new DataView(new ArrayBuffer(length));
      if (at + length > size || readSync(file, bytes, 0, length, at) < length) throw new CutOff();
      return bytes;
    };
    try {
      return binaryIn(read, size);
    } catch (error) {
      if (error instanceof CutOff) return { damage: `it was cut off after ${size} bytes` };
      throw error;
    }
  } finally {
    closeSync(file);
  }
}

function binaryIn(read: Read, size: number): Binary {
  const start = read(0, 64);
  const magic = start.getUint32(0);
  if (magic === 0x7f454c46) return elf(read, start, size);
  if (magic === 0xcffaedfe) return platformOf("darwin", start.getUint32(4, true));
  if (magic >>> 16 === 0x4d5a) {
    const header = read(start.getUint32(0x3c, true), 6);
    if (header.getUint32(0) === 0x50450000) return platformOf("win32", header.getUint16(4, true));
  }
  return { damage: "it is no library" };
}

/** Of an ELF file: kinds of its parts, and tags of what its dynamic part says. */
const [LOADED, DYNAMIC] = [1, 2];
const [NEEDED, STRINGS] = [1, 5];

function elf(read: Read, start: DataView, size: number): Binary {
  // 64 bits, little-endian; what is neither is for a processor that no package is for.
  if (start.getUint8(4) !== 2 || start.getUint8(5) !== 1) return { platform: null };
  const whole = (view: DataView, at: number) => Number(view.getBigUint64(at, true));
  const [each, count] = [start.getUint16(54, true), start.getUint16(56, true)];
  const table = read(whole(start, 32), each * count);
  const parts = Array.from({ length: count }, (_, part) => {
    const at = part * each;
    const [offset, address, length] = [whole(table, at + 8), whole(table, at + 16), whole(table, at + 32)];
    return { kind: table.getUint32(at, true), offset, address, length };
  });
  const loaded = parts.filter(({ kind }) => kind === LOADED);
  const end = Math.max(...loaded.map(({ offset, length }) => offset + length));
  if (end > size) return { damage: `it was cut off after ${size} bytes, and has at least ${end}` };

  let musl = false;
  for (const { offset, length } of parts.filter(({ kind }) => kind === DYNAMIC)) {
    const said = read(offset, length);
    const entries = Array.from({ length: length / 16 }, (_, i) => [
      whole(said, 16 * i),
      whole(said, 16 * i + 8),
    ]);
    const strings = entries.find(([tag]) => tag === STRINGS)?.[1] ?? 0;
    const home = loaded.find(({ address, length }) => strings >= address && strings < address + length);
    if (home === undefined) continue;
    for (const [tag, place] of entries) {
      if (tag !== NEEDED) continue;
      const at = home.offset + strings - home.address + place;
      const name = read(at, Math.min(16, size - at));
      musl ||= /^libc\.(so\0|musl-)/.test(String.fromCharCode(...new Uint8Array(name.buffer)));
    }
  }
  // BSDs have the same format, and no packages.
  if (process.platform !== "linux" && process.platform !== "darwin" && process.platform !== "win32")
    return { platform: null };
  return platformOf("linux", start.getUint16(18, true), musl ? "-musl" : "");
}
