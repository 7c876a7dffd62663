/**
 * What is written by a script from one description is what that description says today.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "@jest/globals";
// @ts-expect-error: a script, without types
import { generated } from "../../scripts/generate.mjs";
import * as description from "../../src/backends/description.ts";
import { JOB } from "../../src/backends/wasm/abi.ts";

const files: Record<string, string> = generated(description);

test.each(Object.keys(files))("%s is current", (path) => {
  const text = readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
  // Where it is not: node scripts/generate.mjs
  expect(text).toBe(files[path]);
});

test("the struct has the fields in the order in which the host computes their offsets", () => {
  const [, body] = /class Job \{\n([^}]*)\}/.exec(files["assembly/machine/job.ts"])!;
  const fields = [...body.matchAll(/(\w+): (\w+);/g)].map(([, name, type]) => ({
    name,
    bytes: type === "f64" ? 8 : 4,
  }));
  let offset = 0;
  const offsets = fields.map(({ name, bytes }) => {
    const at = offset;
    offset += bytes;
    return [name, at];
  });
  expect(Object.fromEntries(offsets)).toEqual(JOB);
});
