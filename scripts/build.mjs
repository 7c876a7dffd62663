/**
 * Builds what this machine can build, each part only if its sources are newer (run by `npm run build`, and before
 * `npm start` and `npm test`):
 *
 *     src/       ── tsc ─────▶ lib/, module by module, for this repository's own tools
 *                ── esbuild ─▶ dist/, what is published (bundle.mjs)
 *     native/    ── CMake ───▶ build/Release/local_entropy.node
 *     assembly/  ── asc ─────▶ dist/wasm/local-entropy.{relaxed,threads,simd}.wasm
 *
 * `--only typescript`, `--only native[:avx2]`, `--only wasm[:simd]`, as often as wanted, build that part alone, for one
 * instruction set or one build of the kernels. An addon for one instruction set is marked as out of date, so that the
 * next whole build makes the others.
 *
 * No compiler or no CMake is no error: other backends run instead, and one sentence says so. A compile that fails
 * is one. Everything is told on stderr, so that stdout stays free for results.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { bundle } from "./bundle.mjs";

const require = createRequire(import.meta.url);
process.chdir(fileURLToPath(new URL("..", import.meta.url)));

/** Latest change in milliseconds of a file, or of a folder and all in it: a removed file changes its folder. */
function changed(path) {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => changed(join(path, name))));
}

/** Whether an output is there and no input was changed after it was made. */
function upToDate(output, inputs) {
  return existsSync(output) && inputs.filter(existsSync).every((path) => changed(path) <= changed(output));
}

/** Runs a command with its output on stderr; false, and a build that failed, if it fails. The others go on. */
async function run(part, command, ...args) {
  const child = spawn(command, args, { stdio: ["ignore", 2, 2] });
  const [status, signal] = await once(child, "close").catch(({ message }) => [message]);
  if (status === 0) return true;
  console.error(`${part}: failed, ${signal ? `ended by ${signal}` : `status ${status}`}`);
  process.exitCode = 1;
  return false;
}

const works = (command) => spawnSync(command, ["--version"], { stdio: "ignore" }).status === 0;

/** What the addon's build lacks here, or null. On Windows CMake itself finds the compiler. */
function missing() {
  const compilers = process.env.CXX ? [process.env.CXX] : ["c++", "g++", "clang++"];
  const lacking = [];
  if (process.platform !== "win32" && !compilers.some(works))
    lacking.push(`C++ compiler (${compilers.join(", ")})`);
  if (!works("cmake")) lacking.push("CMake");
  return lacking.length > 0 ? lacking.join(" and no ") : null;
}

/** src/version.ts, where package.json has another version. */
function writeVersion() {
  const { version } = JSON.parse(readFileSync("package.json", "utf8"));
  const text = `/** As package.json has it. Written by scripts/build.mjs. */\nexport const VERSION = "${version}";\n`;
  if (readFileSync("src/version.ts", "utf8") !== text) writeFileSync("src/version.ts", text);
}

async function buildTypeScript() {
  writeVersion();
  // tsc leaves outputs alone that would not change, so a file of our own says when it last succeeded.
  const stamp = "dist/.built";
  const benchmarks = readdirSync("bench").filter((name) => name.endsWith("mjs"));
  const bundled = [...benchmarks.map((name) => join("bench", name)), "scripts/bundle.mjs"];
  await kernels; // the bundle has them too
  if (upToDate(stamp, ["src", "tsconfig.json", "package.json", "lib", "dist/wasm", ...bundled])) return;
  const start = new Date();
  console.error("typescript: compiling src to lib, bundling it to dist");
  // What a source that is gone had become must not be packed.
  const outputs = existsSync("dist") ? readdirSync("dist").filter((name) => name !== "wasm") : [];
  for (const path of ["lib", ...outputs.map((name) => join("dist", name))]) {
    rmSync(path, { recursive: true, force: true });
  }
  const tsc = require.resolve("typescript/bin/tsc");
  if (!(await run("typescript", process.execPath, tsc, "-p", "tsconfig.json", "--noEmitOnError"))) return;
  try {
    await bundle();
  } catch (error) {
    console.error(`typescript: ${error.message}`);
    process.exitCode = 1;
    return;
  }
  writeFileSync(stamp, "");
  utimesSync(stamp, start, start); // what was changed during the build is built next time
}

