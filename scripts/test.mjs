/**
 * Every check of the repository (run by `npm test`, after `npm run build`): types, lint, format, native C++ tests
 * without Node, CUDA's kernels on the host shim, and jest. `--all` (`npm run test:all`) leaves nothing out: jest's laws by
 * brute force and all numbers of threads, jest on the shim too, the shim watched for races and by sanitizers, nvcc.
 *
 * Jest runs beside the other stages. What a stage prints is told when it has ended; then comes a table of the stages
 * and, alone on the last line, `N passed, N failed, N skipped`. A stage without counts of its own is one test.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findCompiler } from "./cuda-compiler.mjs";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const all = process.argv.includes("--all");

/** Runs a command to its end: its status or the signal that ended it, and what it printed, which `log` gets too. */
async function ended(log, command, args, env = process.env) {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], env });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
  }
  const [status, signal] = await once(child, "close").catch(({ message }) => [message]);
  log(output);
  return { output, end: signal ?? `status ${status}`, good: status === 0 };
}

const one = (passed, note) => ({ passed: Number(passed), failed: Number(!passed), skipped: 0, note });
const skipped = (count, note) => ({ passed: 0, failed: 0, skipped: count, note });
const sum = (counts) => ({
  passed: counts.reduce((total, { passed }) => total + passed, 0),
  failed: counts.reduce((total, { failed }) => total + failed, 0),
  skipped: counts.reduce((total, { skipped }) => total + skipped, 0),
  note: counts.find(({ note }) => note)?.note,
});

const node =
  (...args) =>
  async (log) =>
    one((await ended(log, process.execPath, args)).good);

const works = (command) => spawnSync(command, ["--version"], { stdio: "ignore" }).status === 0;

/** Why the C++ tests cannot be built here, or null. */
function missingForNative() {
  if (!works("cmake")) return "no CMake";
  const compilers = process.env.CXX ? [process.env.CXX] : ["c++", "g++", "clang++"];
  return compilers.some(works) ? null : "no C++ compiler";
}

/** Whether programs with AddressSanitizer can be built here. */
function sanitizersLink() {
  const folder = mkdtempSync(join(tmpdir(), "local-entropy-"));
  const source = join(folder, "empty.cc");
  writeFileSync(source, "int main() {}\n");
  const flags = ["-fsanitize=address,undefined", source, "-o", join(folder, "empty")];
  const { status } = spawnSync(process.env.CXX ?? "c++", flags, { stdio: "ignore" });
  rmSync(folder, { recursive: true });
  return status === 0;
}

/** Builds native/test in the addon's tree, of the same objects, and runs it; in `--all` each header by itself too. */
async function nativeTests(log) {
  const reason = missingForNative();
  if (reason) return skipped(1, reason);
  const targets = ["native-test", ...(all ? ["native-headers"] : [])];
  const flags = ["--config", "Release", "--parallel", String(availableParallelism()), "--target", ...targets];
  if (!(await ended(log, "cmake", ["--build", "build", ...flags])).good) return one(false, "did not build");
  return runTests(log, "build/Release/native-test");
}

