/** Equality of results to the bit, by their bytes: `toEqual` alone takes seconds for vectors as long as a network's. */
import { createHash } from "node:crypto";
import { serialize } from "node:v8";
import { expect } from "@jest/globals";

/** A short text that differs where a bit of a value does. */
export const fingerprint = (value: unknown): string =>
  createHash("sha1").update(serialize(value)).digest("base64");

/** Fails where two results differ, and says where. */
export function expectSameBits(actual: unknown, expected: unknown): void {
  if (fingerprint(actual) !== fingerprint(expected)) expect(actual).toEqual(expected);
}
