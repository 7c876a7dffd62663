/**
 * The WASM kernels by themselves: the interface that host and kernels share, and one thread's updates on networks of odd
 * sizes, held to the reference, with a pattern behind every array and a workspace that fits to the byte.
 */
import { readFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "@jest/globals";
import type { Coupling, Estimator, Loss, Optimizer } from "../../src/backends/backend.ts";
import { KINDS } from "../../src/backends/description.ts";
import { BUILDS, readJob, writeJob } from "../../src/backends/wasm/abi.ts";
import { type CaseOptions, caseName, networkCase, normalVector, samples } from "../support/fixtures.ts";
import { openArena, openKernels, wasmFile } from "../support/wasm.ts";
import { BUILDS_HERE, referenceUpdates, type Updates, updatesJob } from "../support/wasm-updates.ts";
import { matches, worstSeen } from "../tolerances.ts";

afterAll(() => {
  process.stderr.write(`wasm kernels\n${worstSeen()}\n`);
});

for (const build of BUILDS)
  if (!BUILDS_HERE.includes(build)) test.skip(`${build} does not run here`, () => {});

describe.each(BUILDS_HERE)("%s", (build) => {
  test("no data segment, and no memory of its own", async () => {
    const code = readFileSync(wasmFile(build));
    const sections: number[] = [];
    for (let at = 8; at < code.length; ) {
      sections.push(code[at++]);
      let size = 0;
      for (let shift = 0; ; shift += 7) {
        size += (code[at] & 0x7f) * 2 ** shift;
        if (code[at++] < 0x80) break;
      }
      at += size;
    }
    expect(sections).toContain(10); // code
    expect(sections).not.toContain(5); // memory
    expect(sections).not.toContain(11); // data
    const { kernels } = await openKernels(build);
    expect(kernels.heapBase.value).toBeLessThanOrEqual(1024);
  });
});

/** Odd widths, one row, more rows than inputs, repeated rows, images that are mostly zero, more rows than a block. */
const CASES: (CaseOptions & { readonly zeros?: boolean })[] = [
  { layers: [7, 5, 3], rows: 1 },
  { layers: [21, 19, 11], activation: "tanh", rows: 5, inputs: "floats" },
  {
    layers: [33, 10],
    rows: 6,
    repeats: [
      [3, 0],
      [5, 1],
    ],
  },
  { layers: [9, 6, 5, 4], activation: "tanh", rows: 13 },
  { layers: [130, 37, 10], rows: 17, zeros: true },
  { layers: [6, 4, 3], rows: 131, inputs: "floats" },
  { layers: [18, 1, 2], rows: 3, inputs: "floats" },
];

const independent = (complement: "sample" | "marginalize", centred: boolean, count = 10): Coupling => ({
  kind: "independent",
  samples: count,
  complement,
  centred,
});
const antithetic: Coupling = { kind: "antithetic", samples: 8 };

/** Every way through the kernels that an estimator has; which of them a network and its batch allow. */
function estimators({ layers, rows }: CaseOptions): [string, Estimator][] {
  const walsh = layers.length <= 3;
  const list: [string, Estimator][] = [["sgd", { kind: "sgd" }]];
  for (const projected of rows <= layers[0] ? [true, false] : [false]) {
    const form = projected ? "projected" : "direct";
    const sampling = (
      kind: "importance-sampling" | "evolution-strategies",
      coupling: Coupling,
      rowwise: boolean,
    ) =>
      (kind === "importance-sampling"
        ? { kind, coupling, temperature: 0.7, rowwise, projected }
        : { kind, coupling, rowwise, projected }) as Estimator;
    const add = (name: string, estimator: Estimator) => list.push([`${form} ${name}`, estimator]);
    add("raw, sampled complement", sampling("importance-sampling", independent("sample", false), false));
    add("centred", sampling("importance-sampling", independent("marginalize", true), false));
    add("antithetic", sampling("importance-sampling", antithetic, false));
    add("antithetic by rows", sampling("importance-sampling", antithetic, true));
    add("heat by rows", sampling("evolution-strategies", independent("marginalize", false), true));
    add("heat, centred", sampling("evolution-strategies", independent("marginalize", true), false));
    if (walsh) {
      add("Walsh by rows", sampling("importance-sampling", { kind: "walsh", blocks: 4 }, true));
      add("Walsh, two groups", sampling("importance-sampling", { kind: "walsh", blocks: 9 }, true));
      add("Walsh, weights only", sampling("importance-sampling", { kind: "walsh", blocks: 3 }, false));
      add("Walsh heat, one block", sampling("evolution-strategies", { kind: "walsh", blocks: 1 }, true));
    }
    const stepSizes = Float64Array.from({ length: 19 }, (_, j) => 0.2 / (20 + j));
    const noiseScales = stepSizes.map((step) => 0.3 * Math.sqrt(step));
    const chain = { stepSizes, batches: 1, projected };
    add("sgld", { kind: "sgld", noiseScales, chainStart: "previous", ...chain });
    add("Robbins–Monro", { kind: "robbins-monro", samples: 3, ...chain });
  }
  return list;
}

/** Adam's ε is large, so that it does not divide small gradients' rounding by their own size. */
const STEPS: Optimizer[] = [
  { kind: "gradient-descent" },
  { kind: "momentum", momentum: 0.8 },
  { kind: "adam", beta1: 0.85, beta2: 0.98, epsilon: 1e-2, weightDecay: 0.1 },
];

/** Two updates of a case with one estimator; the optimizers take turns. */
function updatesOf(
  options: (typeof CASES)[number],
  estimator: Estimator,
  number: number,
  loss: Loss,
): Updates {
  const { network, parameters, batch } = networkCase(options);
  const train = samples(options.layers, options.rows + 4, options.inputs ?? "bytes", 3, options.repeats);
  if (options.zeros) for (let i = 0; i < train.inputs.length; i++) if (i % 3) train.inputs[i] = 0;
  expect(batch.labels).toHaveLength(options.rows);
  const optimizer = STEPS[number % STEPS.length];
  return { network, loss, train, batchSize: options.rows, estimator, optimizer, parameters, count: 2 };
}

const offsets = (state: ArrayLike<number>, start: Float32Array) =>
  Float64Array.from(state, (value, i) => value - start[i]);

async function expectUpdates(build: (typeof BUILDS)[number], updates: Updates): Promise<void> {
  const arena = await openArena(build);
  const { job, result } = updatesJob(arena, updates);
  arena.kernels.run(job, 0);
  arena.check();
  const actual = result();
  const expected = await referenceUpdates(updates);
  expect(actual.done).toBe(2);
  expect(actual.chain === null).toBe(expected.chain === null);
  matches(
    "update",
    offsets(actual.parameters, updates.parameters),
    offsets(expected.parameters, updates.parameters),
  );
  for (const [i, moment] of expected.moments.entries()) matches("update", actual.moments[i], moment);
  for (const [i, value] of expected.values.entries()) {
    if (Number.isNaN(value)) expect(actual.values[i]).toBeNaN();
    else matches("update", actual.values[i], value);
  }
}

const CROSS_ENTROPY: Loss = { kind: "cross-entropy" };

describe.each(CASES.map((options) => [caseName(options), options] as const))("%s", (_, options) => {
  test.each(estimators(options).map(([name, estimator], i) => [name, estimator, i] as const))(
    "%s",
    async (_, estimator, i) => expectUpdates("simd", updatesOf(options, estimator, i, CROSS_ENTROPY)),
  );
});

test("a job can be run again, and its state goes on", async () => {
  const updates = updatesOf(CASES[1], estimators(CASES[1])[7][1], 2, CROSS_ENTROPY);
  const arena = await openArena();
  const { job, result, restart } = updatesJob(arena, updates);
  arena.kernels.run(job, 0);
  const whole = result();
  restart();
  arena.kernels.run(job, 0);
  expect(result()).toEqual(whole);
});

test("a job that is cancelled before it begins changes nothing", async () => {
  for (const [_, estimator] of estimators(CASES[1])) {
    const updates = updatesOf(CASES[1], estimator, 2, CROSS_ENTROPY);
    const arena = await openArena();
    const { job, result } = updatesJob(arena, updates);
    writeJob(arena.view, job, { cancel: 1 });
    arena.kernels.run(job, 0);
    const { done, parameters, moments } = result();
    expect({ done, parameters }).toEqual({ done: 0, parameters: updates.parameters });
    for (const moment of moments) expect(moment.every((x) => x === 0)).toBe(true);
    arena.check();
  }
});

test("Adam's moments become zero below the smallest normal number", async () => {
  const arena = await openArena();
  const n = 7;
  const tiny = 1.2e-38;
  const moment1 = arena.state(Float32Array.of(tiny, -tiny, 1, -1, tiny, 2 * tiny, -2 * tiny));
  const moment2 = arena.state(Float32Array.of(tiny, 1, tiny, 1, tiny, 2 * tiny, 1));
  const job = arena.job({
    operation: KINDS.operation.indexOf("step"),
    threads: 1,
    optimizer: KINDS.optimizer.indexOf("adam"),
    beta1: 0.9,
    beta2: 0.9,
    epsilon: 1e-8,
    entries: n,
    rate: arena.input(Float64Array.of(0.1)),
    gradient: arena.input(new Float32Array(n)),
    parameters: arena.state(Float32Array.from(normalVector(4, n))),
    moment1,
    moment2,
  });
  arena.kernels.run(job, 0);
  arena.check();
  expect(readJob(arena.view, job, "done")).toBe(1);
  const { fround } = Math;
  const kept = fround(fround(0.9) * fround(2 * tiny));
  expect([...arena.floats(moment1, n)]).toEqual([0, 0, fround(0.9), -fround(0.9), 0, kept, -kept]);
  expect([...arena.floats(moment2, n)]).toEqual([0, fround(0.9), 0, fround(0.9), 0, kept, fround(0.9)]);
});
