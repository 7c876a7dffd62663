/**
 * The package's errors, and the one sentence that they speak:
 * "Expected <range> for <option.path> but received <value>".
 *
 * Each class has a stable `code`, so that callers need not compare messages or classes.
 */

/** A wrong option, or an array of the wrong kind, length or content. Thrown before work starts. */
export class OptionError extends Error {
  override readonly name = "OptionError";
  /** Stays the same in every version: compare it, not the message. */
  readonly code = "ERR_OPTION";
}

/** A data file that is missing, truncated, or of another format. */
export class DataError extends Error {
  override readonly name = "DataError";
  /** Stays the same in every version: compare it, not the message. */
  readonly code = "ERR_DATA";
}

/** A backend that is not there or does not load, or that failed. */
export class BackendError extends Error {
  override readonly name = "BackendError";
  /** Stays the same in every version: compare it, not the message. */
  readonly code = "ERR_BACKEND";
}

/** A checkpoint or run folder that cannot be read or written, or belongs to another run. */
export class CheckpointError extends Error {
  override readonly name = "CheckpointError";
  /** Stays the same in every version: compare it, not the message. */
  readonly code = "ERR_CHECKPOINT";
}

/** A run whose loss, gradient or parameters are no longer finite. */
export class DivergedError extends Error {
  override readonly name = "DivergedError";
  /** Stays the same in every version: compare it, not the message. */
  readonly code = "ERR_DIVERGED";
}

/** The sentence; `advice`, if any, says what to do and follows a semicolon. */
export function expected(range: string, path: string, value: unknown, advice = ""): string {
  return `Expected ${range} for ${path} but received ${describe(value)}${advice && `; ${advice}`}`;
}

/**
 * The array, of the length that its call implies.
 *
 * @throws OptionError for another one; an array whose buffer was detached has none
 */
export function ofLength<A extends ArrayLike<number>>(name: string, array: A, length: number): A {
  if (array.length === length) return array;
  throw new OptionError(
    `Expected ${length} entries for ${name} but received ${array.length}; a detached array has none`,
  );
}

/** The array, as long as it likes but not empty. */
export function notEmpty<A extends ArrayLike<number>>(name: string, array: A): A {
  if (array.length > 0) return array;
  throw new OptionError(
    `Expected at least one entry for ${name} but received none; a detached array has none`,
  );
}

const LONGEST_STRING = 60;

/** A value in a few words: numbers as they are, strings quoted, arrays by type and length. */
export function describe(value: unknown): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value.length > LONGEST_STRING ? `${value.slice(0, LONGEST_STRING)}…` : value);
    case "bigint":
      return `${value}n`;
    case "function":
      return value.name ? `the function ${value.name}` : "a function";
    case "object":
      return value === null ? "null" : describeObject(value);
    default:
      return String(value);
  }
}

function describeObject(value: object): string {
  if (Array.isArray(value)) return `an array of length ${value.length}`;
  if (ArrayBuffer.isView(value) && "length" in value) return `${typeName(value)} of length ${value.length}`;
  const type = typeName(value);
  return type === "Object" ? "an object" : `an object of type ${type}`;
}

/**
 * "Float32Array", "Uint8Array", …: what a value is by its tag. Unlike `instanceof` it holds for arrays that were
 * made in another realm (a worker's context, a test runner's).
 */
export function typeName(value: unknown): string {
  return Object.prototype.toString.call(value).slice("[object ".length, -1);
}
