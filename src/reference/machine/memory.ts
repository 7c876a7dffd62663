/**
 * Arrays: new ones, and copies of what a call hands over, made before it returns, vectors in float64.
 *
 * Copies are arrays of this realm, whichever realm their originals come from. An array of another length than its call
 * implies (a detached one has none) is an error here.
 */
import type { Examples } from "../../backends/backend.ts";
import { BackendError, OptionError, ofLength } from "../../errors.ts";

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
  return new Float64Array(ofLength(name, from, length));
}

export function copyWords(name: string, from: ArrayLike<number>, length: number): Uint32Array {
  return new Uint32Array(ofLength(name, from, length));
}

/**
 * @param width d_0, entries of a row
 * @param outputs d_L where a loss reads targets, 0 where it reads labels, null where neither
 */
export function copyRows(
  { inputs, labels, targets }: Partial<Examples> & Pick<Examples, "inputs">,
  width: number,
  outputs: number | null = 0,
): Examples {
  const labelled = outputs === 0 ? labels?.length : undefined;
  const count = outputs ? (targets?.length ?? 0) / outputs : (labelled ?? inputs.length / width);
  if (count === 0) {
    throw new OptionError("Expected at least one row of inputs but received none; a detached array has none");
  }
  ofLength("inputs", inputs, count * width);
  return {
    inputs: inputs.BYTES_PER_ELEMENT === 1 ? new Uint8Array(inputs) : new Float32Array(inputs),
    labels: new Uint16Array(labels ?? []),
    ...(outputs && { targets: new Float32Array(targets!) }),
  };
}
