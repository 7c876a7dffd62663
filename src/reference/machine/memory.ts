/**
 * Arrays: new ones, and copies of what a call hands over, made before it returns, vectors in float64.
 *
 * Copies are arrays of this realm, whichever realm their originals come from. An array of another length than its call
 * implies (a detached one has none) is an error here.
 */
import type { Examples } from "../../backends/backend.ts";
import { BackendError, OptionError } from "../../errors.ts";

/** Zeros, or the package's error where there is not so much memory. */
export function zeros(length: number): Float64Array<ArrayBuffer> {
  try {
    return new Float64Array(length);
  } catch (error) {
    const cause = Object.assign(error as RangeError, { code: "OUT_OF_MEMORY" });
    throw new BackendError("The machine has not enough memory for this call; ask for fewer samples or rows", {
      cause,
    });
  }
}

export function copyDoubles(name: string, from: ArrayLike<number>, length: number): Float64Array {
  checkLength(name, from, length);
  return new Float64Array(from);
}

export function copyWords(name: string, from: ArrayLike<number>, length: number): Uint32Array {
  checkLength(name, from, length);
  return new Uint32Array(from);
}

/** @param width d_0, entries of a row */
export function copyRows(
  { inputs, labels }: { inputs: Examples["inputs"]; labels?: Uint16Array },
  width: number,
): Examples {
  const count = labels?.length ?? inputs.length / width;
  if (count === 0) {
    throw new OptionError("Expected at least one row of inputs but received none; a detached array has none");
  }
  checkLength("inputs", inputs, count * width);
  return {
    inputs: inputs.BYTES_PER_ELEMENT === 1 ? new Uint8Array(inputs) : new Float32Array(inputs),
    labels: new Uint16Array(labels ?? []),
  };
}

/** Length of an array that is as long as it likes, but not empty. */
export function lengthOf(name: string, { length }: ArrayLike<number>): number {
  if (length > 0) return length;
  throw new OptionError(
    `Expected at least one entry for ${name} but received none; a detached array has none`,
  );
}

function checkLength(name: string, { length: received }: ArrayLike<number>, length: number): void {
  if (received === length) return;
  throw new OptionError(
    `Expected ${length} entries for ${name} but received ${received}; a detached array has none`,
  );
}
