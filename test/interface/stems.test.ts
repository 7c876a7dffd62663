/**
 * One operation, one name: each stem has a file of that name in the reference, in every backend that is here, in
 * the tests and in the benchmarks; and no file has grown past reading.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { expect, test } from "@jest/globals";

const root = new URL("../../", import.meta.url);
const here = (path: string) => existsSync(new URL(path, root));

/** What the package computes, in one spelling everywhere. */
const STEMS = [
  "philox",
  "gaussian",
  "dense",
  "hessian-product",
  "projection",
  "walsh",
  "sgd",
  "sgld",
  "importance-sampling",
  "evolution-strategies",
  "robbins-monro",
  "step",
  "update",
];
/** Where each stem stands: a folder, in any of its chapters, and the file's name there. */
const PLACES: [place: string, folder: string, name: (stem: string) => string][] = [
  ["the reference", "src/reference", (stem) => `${stem}.ts`],
  ["the native backend", "native/cpu", (stem) => `${stem}-inl.h`],
  // Philox is inlined where its words are used, so it has no kernel.
  ["the CUDA backend", "native/cuda", (stem) => `${stem}.${stem === "philox" ? "h" : "cu"}`],
  ["the WASM builds", "assembly", (stem) => `${stem}.ts`],
  ["the tests", "test/operations", (stem) => `${stem}.test.ts`],
  ["the benchmarks", "bench", (stem) => `${stem}.bench.mjs`],
];

test.each(PLACES)("%s has a file for each stem", (_, folder, name) => {
  const files = readdirSync(new URL(folder, root), { recursive: true }).map((path) =>
    String(path).split("/").at(-1),
  );
  expect(STEMS.map(name).filter((file) => !files.includes(file))).toEqual([]);
});

test("every instruction set is two files and compiles the same kernels", () => {
  const names = readdirSync(new URL("native/cpu/machine/targets", root));
  const targets = [...new Set(names.map((name) => name.replace(/\.(h|cc)$/, "")))].sort();
  expect(targets).toEqual(["avx2", "avx512", "neon", "sse4"]);
  for (const target of targets) {
    const source = readFileSync(new URL(`native/cpu/machine/targets/${target}.cc`, root), "utf8");
    expect(here(`native/cpu/machine/targets/${target}.h`)).toBe(true);
    expect(source).toContain('-inl.h"');
  }
});

/** Lines that a reader can hold: sources, tests, scripts and benchmarks. */
const LONGEST = 400;
const FOLDERS = ["src", "native", "assembly", "test", "bench", "scripts", "examples"];

test(`no file has more than ${LONGEST} lines`, () => {
  const there = FOLDERS.filter((folder) => existsSync(new URL(folder, root)));
  const files = there
    .flatMap((folder) =>
      readdirSync(new URL(folder, root), { recursive: true }).map((name) => `${folder}/${name}`),
    )
    .filter((file) => /\.(ts|mjs|js|h|cc|cu)$/.test(file));
  expect(files.length).toBeGreaterThan(50);
  const lines = (file: string) => readFileSync(new URL(file, root), "utf8").split("\n").length - 1;
  expect(files.map((file) => ({ file, lines: lines(file) })).filter(({ lines }) => lines > LONGEST)).toEqual(
    [],
  );
});