/** Runs a C++ test program; its last line is `N passed, N failed`, and skipped where some were. */
async function runTests(log, program, ...args) {
  const { output, end, good } = await ended(log, program, ["--vectors", "test/vectors", ...args]);
  const counts = /(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*$/.exec(output);
  if (!counts) return one(false, `ended by ${end} without counts`);
  const [passed, failed, skipped] = counts.slice(1).map((text) => Number(text ?? 0));
  // A test program that fails after its counts (a sanitizer, a crash at exit) has failed.
  return { passed, failed: Math.max(failed, Number(!good)), skipped };
}

/** C++ tests that sanitizers and the checker of races watch: they reach every kernel but `heat_error`, in a minute. */
const WATCHED = ["cuda ", "dense: ", "session: ", "step: ", "double precision", "complement"];

/** Programs of the host shim that are built and run, each with its arguments: a case of each kernel, or all. */
function shimPrograms() {
  if (!all) return { host: ["--quick"] };
  const only = (filters) => filters.flatMap((filter) => ["--filter", filter]);
  return {
    host: [],
    races: only([...WATCHED, "races: "]),
    ...(sanitizersLink() ? { sanitize: only(WATCHED) } : {}),
  };
}

const shimReason = () => (process.arch !== "x64" ? "the host shim is for x86-64" : missingForNative());

/** Builds CUDA's kernels for the host shim and, in `--all`, by nvcc, whose report of registers jest reads. */
async function kernels(log) {
  const reason = shimReason();
  if (reason) return skipped(1, reason);
  const build = (...flags) => node("scripts/build-cuda.mjs", ...flags)(log);
  const counts = [];
  for (const name of Object.keys(shimPrograms())) {
    counts.push(await build(`--${name}`, ...(all ? [] : ["--target", "cuda-test"])));
  }
  if (!all) return sum(counts);
  if (findCompiler() !== null) counts.push(await build());
  else counts.push(skipped(1, "nvcc is not here: node scripts/cuda-compiler.mjs"));
  return sum(counts);
}

/** Runs the C++ tests of CUDA's kernels on the host shim. */
async function cudaTests(log) {
  const reason = shimReason();
  if (reason) return skipped(1, reason);
  const programs = Object.entries(shimPrograms());
  return sum(
    await Promise.all(programs.map(([name, args]) => runTests(log, `build/cuda-${name}/cuda-test`, ...args))),
  );
}

/** Runs jest, with counts from its own report; a test file that could not run counts as one failure. */
async function jest(log) {
  const report = "build/jest.json";
  mkdirSync("build", { recursive: true });
  rmSync(report, { force: true });
  const flags = ["--experimental-vm-modules", "--no-warnings", "node_modules/jest/bin/jest.js"];
  const { good } = await ended(log, process.execPath, [...flags, "--json", `--outputFile=${report}`], {
    ...process.env,
    ...(all ? { LOCAL_ENTROPY_TESTS: "all" } : {}),
  });
  if (!existsSync(report)) return one(false, "ended without a report");
  const result = JSON.parse(readFileSync(report, "utf8"));
  const failed = result.numFailedTests + result.numRuntimeErrorTestSuites;
  return {
    passed: result.numPassedTests,
    failed: Math.max(failed, Number(!good)),
    skipped: result.numPendingTests + result.numTodoTests,
  };
}

const STAGES = {
  types: node("node_modules/typescript/bin/tsc", "-p", "tsconfig.test.json"),
  lint: node("node_modules/@biomejs/biome/bin/biome", "check", "."),
  format: node("scripts/clang-format.mjs"),
  native: nativeTests,
  kernels,
  cuda: cudaTests,
  jest,
};

const total = { passed: 0, failed: 0, skipped: 0 };
const table = ["stage   seconds  passed  failed  skipped"];

/** Runs stages one after the other. */
async function run(...names) {
  for (const name of names) {
    let output = "";
    const start = performance.now();
    const counts = await STAGES[name]((text) => {
      output += text;
    });
    for (const key of Object.keys(total)) total[key] += counts[key];
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    const cells = [counts.passed, counts.failed, counts.skipped]
      .map((count) => String(count).padStart(8))
      .join("");
    table.push(`${name.padEnd(7)}${seconds.padStart(8)}${cells}${counts.note ? `  (${counts.note})` : ""}`);
    console.log(`\n── ${name}, ${seconds} s\n${output}`);
  }
}

console.log("Each stage prints when it has ended.");
if (all) await run("kernels"); // jest uses them
await Promise.all([
  run("jest"),
  run("types", "lint", "format", "native", ...(all ? [] : ["kernels"]), "cuda"),
]);
process.exitCode = total.failed > 0 ? 1 : 0;
console.log(`\n${table.join("\n")}\n`);
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
