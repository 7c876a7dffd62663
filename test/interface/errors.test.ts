/**
 * The errors' codes, and values as their one sentence prints them.
 */
import { describe, expect, test } from "@jest/globals";
import * as errors from "../../src/errors.ts";

test("each class is an Error with its own name and stable code", () => {
  const { OptionError, DataError, BackendError, CheckpointError, DivergedError } = errors;
  const classes = [OptionError, DataError, BackendError, CheckpointError, DivergedError];
  const cause = new TypeError("why");
  const made = classes.map((Class) => new Class("what", { cause }));
  for (const error of made) {
    expect(error).toBeInstanceOf(Error);
    expect(error.message).toBe("what");
    expect(error.cause).toBe(cause);
  }
  expect(made.map(({ name }) => name)).toEqual(classes.map(({ name }) => name));
  expect(made.map(({ code }) => code)).toEqual([
    "ERR_OPTION",
    "ERR_DATA",
    "ERR_BACKEND",
    "ERR_CHECKPOINT",
    "ERR_DIVERGED",
  ]);
});

describe("values in a few words", () => {
  function named() {}
  test.each<[unknown, string]>([
    [undefined, "undefined"],
    [null, "null"],
    [Number.NaN, "NaN"],
    [-0.5, "-0.5"],
    [5n, "5n"],
    [true, "true"],
    ["relu", '"relu"'],
    ['a "b"', '"a \\"b\\""'],
    ["x".repeat(61), `"${"x".repeat(60)}…"`],
    [[1, 2, 3], "an array of length 3"],
    [new Float32Array(4), "Float32Array of length 4"],
    [Buffer.alloc(2), "Uint8Array of length 2"],
    [{ a: 1 }, "an object"],
    [new Map(), "an object of type Map"],
    [new DataView(new ArrayBuffer(1)), "an object of type DataView"],
    [named, "the function named"],
    [() => 0, "a function"],
  ])("%p", (value, text) => {
    expect(errors.describe(value)).toBe(text);
  });
});

test("the sentence, with and without advice", () => {
  expect(errors.expected("an integer 1 … 9", "train.updates", "3")).toBe(
    'Expected an integer 1 … 9 for train.updates but received "3"',
  );
  expect(errors.expected("true", "a.b", 0, "say so")).toBe("Expected true for a.b but received 0; say so");
});
