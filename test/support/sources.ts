/** Bytes of an array as a file's readers take them. */
import type { Source } from "../../src/disk.ts";

export function sourceOf(bytes: Uint8Array): Source {
  return {
    size: bytes.length,
    read(target, at) {
      if (at + target.length > bytes.length) throw new Error("The reader asked for bytes that are not there");
      target.set(bytes.subarray(at, at + target.length));
    },
  };
}
