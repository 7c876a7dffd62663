/**
 * Every check of the repository, stage by stage (run by `npm test`, after `npm run build`): types, lint, format,
 * native C++ tests without Node, the same on CUDA's kernels, and jest. Ends with a table of the stages and, alone on
 * the last line, `N passed, N failed, N skipped`. A stage without counts of its own is one test.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findCompiler } from "./cuda-compiler.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
process.chdir(root);

/** Runs a command on this terminal; true if it succeeded. */
function succeeds(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { stdio: "inherit", ...options });
  if (error) console.error(`${command}: ${error.message}`);
  return status === 0;
}

const one = (passed) => ({ passed: Number(passed), failed: Number(!passed), skipped: 0 });
const runTool = (path, ...args) => succeeds(process.execPath, [`node_modules/${path}`, ...args]);
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

/** Builds and runs native/test. */
function nativeTests() {
  const reason = missingForNative();
  if (reason) return { passed: 0, failed: 0, skipped: 1, note: reason };
  const folder = "build/native-test";
  const built =
    succeeds("cmake", [
      "-S",
      "native",
      "-B",
      folder,
      "-DCMAKE_BUILD_TYPE=Release",
      "-DLOCAL_ENTROPY_TESTS=ON",
    ]) && succeeds("cmake", ["--build", folder, "--parallel", "2", "--target", "native-test"]);
  if (!built) return { ...one(false), note: "did not build" };
  return runTests(`${folder}/native-test`);
}

/** Runs a C++ test program; its last line is `N passed, N failed`. What it prints is told when it has ended. */
async function runTests(program, ...args) {
  const child = spawn(program, ["--vectors", "test/vectors", ...args]);
  const run = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"]) {
    child[name].setEncoding("utf8").on("data", (text) => {
      run[name] += text;
    });
  }
  [run.status, run.signal] = await once(child, "close");
  process.stdout.write(`${run.stdout}${run.stderr}`);
  const counts = /(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*$/.exec(run.stdout);
  if (!counts)
    return { ...one(false), note: `ended by ${run.signal ?? `status ${run.status}`} without counts` };
  const [passed, failed, skipped] = counts.slice(1).map((text) => Number(text ?? 0));
  // A test program that fails after its counts (a sanitizer, a crash at exit) has failed.
  return { passed, failed: Math.max(failed, Number(run.status !== 0)), skipped };
}

const sum = (...counts) => ({
  passed: counts.reduce((total, { passed }) => total + passed, 0),
  failed: counts.reduce((total, { failed }) => total + failed, 0),
  skipped: counts.reduce((total, { skipped }) => total + skipped, 0),
  note: counts.find(({ note }) => note)?.note,
});

/** C++ tests that sanitizers and the checker of races watch: they reach every kernel but `heat_error`, in a minute. */
const WATCHED = ["cuda ", "dense: ", "session: ", "step: ", "double precision", "complement"];

/**
 * CUDA's kernels without a GPU: on the host shim, whose addon jest tests too; there some tests again, watched for
 * races and by sanitizers; and, where nvcc is there (CUDA_HOME, or after `node scripts/cuda-compiler.mjs`), compiled for
 * one architecture, whose registers and spills jest asserts.
 */
async function cudaTests() {
  const reason = process.arch !== "x64" ? "the host shim is for x86-64" : missingForNative();
  if (reason) return { passed: 0, failed: 0, skipped: 2, note: reason };
  const build = (...flags) => succeeds(process.execPath, ["scripts/build-cuda.mjs", ...flags]);
  const runs = [];
  const then = (name, run) =>
    runs.push(build(`--${name}`) ? run : () => ({ ...one(false), note: `did not build with --${name}` }));
  const watched = async (name, tests) => {
    const all = [];
    for (const some of tests) all.push(await runTests(`build/cuda-${name}/cuda-test`, "--filter", some));
    return sum(...all);
  };
  then("host", () => runTests("build/cuda-host/cuda-test"));
  then("races", () => watched("races", [...WATCHED, "races: "]));
  if (sanitizersLink()) then("sanitize", () => watched("sanitize", WATCHED));
  else runs.push(() => ({ passed: 0, failed: 0, skipped: 1, note: "the compiler has no sanitizers" }));
  const host = sum(...(await Promise.all(runs.map((run) => run()))));
  if (findCompiler() === null) {
    return { ...host, skipped: host.skipped + 1, note: "nvcc is not here: node scripts/cuda-compiler.mjs" };
  }
  return sum(host, one(build()));
}

/** Runs jest, with counts from its own report; a test file that could not run counts as one failure. */
function jest() {
  const report = "build/jest.json";
  mkdirSync("build", { recursive: true });
  rmSync(report, { force: true });
  const passed = succeeds(
    process.execPath,
    [
      "--experimental-vm-modules",
      "--no-warnings",
      "node_modules/jest/bin/jest.js",
      "--json",
      `--outputFile=${report}`,
    ],
    { stdio: ["inherit", "ignore", "inherit"] },
  );
  if (!existsSync(report)) return { ...one(false), note: "ended without a report" };
  const result = JSON.parse(readFileSync(report, "utf8"));
  const failed = result.numFailedTests + result.numRuntimeErrorTestSuites;
  return {
    passed: result.numPassedTests,
    failed: Math.max(failed, Number(!passed)),
    skipped: result.numPendingTests + result.numTodoTests,
  };
}

const stages = {
  types: () => one(runTool("typescript/bin/tsc", "-p", "tsconfig.test.json")),
  lint: () => one(runTool("@biomejs/biome/bin/biome", "check", ".")),
  format: () => one(succeeds(process.execPath, ["scripts/clang-format.mjs"])),
  native: nativeTests,
  cuda: cudaTests,
  jest,
};

const total = { passed: 0, failed: 0, skipped: 0 };
const table = ["stage   seconds  passed  failed  skipped"];
for (const [name, run] of Object.entries(stages)) {
  console.log(`\n── ${name}`);
  const start = performance.now();
  const counts = await run();
  for (const key of Object.keys(total)) total[key] += counts[key];
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const cells = [counts.passed, counts.failed, counts.skipped]
    .map((count) => String(count).padStart(8))
    .join("");
  table.push(`${name.padEnd(7)}${seconds.padStart(8)}${cells}${counts.note ? `  (${counts.note})` : ""}`);
}
process.exitCode = total.failed > 0 ? 1 : 0;
console.log(`\n${table.join("\n")}\n`);
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
