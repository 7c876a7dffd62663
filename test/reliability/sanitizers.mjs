/**
 * The native code under the compilers' sanitizers: C++ tests (build/Release/native-test) with addresses and undefined
 * behaviour watched, then with races of threads watched, and hostile calls of the addon itself with addresses watched.
 * Built in build/asan and build/tsan, minutes each the first time.
 */
import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { conclude, ended, long } from "./support/programs.mjs";

process.chdir(fileURLToPath(new URL("../..", import.meta.url)));
const { CMake } = createRequire(import.meta.url)("cmake-js");

/** Flags of each build, and its instruction set; all where that is "". Races do not depend on it. */
const KINDS = {
  asan: [["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g1"], ""],
  tsan: [["-fsanitize=thread", "-g1"], process.arch === "arm64" ? "neon" : "sse4"],
};
const compiler = process.env.CXX ?? "c++";

/** Builds targets of native/ with a sanitizer; what went wrong, or null. */
async function build(kind, ...targets) {
  const out = `build/${kind}`;
  const cmake = new CMake({ directory: "native", out, isNodeApi: true });
  const [configure, ...configureArgs] = await cmake.getConfigureCommand();
  const [flags, instructionSet] = KINDS[kind];
  const settings = [
    `-DLOCAL_ENTROPY_FLAGS=${flags.join(";")}`,
    `-DLOCAL_ENTROPY_INSTRUCTION_SET=${instructionSet}`,
  ];
  const configured = await ended(configure, [...configureArgs, "-B", out, ...settings]);
  if (!configured.good) return configured.output;
  const jobs = ["--config", "Release", "--parallel", String(availableParallelism())];
  const built = await ended("cmake", ["--build", out, ...jobs, "--target", ...targets]);
  return built.good ? null : built.output;
}

const found = [];
const broken = [];
async function step(name, run) {
  const start = performance.now();
  const { good, output, last } = await run();
  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  console.log(`${name}: ${good ? last : output.slice(-4000)} (${seconds} s)`);
  found.push(`${name} ${good ? "clean" : "BROKEN"}`);
  if (!good) broken.push(name);
}
const tests = (kind) => () =>
  ended(`build/${kind}/Release/native-test`, ["--vectors", "test/vectors"], {
    env: { TSAN_OPTIONS: "halt_on_error=1", ASAN_OPTIONS: "detect_stack_use_after_return=1" },
  });
/** Node itself is not watched, so its leaks say nothing; what the addon does to memory is. */
const boundary = () => {
  const library = (name) => execFileSync(compiler, [`-print-file-name=${name}`], { encoding: "utf8" }).trim();
  const program = fileURLToPath(new URL("support/boundary.mjs", import.meta.url));
  const addon = fileURLToPath(new URL("../../build/asan/Release/local_entropy.node", import.meta.url));
  const flags = ["--force-node-api-uncaught-exceptions-policy=true", "--expose-gc"];
  return ended(
    process.execPath,
    [...flags, program, addon, String(long ? 300_000 : 30_000), "11", "modest"],
    {
      env: {
        LD_PRELOAD: [library("libasan.so"), library("libstdc++.so")].join(" "),
        ASAN_OPTIONS: "detect_leaks=0",
      },
    },
  );
};

const failed = (await build("asan", "native-test", "local_entropy")) ?? (await build("tsan", "native-test"));
if (failed !== null) {
  console.log(failed.slice(-4000));
  conclude(true, "the sanitizers' builds failed");
} else {
  await step("native tests, addresses and undefined behaviour", tests("asan"));
  await step("native tests, races", tests("tsan"));
  await step("hostile calls of the addon, addresses and undefined behaviour", boundary);
  conclude(broken.length > 0, found.join("; "));
}
