/**
 * The modules' arrows: downward, in no circle, and out of the package only where it may.
 *
 * What `import { train }` loads, from src and as it is published (dist): no module of Node, which no browser or bundler
 * resolves, and no tool of the command.
 */
import { readdirSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { expect, test } from "@jest/globals";

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

/** The bare names among what a file loads, and how many files that is. */
function bareNames(path: string): { files: number; names: string[] } {
  const files = graph(new URL(path, root));
  return { files: files.size, names: [...new Set([...files.values()].flat())].sort() };
}

test("the package loads where there is no Node: nothing but zod has a bare name", () => {
  const { files, names } = bareNames("src/index.ts");
  expect(files).toBeGreaterThan(30);
  expect(names).toEqual(["zod/mini", "zod/v4/locales/en.js"]);
});

test.each(["index", "formats/index"])("what is published of %s has no bare name at all", (name) => {
  const { files, names } = bareNames(`dist/${name}.js`);
  expect(files).toBeGreaterThan(2);
  expect(names).toEqual([]);
});

test("what is published of table has no bare name either, and index nothing of it", () => {
  const { files, names } = bareNames("dist/table/table.js");
  expect(files).toBeGreaterThan(2);
  expect(names).toEqual([]);
  const parsing = (path: string) =>
    [...graph(new URL(path, root)).keys()].filter((file) =>
      readFileSync(new URL(file), "utf8").includes("papaparse"),
    );
  expect(parsing("dist/table/table.js")).not.toEqual([]);
  expect(parsing("dist/index.js")).toEqual([]);
});

test("the worker is one script, a module and CommonJS alike: whoever copies it alone has it whole", () => {
  const script = readFileSync(new URL("dist/backends/wasm/worker.js", root), "utf8");
  expect(script).toContain("parentPort");
  expect(script).not.toMatch(/^\s*(?:import|export)\b|\bimport\s*[.(]|\brequire\(/m);
});

test.each(["runs/report", "cli/main"])("what is published of %s needs nothing but Node", (name) => {
  const { files, names } = bareNames(`dist/${name}.js`);
  expect(files).toBeGreaterThan(5);
  expect(names.length).toBeGreaterThan(1);
  expect(names.filter((name) => !isBuiltin(name))).toEqual([]);
});

test("what knows its place lies where src/places.ts says that it does", () => {
  const files = readdirSync(new URL("dist/", root), { recursive: true }).map(String);
  const scripts = files.filter((name) => name.endsWith(".js"));
  const knowing = scripts.filter((name) =>
    readFileSync(new URL(`dist/${name}`, root), "utf8").includes("import.meta.url"),
  );
  expect(knowing.length).toBeGreaterThan(0);
  expect(knowing.filter((name) => name.includes("/") || name.includes("\\"))).toEqual([]);
});

/** Every source in a folder, by its path from the root, with those that it imports (types too) or includes. */
function modules(folder: string): Map<string, string[]> {
  const files = readdirSync(new URL(folder, root), { recursive: true })
    .map((name) => `${folder}${name}`)
    .filter((name) => /\.(ts|h|cc|cuh|cu)$/.test(name));
  const patterns = {
    script: /^(?:import|export)\s[^;"']*?["'](\.[^"']+)["'];?$|\bimport\(["'](\.[^"']+)["']\)/gm,
    native: /^#include "([^"]+)"/gm,
  };
  return new Map(
    files.map((file) => {
      const url = new URL(file, root);
      const pattern = file.endsWith(".ts") ? patterns.script : patterns.native;
      const names = [...readFileSync(url, "utf8").matchAll(pattern)].map(([, name, late]) => name ?? late);
      // AssemblyScript leaves the ending out.
      const imported = names.map((name) => new URL(/\.\w+$/.test(name) ? name : `${name}.ts`, url));
      return [file, imported.map(({ href }) => href.slice(root.href.length))];
    }),
  );
}

const root = new URL("../../", import.meta.url);
const source = modules("src/");

test("no circle among modules", () => {
  const rest = new Map(source);
  expect(rest.size).toBeGreaterThan(70);
  // What imports nothing that is left cannot be in a circle.
  for (let before = -1; before !== rest.size; ) {
    before = rest.size;
    for (const [file, imported] of rest) if (!imported.some((name) => rest.has(name))) rest.delete(file);
  }
  expect([...rest.keys()]).toEqual([]);
});

test("what computes knows no options", () => {
  const arrows = [...source].flatMap(([file, imported]) => imported.map((name) => `${file} → ${name}`));
  expect(arrows.length).toBeGreaterThan(200);
  expect(arrows.filter((arrow) => /^src\/(reference|backends)\/.* → src\/options/.test(arrow))).toEqual([]);
});

/** Each chapter stands on those before it. */
const CHAPTERS = ["machine", "random", "linear", "network", "sampling", "chains", "update"];

test.each(["src/reference/", "assembly/", "native/cpu/", "native/cuda/"])(
  "the chapters of %s point downward",
  (folder) => {
    const chapter = (file: string) =>
      file.startsWith(folder) ? CHAPTERS.indexOf(file.slice(folder.length).split("/")[0]) : -1;
    const arrows = [...modules(folder)].flatMap(([from, imported]) => imported.map((to) => [from, to]));
    const between = arrows.filter(([from, to]) => chapter(from) >= 0 && chapter(to) >= 0);
    expect(between.length).toBeGreaterThan(40);
    expect(between.filter(([from, to]) => chapter(to) > chapter(from))).toEqual([]);
    const folders = readdirSync(new URL(folder, root), { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !["shim", "test"].includes(entry.name))
      .map(({ name }) => name);
    expect(folders.sort()).toEqual([...CHAPTERS].sort());
  },
);
