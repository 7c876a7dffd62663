/**
 * One operation on one backend, again at every change (`npm run watch -- sgld --backend wasm`): builds what the changed
 * files go into, and runs the tests of that stem. Ctrl-C ends it.
 *
 *     --backend reference           nothing to build: jest reads the sources
 *     --backend native[:avx2]       one instruction set of the addon (default)
 *     --backend wasm[:simd]         one build of the kernels, and dist, which its workers run
 *     --backend cuda                CUDA's kernels on the host shim
 *
 * A change in the middle of a round begins the next one at once. The addon is left with one instruction set, and the
 * next `npm run build` makes the others.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, statSync, watch } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));

const build = (part) => ["scripts/build.mjs", "--only", part];
/** What each backend is built by, from which folders, and what the tests call it. */
const BACKENDS = {
  reference: () => ({ name: "reference", builds: {} }),
  native: (set = process.arch === "arm64" ? "neon" : "avx2") => ({
    name: `native ${set}`,
    builds: { native: build(`native:${set}`) },
  }),
  wasm: (made = "simd") => ({
    name: `wasm ${{ threads: "simd+threads", relaxed: "relaxed-simd+threads" }[made] ?? made}`,
    builds: { src: build("typescript"), assembly: build(`wasm:${made}`) },
    // Node 20 has relaxed SIMD behind a flag.
    flags:
      made === "relaxed" && process.version.startsWith("v20.") ? ["--experimental-wasm-relaxed-simd"] : [],
  }),
  cuda: () => ({ name: "cuda", builds: { native: ["scripts/build-cuda.mjs", "--host"] } }),
};

function fail(sentence) {
  console.error(sentence);
  process.exit(1);
}

const { values, positionals } = parseArgs({
  options: { backend: { type: "string", default: "native" } },
  allowPositionals: true,
});
const [kind, target] = values.backend.split(":");
if (!Object.hasOwn(BACKENDS, kind)) {
  fail(`Expected one of ${Object.keys(BACKENDS).join(", ")} for --backend but received ${values.backend}`);
}
const { name, builds, flags = [] } = BACKENDS[kind](target);

/** Test files by stem: those of the backends are the stem's too. */
const files = readdirSync("test", { recursive: true }).filter((file) => file.endsWith(".test.ts"));
const stemOf = (file) => basename(file, ".test.ts").replace(/-backends$/, "");
const [stem] = positionals;
const tests = files.filter((file) => stemOf(file) === stem).map((file) => `test/${file}`);
if (tests.length === 0) {
  const stems = files.filter((file) => dirname(file) === "operations").map(stemOf);
  fail(`Expected a stem (${[...new Set(stems)].sort().join(", ")}) but received ${stem ?? "none"}`);
}

const jest = [...flags, "--experimental-vm-modules", "--no-warnings", "node_modules/jest/bin/jest.js"];
const environment = { ...process.env, LOCAL_ENTROPY_TEST_BACKEND: name };

let testing;
/** Runs node with these arguments; false if it failed or was ended by a change. */
async function run(args, isTest = false) {
  const child = spawn(process.execPath, args, { stdio: "inherit", env: environment });
  if (isTest) testing = child;
  const [status] = await once(child, "close");
  testing = undefined;
  return status === 0;
}

const FOLDERS = ["src", "native", "assembly", "test"];
/** Folders whose changes are not built yet. */
const stale = new Set(FOLDERS);
/** Whether something changed since the round began. */
let changed = false;
let wake = () => {};
let timer;
/**
 * Folder by folder: a recursive watcher of Node 20 on Linux loses files that an editor replaces, as most do.
 *
 * @param top the one of `FOLDERS` that `folder` is in
 */
function watchFolder(folder, top) {
  watch(folder, (_, file) => {
    if (file === null || /^\.|~$/.test(file)) return; // editors' own files
    const path = join(folder, file);
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) watchFolder(path, top);
    stale.add(top);
    changed = true;
    clearTimeout(timer);
    // Editors write a file in several steps. Compilers are not ended half-way.
    timer = setTimeout(() => {
      testing?.kill();
      wake();
    }, 100);
  });
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) watchFolder(join(folder, entry.name), top);
  }
}
for (const folder of FOLDERS) watchFolder(folder, folder);

/** Builds what is stale; false if a part failed, which stays stale. */
async function buildStale() {
  for (const folder of [...stale]) {
    stale.delete(folder);
    if (builds[folder] === undefined || (await run(builds[folder]))) continue;
    stale.add(folder);
    return false;
  }
  return true;
}

while (true) {
  changed = false;
  const start = performance.now();
  const good = (await buildStale()) && !changed && (await run([...jest, "--runTestsByPath", ...tests], true));
  if (changed) continue;
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`\n${stem} on ${name}: ${good ? "passed" : "FAILED"} in ${seconds} s; waiting for a change`);
  await new Promise((resolve) => {
    wake = resolve;
  });
}
