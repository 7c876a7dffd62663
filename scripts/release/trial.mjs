/**
 * What run-platforms.mjs runs on a platform, from the packed packages: random numbers to the bit, and ten updates of
 * each kind of estimator on the native backend beside the reference's. Its one line is JSON, and goes to a file.
 *
 *     node trial.mjs OUTPUT [INSTRUCTION_SET]
 */
import { writeFileSync } from "node:fs";
import { openBackend, parameterCount, train } from "local-entropy";

const [output, instructionSet] = process.argv.slice(2);
if (instructionSet) process.env.LOCAL_ENTROPY_INSTRUCTION_SET = instructionSet;

const NETWORK = [18, 17, 5];
const ROWS = 64;
const UPDATES = 10;
const PLACE = { seed: 7, stream: 3, update: 5, sample: 2, count: 4099 };
/** Numbers below 2³² that are not alike. */
const mixed = (i) => Math.imul(i + 1, 2654435761) >>> 0;
const split = {
  inputs: Uint8Array.from({ length: ROWS * NETWORK[0] }, (_, i) => Math.max((mixed(i) >>> 23) - 256, 0)),
  labels: Uint8Array.from({ length: ROWS }, (_, i) => (mixed(i + 7) >>> 9) % NETWORK[2]),
  count: ROWS,
  width: NETWORK[0],
  classes: NETWORK[2],
};
const OBJECTIVES = {
  "importance sampling": { kind: "local-entropy", tau: 0.01, estimator: { kind: "importance-sampling" } },
  SGLD: { kind: "local-entropy", tau: 0.05, estimator: { kind: "sgld", stepSize: 0.02, steps: 6 } },
  "evolution strategies": { kind: "heat", tau: 0.02, estimator: { kind: "evolution-strategies" } },
  "the loss": { kind: "loss" },
};

async function normals(name) {
  const backend = await openBackend(name, { threads: 2 });
  const values = await backend.gaussian(PLACE);
  backend.close();
  return Float32Array.from(values);
}

async function moved(objective, backend, parameters) {
  const optimizer = { kind: "momentum", momentum: 0.5, rate: 0.05 };
  const run = train({
    ...{ network: NETWORK, data: { train: split }, objective, optimizer, parameters, backend },
    ...{ updates: UPDATES, batchSize: 6, threads: 2 },
  });
  const result = await run.result;
  return { offsets: Float64Array.from(result.parameters, (x, i) => x - parameters[i]), ran: result.backend };
}

/** The largest difference of what both moved, relative to the largest move. */
async function difference(objective, parameters) {
  const [native, reference] = [
    await moved(objective, "native", parameters),
    await moved(objective, "reference", parameters),
  ];
  const size = Math.max(...reference.offsets.map(Math.abs));
  const worst = Math.max(...reference.offsets.map((x, i) => Math.abs(native.offsets[i] - x)));
  return { error: worst / size, ran: native.ran };
}

const expected = await normals("reference");
const sameBits = Buffer.from((await normals("native")).buffer).equals(Buffer.from(expected.buffer));
const parameters = expected.slice(0, parameterCount(NETWORK)).map((x) => 0.3 * x);
const errors = {};
let ran;
for (const [name, objective] of Object.entries(OBJECTIVES)) {
  const found = await difference(objective, parameters);
  errors[name] = found.error;
  ran = found.ran;
}
const { platform, arch, version } = process;
writeFileSync(output, JSON.stringify({ sameBits, errors, ran, platform, arch, version }));
