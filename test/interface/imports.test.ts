/**
 * What `import { train }` loads: no module of Node, which no browser or bundler resolves, and no tool of the command.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "@jest/globals";

const entry = new URL("../../src/index.ts", import.meta.url);

/** Files that loading one loads, with what each imports by a bare name. */
function graph(file: URL, seen = new Map<string, string[]>()): Map<string, string[]> {
  if (seen.has(file.href)) return seen;
  const source = readFileSync(file, "utf8");
  // Types alone (`import type`, `export type`) are gone from what runs.
  const values = /^(?:import|export)\s(?!type\b)(?:[\w\s{},*]*?\sfrom\s)?["']([^"']+)["'];/gm;
  const dynamic = /(?<!typeof )\bimport\(["']([^"']+)["']\)/g;
  const names = [
    ...[...source.matchAll(values)].map(([, name]) => name),
    ...[...source.matchAll(dynamic)].map(([, name]) => name),
  ];
  seen.set(
    file.href,
    names.filter((name) => !name.startsWith(".")),
  );
  for (const name of names.filter((name) => name.startsWith("."))) graph(new URL(name, file), seen);
  return seen;
}

test("the package loads where there is no Node: nothing but zod has a bare name", () => {
  const files = graph(entry);
  expect(files.size).toBeGreaterThan(30);
  const bare = [...files.values()].flat();
  expect([...new Set(bare)]).toEqual(["zod"]);
});
