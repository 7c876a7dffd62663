/**
 * Builds the CUDA backend (`npm run build:cuda`); everything is told on stderr.
 *
 *     (nothing)     nvcc  ──▶ build/cuda/Release/local_entropy_cuda.node, for sm_90, with the compiler's report of
 *                             registers and spills in build/cuda/resources.txt
 *     --release     the same for every architecture from Turing to Blackwell, and PTX for what comes after
 *     --tests       build/cuda/cuda-test too: the C++ tests and benchmarks that run on a GPU
 *     --host        g++   ──▶ build/cuda-host/cuda-test and build/cuda-host/Release/local_entropy_cuda.node: the same
 *                             sources on the host shim, for tests without a GPU
 *     --races       g++   ──▶ build/cuda-races/cuda-test: as --host, watched by the checker of races
 *     --sanitize    g++   ──▶ build/cuda-sanitize/cuda-test: as --host, with AddressSanitizer and UndefinedBehaviorSanitizer
 *     --target NAME that target alone, as cuda-test
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { fetchCompiler } from "./cuda-compiler.mjs";

/** Code for each generation, and PTX of Hopper and of the last, from which drivers compile for others. */
const RELEASE = "75-real;80-real;86-real;89-real;90;100-real;120";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const { values: flags } = parseArgs({
  options: {
    release: { type: "boolean" },
    tests: { type: "boolean" },
    host: { type: "boolean" },
    races: { type: "boolean" },
    sanitize: { type: "boolean" },
    target: { type: "string" },
  },
});

/** The build on the host shim that is asked for, if one is, and what it sets beside the shim. */
const HOST_SETTINGS = {
  host: [],
  races: ["-DLOCAL_ENTROPY_RACES=ON"],
  // The check of null pointers takes some of g++'s thread-local variables for one.
  sanitize: [
    "-DLOCAL_ENTROPY_FLAGS=-fsanitize=address,undefined;-fno-sanitize=null;-fno-sanitize-recover=all;-g1",
  ],
};
const host = Object.keys(HOST_SETTINGS).find((name) => flags[name]);

/** Runs a command; its output, which also goes to stderr. Ends the process if the command fails. */
function run(command, ...args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  const output = `${stdout ?? ""}${stderr ?? ""}`;
  process.stderr.write(output);
  if (status === 0) return output;
  console.error(`cuda: ${command} failed${error ? `, ${error.message}` : ""}`);
  process.exit(1);
}

/** Latest change in milliseconds of a file, or of a folder and all in it. */
function changed(path) {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => changed(join(path, name))));
}

const folder = host ? `build/cuda-${host}` : "build/cuda";
const settings = host
  ? ["-DLOCAL_ENTROPY_SHIM=ON", "-DLOCAL_ENTROPY_TESTS=ON", ...HOST_SETTINGS[host]]
  : [
      `-DCMAKE_CUDA_COMPILER=${fetchCompiler()}`,
      `-DCMAKE_CUDA_ARCHITECTURES=${flags.release ? RELEASE : "90"}`,
      `-DLOCAL_ENTROPY_TESTS=${flags.tests ? "ON" : "OFF"}`,
    ];

// What was built last and of which sources, so that nothing is built twice.
const target = flags.target ?? (host && host !== "host" ? "cuda-test" : undefined);
const built = `${settings.join(" ")} ${target ?? "all"} ${changed("native")}`;
const stamp = join(folder, "built.txt");
if (existsSync(stamp) && readFileSync(stamp, "utf8") === built) process.exit(0);

// cmake-js knows where Node-API's headers lie (with isNodeApi it downloads none).
const { CMake } = createRequire(import.meta.url)("cmake-js");
const cmake = new CMake({ directory: "native/cuda", out: folder, isNodeApi: true });
mkdirSync(folder, { recursive: true });
const [configure, ...configureArgs] = await cmake.getConfigureCommand();
run(configure, ...configureArgs, "-B", folder, ...settings);
const [build, ...buildArgs] = await cmake.getBuildCommand();
// The report must have every kernel, so nothing is kept of a build before.
const fresh = host ? [] : ["--clean-first"];
const targets = target ? ["--target", target] : [];
const output = run(build, ...buildArgs, ...fresh, ...targets, "--parallel", String(availableParallelism()));
if (!host) writeFileSync(join(folder, "resources.txt"), output);
writeFileSync(stamp, built);
