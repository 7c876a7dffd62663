/**
 * Files in pieces, and what the system says about them in plain words: Node reads no file of 2 GiB at once and hashes no array of that size at once.
 *
 * Only files are read: a pipe of that name would be waited for without end, and a device has no end.
 */
import { nodeModule } from "./host.ts";

/** Bytes by their place, those of a file or of an array. */
export interface Source {
  /** In bytes. */
  readonly size: number;
  /** Fills `target` with the bytes from `at` on; all of them are there. */
  read(target: Uint8Array, at: number): void;
}

/** Most bytes in one call of Node. */
const PIECE = 2 ** 30;

/**
 * Opens a file, calls `use` with its bytes, and closes it.
 *
 * @throws what the system says, or an Error whose message completes "… could not be read: "
 */
export function readingFile<Result>(path: string, use: (source: Source) => Result): Result {
  const { closeSync, constants, fstatSync, openSync, readSync } = nodeModule("node:fs");
  // Without O_NONBLOCK opening a pipe waits for a writer. Windows has no such flag and no such pipes.
  const file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const status = fstatSync(file);
    if (status.isDirectory()) throw new Error("it is a directory");
    if (!status.isFile()) throw new Error("it is not a file but a device or a pipe");
    return use({
      size: status.size,
      read(target, at) {
        for (let done = 0; done < target.length; ) {
          const read = readSync(file, target, done, Math.min(PIECE, target.length - done), at + done);
          if (read === 0) throw new Error("it became shorter while it was read");
          done += read;
        }
      },
    });
  } finally {
    closeSync(file);
  }
}

/** Bytes as a source of themselves. */
export function sourceOf(bytes: Uint8Array): Source {
  return {
    size: bytes.length,
    read(target, at) {
      target.set(bytes.subarray(at, at + target.length));
    },
  };
}

/** All bytes of a file. The size is the file's own, so no header makes this reserve what is not there. */
export function fileBytes({ size, read }: Source): Uint8Array {
  const bytes = new Uint8Array(size);
  read(bytes, 0);
  return bytes;
}

/** Pieces of an array that Node takes at once, as views. */
export function* pieces(array: ArrayBufferView, most = PIECE): Generator<Uint8Array> {
  for (let begin = 0; begin < array.byteLength; begin += most) {
    const length = Math.min(most, array.byteLength - begin);
    yield new Uint8Array(array.buffer, array.byteOffset + begin, length);
  }
}

/**
 * A system error in plain words: why something could not be done, without the path, which the caller names.
 *
 * @param what was tried
 */
export function plainReason(error: unknown, what: "writing" | "reading" = "writing"): string {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  switch (code) {
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return `${what} there is not permitted`;
    case "ENOSPC":
    case "EDQUOT":
      return "the disk is full";
    case "EFBIG":
      return "the file would be larger than is allowed here";
    case "ENOTDIR":
    case "EEXIST":
      return "a part of this path is a file";
    case "EISDIR":
      return "it is a directory";
    case "ENOENT":
      return what === "reading" ? "there is no such file" : "there is no such place";
    case "ENAMETOOLONG":
      return "the path is too long";
    case "ELOOP":
      return "its links lead to themselves";
    case "EMFILE":
    case "ENFILE":
      return "too many files are open";
    default:
      if (error instanceof RangeError) return `it is too large for this machine's memory (${error.message})`;
      return error instanceof Error ? error.message : String(error);
  }
}
