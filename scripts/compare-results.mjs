/**
 * Compares the public results of two built checkouts, to the bit:
 *
 *     node scripts/compare-results.mjs OLD NEW [--place TEXT] [--only TEXT] [--allow PATTERN]…
 *
 * Each tree computes the same cases through its own `dist/index.js`, in a process for each backend: the reference,
 * native on every instruction set, every build of WASM, CUDA on a GPU and on the host shim, as far as they are there.
 * Every array, number and error's text of a result is one line of the comparison, by the SHA-256 of its bytes. A
 * checkpoint that the old tree saved is resumed by both.
 *
 *     --place TEXT     only backends whose name contains it: "native avx2"
 *     --only TEXT      only cases whose name contains it: "sgld"
 *     --allow PATTERN  a regular expression of lines ("place | case value") that may differ, as the change log says
 *
 * Ends with status 1 where a line differs that is not allowed to, where a backend is in one tree only, or where a
 * process fails. The cases stand in `compare-results-cases.mjs`, what computes them in `compare-results-run.mjs`.
 */
import { fork } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const RUN = fileURLToPath(new URL("compare-results-run.mjs", import.meta.url));
const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    place: { type: "string", default: "" },
    only: { type: "string", default: "" },
    allow: { type: "string", multiple: true, default: [] },
  },
});
if (positionals.length !== 2) {
  console.error(
    "Usage: node scripts/compare-results.mjs OLD NEW [--place TEXT] [--only TEXT] [--allow PATTERN]…",
  );
  process.exit(2);
}
for (const tree of positionals) {
  if (existsSync(join(tree, "dist", "index.js"))) continue;
  console.error(`compare: ${tree} is not built (npm run build)`);
  process.exit(2);
}
const trees = { old: realpathSync(positionals[0]), new: realpathSync(positionals[1]) };
const allowed = flags.allow.map((pattern) => new RegExp(pattern));
const folder = mkdtempSync(join(tmpdir(), "compare-results-"));

const native = (instructionSet) => ({
  name: `native ${instructionSet}`,
  backend: "native",
  instructionSet,
  env: { LOCAL_ENTROPY_INSTRUCTION_SET: instructionSet },
});
const wasm = (build) => ({
  name: `wasm ${build}`,
  backend: "wasm",
  instructionSet: build,
  env: { LOCAL_ENTROPY_WASM_BUILD: build },
  everyRun: 2, // each run starts its workers anew
});
const RELAXED = Number(process.versions.node.split(".")[0]) < 22 ? ["--experimental-wasm-relaxed-simd"] : [];

const PLACES = [
  { name: "reference", backend: "reference" },
  ...["avx512", "avx2", "sse4", "neon"].map(native),
  ...["simd", "simd+threads"].map(wasm),
  { ...wasm("relaxed-simd+threads"), execArgv: RELAXED },
  { name: "cuda", backend: "cuda" },
  // Seconds where others take milliseconds: one case in so many, of small networks.
  { name: "cuda on the host shim", backend: "cuda", shim: true, every: 101, everyRun: 7 },
];

/**
 * Makes the host shim's addon what the package of CUDA's addon for this platform holds, which is where `dist` looks
 * after `build/cuda`. Null where there is no shim, or where `build/cuda` would come before it.
 */
function shimPackages(tree, name) {
  const addon = join(tree, "build", "cuda-host", "Release", "local_entropy_cuda.node");
  if (!existsSync(addon) || existsSync(join(tree, "build", "cuda", "Release"))) return null;
  for (const libc of ["", "-musl"]) {
    const home = join(
      folder,
      "packages",
      name,
      "@local-entropy",
      `${process.platform}-${process.arch}${libc}-cuda`,
    );
    mkdirSync(home, { recursive: true });
    writeFileSync(join(home, "index.js"), `module.exports = require(${JSON.stringify(addon)});\n`);
  }
  return join(folder, "packages", name);
}

/** A tree's lines of a place, by name, in order; why the place is not there; what went wrong with its process. */
function compute(which, place) {
  const shim = place.shim ? shimPackages(trees[which], which) : null;
  if (place.shim && shim === null) {
    return {
      lines: new Map(),
      absent: "build/cuda-host is not there, or build/cuda comes before it",
      failure: null,
    };
  }
  const { LOCAL_ENTROPY_BACKEND: _, ...rest } = process.env;
  const job = { tree: trees[which], place, only: flags.only, folder, which };
  const child = fork(RUN, [JSON.stringify(job)], {
    execArgv: ["--no-warnings", ...(place.execArgv ?? [])],
    env: { ...rest, ...place.env, ...(shim ? { NODE_PATH: shim } : {}) },
    serialization: "advanced",
  });
  const found = { lines: new Map(), absent: null, failure: null };
  let ended = false;
  child.on("message", ({ name, value, absent, end }) => {
    if (end) ended = true;
    else if (absent !== undefined) found.absent = absent;
    else if (found.lines.has(name)) found.failure = `two lines are called ${name}`;
    else found.lines.set(name, value);
  });
  return new Promise((done) => {
    child.on("close", (code, signal) => {
      if (code !== 0 || !ended) found.failure ??= `its process ended with ${signal ?? `status ${code}`}`;
      done(found);
    });
  });
}