/** @param instructionSet the only one to build for; all of this processor's kind where it is undefined */
async function buildAddon(instructionSet) {
  const output = "build/Release/local_entropy.node";
  const sources = readdirSync("native").filter((name) => name !== "test" && name !== "cuda");
  const inputs = [...sources.map((name) => join("native", name)), "package.json"];
  if (!instructionSet && upToDate(output, inputs)) return;
  const lacking = missing();
  if (lacking !== null) {
    const instead = existsSync(output)
      ? "the native backend stays as it was built before"
      : "the native backend is not built and the wasm backend, which is slower, runs instead";
    console.error(`native: this machine has no ${lacking}, so ${instead}`);
    return;
  }
  console.error(`native: compiling the addon to ${output}`);
  // cmake-js knows where Node-API's headers lie (with isNodeApi it downloads none) and how each platform links.
  const { CMake } = require("cmake-js");
  const cmake = new CMake({ directory: "native", out: "build", isNodeApi: true });
  mkdirSync("build", { recursive: true });
  const start = new Date();
  const [configure, ...configureArgs] = await cmake.getConfigureCommand();
  const only = `-DLOCAL_ENTROPY_INSTRUCTION_SET=${instructionSet ?? ""}`;
  if (!(await run("native", configure, ...configureArgs, "-B", "build", only))) return;
  const [build, ...buildArgs] = await cmake.getBuildCommand();
  buildArgs.push("--target", "local_entropy", "--parallel", String(availableParallelism()));
  if (!(await run("native", build, ...buildArgs))) return;
  const made = instructionSet ? new Date(0) : start;
  utimesSync(output, made, made); // CMake leaves it alone where nothing that it holds was changed
}

/** One source, three builds (src/backends/wasm/abi.ts): what a host of each kind offers. */
const WASM_BUILDS = {
  simd: ["--enable", "simd"],
  threads: ["--enable", "simd,threads", "--sharedMemory", "--maximumMemory", "65536"],
  relaxed: ["--enable", "simd,threads,relaxed-simd", "--sharedMemory", "--maximumMemory", "65536"],
};

/** @param only the one of `WASM_BUILDS` to make; all where it is undefined */
async function buildAssembly(only) {
  const asc = join("node_modules", "assemblyscript", "bin", "asc.js");
  for (const [name, flags] of Object.entries(WASM_BUILDS)) {
    if (only && only !== name) continue;
    const output = `dist/wasm/local-entropy.${name}.wasm`;
    if (upToDate(output, ["assembly"])) continue;
    console.error(`assembly: compiling to ${output}`);
    const start = new Date();
    mkdirSync("dist/wasm", { recursive: true });
    const config = ["--config", "assembly/asconfig.json", "--outFile", output];
    if (await run("assembly", process.execPath, asc, ...config, ...flags)) utimesSync(output, start, start);
  }
}

/** Each part's build, and what may stand after its name. */
const PARTS = {
  native: [buildAddon, ["avx512", "avx2", "sse4", "neon"]],
  typescript: [buildTypeScript, []],
  wasm: [buildAssembly, Object.keys(WASM_BUILDS)],
};

const { only = Object.keys(PARTS) } = parseArgs({
  options: { only: { type: "string", multiple: true } },
}).values;
const wanted = only.map((name) => name.split(":"));
for (const [part, target] of wanted) {
  if (PARTS[part] && (target === undefined || PARTS[part][1].includes(target))) continue;
  const parts = Object.entries(PARTS).map(([name, [, targets]]) => [name, ...targets].join(":"));
  console.error(
    `Expected one of ${parts.join(", ")} for --only but received ${part}${target ? `:${target}` : ""}`,
  );
  process.exit(1);
}
// The addon's compilers are most of the work, so they begin first.
const kernels = (async () => {
  for (const [part, target] of wanted) if (part === "wasm") await buildAssembly(target);
})();
await Promise.all([
  ...wanted.filter(([part]) => part !== "wasm").map(([part, target]) => PARTS[part][0](target)),
  kernels,
]);
