/**
 * Many threads on few processors, on a memory that grows under them: every operation of the wasm backend with 8 and
 * with 16 threads must give the bits of one thread. Each round opens a backend anew, whose first call makes the memory
 * grow while threads are still starting; each later call is larger than the one before, so that it grows while they wait.
 *
 *     node test/reliability/wasm-threads.mjs [--long]
 */
import v8 from "node:v8";
import { openBackend } from "../../dist/index.js";

// Node 20 has relaxed SIMD behind a flag.
if (process.versions.node.startsWith("20.")) v8.setFlagsFromString("--experimental-wasm-relaxed-simd");

const long = process.argv.includes("--long");
const ROUNDS = long ? 250 : 25;
const THREADS = [8, 16];
const BUILDS = ["relaxed-simd+threads", "simd+threads"];
const ROWS = 20;

const hash = (array) => {
  let h = 0x811c9dc5;
  for (const byte of new Uint8Array(array.buffer, array.byteOffset, array.byteLength))
    h = Math.imul(h ^ byte, 0x01000193);
  return h >>> 0;
};
/** What a result holds, arrays by their bits. */
const told = (result) =>
  JSON.stringify(result, (_, value) =>
    ArrayBuffer.isView(value) ? `${value.length}:${hash(value)}` : value,
  );

/** A problem of so many hidden units: more of them, more memory. */
function problem(hidden) {
  const layers = [300, hidden, 10];
  const n = 301 * hidden + (hidden + 1) * 10;
  return {
    network: { layers, activation: "relu" },
    parameters: Float32Array.from({ length: n }, (_, i) => ((i * 7919) % 1000) / 1e4 - 0.05),
    batch: {
      inputs: Uint8Array.from({ length: ROWS * 300 }, (_, i) =>
        i % 3 ? 0 : Math.imul(i, 2_654_435_761) >>> 24,
      ),
      labels: Uint8Array.from({ length: ROWS }, (_, i) => i % 10),
    },
    seed: 5,
    update: 2,
  };
}

const sampled = { tau: 0.01, temperature: 0.5 };
const STEPS = Float64Array.from({ length: 6 }, (_, j) => 0.02 / (20 + j));
/** Calls in the order of their memory; `form` of the projection and of the samples alternates with the round. */
const CALLS = [
  [
    "sgld at once",
    (backend, given) => backend.sgld({ ...given, projection: "off", tau: 0.01, stepSizes: STEPS }),
  ],
  ["gradient", (backend, { network, parameters, batch }) => backend.gradient({ network, parameters, batch })],
  ["sgld", (backend, given) => backend.sgld({ ...given, tau: 0.01, stepSizes: STEPS })],
  [
    "robbinsMonro",
    (backend, given) => backend.robbinsMonro({ ...given, tau: 0.01, samples: 5, stepSizes: STEPS }),
  ],
  [
    "importanceSampling",
    (backend, given) =>
      backend.importanceSampling({ ...given, ...sampled, coupling: { kind: "independent", samples: 37 } }),
  ],
  [
    "evolutionStrategies",
    (backend, given) =>
      backend.evolutionStrategies({ ...given, tau: 0.01, coupling: { kind: "walsh", blocks: 3 } }),
  ],
  [
    "importanceSampling, Walsh",
    (backend, given) =>
      backend.importanceSampling({ ...given, ...sampled, coupling: { kind: "walsh", blocks: 3 } }),
  ],
];

async function answers(threads, projection) {
  const backend = await openBackend("wasm", { threads });
  const results = [];
  try {
    for (const [i, [name, call]] of CALLS.entries()) {
      const given = problem(300 + 100 * i);
      results.push(
        `${name}, projection ${projection}: ${told(await call(backend, { ...given, projection }))}`,
      );
    }
  } finally {
    backend.close();
  }
  return results;
}

let [calls, failed, wrong, builds] = [0, 0, 0, 0];
for (const build of BUILDS) {
  process.env.LOCAL_ENTROPY_WASM_BUILD = build;
  const expected = {};
  try {
    for (const projection of ["auto", "off"]) expected[projection] = await answers(1, projection);
  } catch (error) {
    if (error.code !== "ERR_BACKEND") throw error;
    console.log(`${build}: skipped (${error.message})`);
    continue;
  }
  builds++;
  for (let round = 0; round < ROUNDS; round++) {
    for (const threads of THREADS) {
      const projection = round % 2 ? "off" : "auto";
      try {
        const actual = await answers(threads, projection);
        calls += actual.length;
        for (const [i, result] of actual.entries()) {
          if (result === expected[projection][i]) continue;
          wrong++;
          console.log(
            `${build}, ${threads} threads, round ${round}: ${result}, not ${expected[projection][i]}`,
          );
        }
      } catch (error) {
        failed++;
        console.log(`${build}, ${threads} threads, round ${round}: ${error.message}`);
      }
    }
  }
}
console.log(
  `${calls} calls of ${THREADS.join(" and ")} threads on ${builds} builds, Node ${process.versions.node}: ${failed} failed, ${wrong} of other bits`,
);
process.exitCode = failed + wrong > 0 || calls === 0 ? 1 : 0;