/** A value's type and its exact bytes. */
function digest(value) {
  const hash = createHash("sha256");
  if (ArrayBuffer.isView(value)) {
    hash.update(value.constructor.name);
    hash.update(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
  } else if (typeof value === "number") hash.update("number").update(Float64Array.of(value));
  else hash.update(`${typeof value} ${value}`);
  return hash.digest("hex");
}

/** Position of a float among all of its width, so that neighbours differ by one. */
function rank(value, single) {
  const [bits] = single
    ? new Int32Array(Float32Array.of(value).buffer)
    : new BigInt64Array(Float64Array.of(value).buffer);
  const wide = BigInt(bits);
  return wide < 0n ? -(wide & (single ? 0x7fffffffn : 0x7fffffffffffffffn)) : wide;
}

/** How two values differ, in words. */
function difference(a, b) {
  if (typeof a === "number" && typeof b === "number") return `${difference([a], [b])}: ${a} and ${b}`;
  const arrays = [a, b].map((value) => (Array.isArray(value) || ArrayBuffer.isView(value) ? value : null));
  if (arrays.includes(null)) return `${describe(a)} and ${describe(b)}`;
  if (a.length !== b.length || a.constructor !== b.constructor) return `${describe(a)} and ${describe(b)}`;
  let [absolute, ulps, count] = [0, 0n, 0];
  for (let i = 0; i < a.length; i++) {
    if (Object.is(a[i], b[i])) continue;
    count++;
    absolute = Math.max(absolute, Math.abs(a[i] - b[i])); // NaN stays
    const [one, other] = [a[i], b[i]].map((value) => rank(value, a instanceof Float32Array));
    const apart = one > other ? one - other : other - one;
    if (apart > ulps) ulps = apart;
  }
  const where = a.length === 1 ? "" : ` in ${count} of ${a.length}`;
  return `at most ${absolute.toExponential(2)}, ${ulps} ulp${where}`;
}

function describe(value) {
  if (ArrayBuffer.isView(value)) return `${value.constructor.name} of length ${value.length}`;
  return value === undefined ? "nothing" : JSON.stringify(value);
}

const began = performance.now();
const seconds = (from) => `${((performance.now() - from) / 1000).toFixed(1)} s`;
const totals = { equal: 0, allowed: 0, wrong: 0 };
try {
  for (const place of PLACES.filter(({ name }) => name.includes(flags.place))) {
    const start = performance.now();
    // One after the other: the new tree resumes what the old one saved.
    const [before, after] = [await compute("old", place), await compute("new", place)];
    for (const [which, { failure }] of Object.entries({ old: before, new: after })) {
      if (failure === null) continue;
      console.log(`${place.name}: the ${which} tree failed: ${failure}`);
      totals.wrong++;
    }
    if (before.absent !== null && after.absent !== null) {
      console.log(`${place.name}: not here (${after.absent})`);
      continue;
    }
    if (before.absent !== null || after.absent !== null) {
      console.log(`${place.name}: only in one tree (${before.absent ?? after.absent})`);
      totals.wrong++;
      continue;
    }
    const counts = { equal: 0, allowed: 0, wrong: 0 };
    const whole = createHash("sha256");
    for (const name of new Set([...before.lines.keys(), ...after.lines.keys()])) {
      const [a, b] = [before.lines.get(name), after.lines.get(name)];
      whole.update(`${name} ${digest(b)}\n`);
      if (digest(a) === digest(b)) {
        counts.equal++;
        continue;
      }
      const line = `${place.name} | ${name}`;
      const may = allowed.some((pattern) => pattern.test(line));
      counts[may ? "allowed" : "wrong"]++;
      console.log(`${may ? "allowed" : "DIFFERS"}  ${line}: ${difference(a, b)}`);
    }
    const other =
      counts.allowed + counts.wrong > 0 ? `, ${counts.allowed} allowed, ${counts.wrong} DIFFER` : "";
    console.log(
      `${place.name}: ${counts.equal} equal${other} (${whole.digest("hex").slice(0, 16)}, ${seconds(start)})`,
    );
    for (const key of Object.keys(totals)) totals[key] += counts[key];
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(
  `${totals.equal} equal, ${totals.allowed} allowed to differ, ${totals.wrong} wrong, in ${seconds(began)}`,
);
process.exit(totals.wrong > 0 || totals.equal === 0 ? 1 : 0);
