/**
 * The stateless operations of the WASM kernels as jobs: rows in blocks, losses in order of the samples, scalars, costs of
 * predictions; held to the reference, with a pattern behind every array.
 */
import { afterAll, describe, expect, test } from "@jest/globals";
import type { Coupling, Loss } from "../../src/backends/backend.ts";
import { sampleCount } from "../../src/backends/backend.ts";
import { KINDS, type KindOf } from "../../src/backends/description.ts";
import {
  estimatorPart,
  examplesPart,
  lossPart,
  networkPart,
  seedPart,
  targetWidth,
  updatePart,
} from "../../src/backends/job.ts";
import { openReference } from "../../src/backends/reference.ts";
import { type JobField, readJob, writeJob } from "../../src/backends/wasm/abi.ts";
import { parameterCount } from "../../src/network.ts";
import {
  answered,
  type CaseOptions,
  caseName,
  KEY,
  type NetworkCase,
  networkCase,
  TARGET_LOSSES,
} from "../support/fixtures.ts";
import { type Arena, openArena } from "../support/wasm.ts";
import { matches, worstSeen } from "../tolerances.ts";

afterAll(() => {
  process.stderr.write(`wasm operations\n${worstSeen()}\n`);
});

const reference = openReference().operations;
const CROSS_ENTROPY: Loss = { kind: "cross-entropy" };

/** Costs of every prediction, no two alike. */
const costsOf = (classes: number): Loss => ({
  kind: "cost-matrix",
  costs: Float64Array.from({ length: classes * classes }, (_, i) =>
    i % (classes + 1) === 0 ? 0 : Math.fround(0.3 + ((7 * i) % 13) / 8),
  ),
});

const operation = (name: KindOf<"operation">) => ({ operation: KINDS.operation.indexOf(name) });

/** A job on a case's batch. */
function jobOf(arena: Arena, { network, parameters, batch }: NetworkCase, loss: Loss, fields: object) {
  return arena.job({
    threads: 1,
    ...arena.fields([
      networkPart(network),
      lossPart(loss, network),
      examplesPart(batch, network.layers[0], targetWidth(loss, network)),
      { arrays: { parameters } },
    ]),
    batchSize: batch.inputs.length / network.layers[0],
    batches: 1,
    count: 1,
    ...fields,
  });
}

const CASES: CaseOptions[] = [
  { layers: [7, 5, 3], rows: 1 },
  { layers: [11, 10], rows: 257, inputs: "floats" },
  { layers: [9, 6, 5, 4], activation: "step", rows: 130 },
];

describe.each(CASES.map((options) => [caseName(options), options] as const))("%s", (_, options) => {
  const given = networkCase(options);
  const { network, parameters, batch } = given;
  const classes = options.layers.at(-1) as number;
  const rows = options.rows;

  test.each([CROSS_ENTROPY, costsOf(classes), ...TARGET_LOSSES])("loss, $kind", async (loss) => {
    const arena = await openArena();
    const batch = answered(given.batch, rows, loss, classes);
    const job = jobOf(arena, { ...given, batch }, loss, { ...operation("loss") });
    arena.kernels.run(job, 0);
    arena.check();
    matches(
      "loss",
      readJob(arena.view, job, "loss"),
      await reference.loss({ network, loss, parameters, batch }),
    );
  });

  test("predictions and how many are right", async () => {
    const arena = await openArena();
    const [output, outputLabels] = [arena.output(4 * rows * classes), arena.output(2 * rows)];
    const predict = jobOf(arena, given, CROSS_ENTROPY, {
      ...operation("predict"),
      output,
      outputLabels,
    });
    writeJob(arena.view, predict, { labels: 0 }); // not read
    arena.kernels.run(predict, 0);
    const correct = jobOf(arena, given, CROSS_ENTROPY, { ...operation("accuracy") });
    arena.kernels.run(correct, 0);
    arena.check();
    const expected = await reference.predict({
      network,
      loss: CROSS_ENTROPY,
      parameters,
      inputs: batch.inputs,
    });
    matches("probabilities", arena.floats(output, rows * classes), expected.outputs);
    const labels = new Uint16Array(arena.memory.buffer, outputLabels, rows);
    expect([...labels]).toEqual([...expected.labels]);
    const right = labels.filter((label, r) => label === batch.labels[r]).length;
    expect(readJob(arena.view, correct, "correct")).toBe(right);
  });
});

const COUPLINGS: Coupling[] = [
  { kind: "independent", samples: 9, complement: "sample", centred: false },
  { kind: "independent", samples: 9, complement: "marginalize", centred: true },
  { kind: "antithetic", samples: 10 },
  { kind: "walsh", blocks: 3 },
];
const SAMPLED: CaseOptions[] = [
  { layers: [21, 13, 5], activation: "step", rows: 7 },
  { layers: [14, 6], rows: 6, inputs: "floats" },
  { layers: [4, 3, 2], activation: "tanh", rows: 6 },
];

describe.each(SAMPLED.map((options) => [caseName(options), options] as const))(
  "samples, %s",
  (_, options) => {
    const given = networkCase(options);
    const { network, parameters } = given;
    const classes = options.layers.at(-1) as number;
    const projected = options.rows <= options.layers[0];
    const forms = COUPLINGS.flatMap((coupling) =>
      [false, true]
        .filter(
          (rowwise) => !(rowwise && coupling.kind === "independent" && coupling.complement === "sample"),
        )
        .flatMap((rowwise) =>
          [CROSS_ENTROPY, costsOf(classes), TARGET_LOSSES[2], TARGET_LOSSES[3]].map((loss) => ({
            coupling,
            rowwise,
            loss,
          })),
        ),
    );

    test.each(forms)("$coupling.kind, by rows: $rowwise, $loss.kind", async ({ coupling, rowwise, loss }) => {
      const arena = await openArena();
      const batch = answered(given.batch, options.rows, loss, classes);
      const temperature = 0.6;
      const estimator = { kind: "importance-sampling", coupling, temperature, rowwise, projected } as const;
      const count = sampleCount(coupling, network, rowwise);
      const n = parameterCount(network);
      const [gradient, losses] = [arena.output(4 * n), arena.output(4 * count)];
      const job = jobOf(arena, { ...given, batch }, loss, {
        ...operation("estimate"),
        ...arena.fields([
          estimatorPart(estimator),
          seedPart(KEY),
          updatePart({ update: 3, tau: 0.02, noiseScale: 0.13 }),
        ]),
        wantsError: 1,
        gradient,
        losses,
      });
      arena.kernels.run(job, 0);
      arena.check();
      const input = {
        ...{ network, loss, parameters, batch, coupling, temperature, rowwise, projected },
        ...{ key: KEY, update: 3, tau: 0.02, noiseScale: 0.13 },
      };
      const expected = await reference.importanceSampling(input);
      matches("weights", arena.floats(losses, count), (await reference.weights(input)).losses);
      matches("walsh gradient", arena.floats(gradient, n), expected.gradient);
      const diagnostics: [JobField, number | null][] = [
        ["loss", expected.loss],
        ["freeEnergy", expected.freeEnergy],
        ["effectiveSampleSize", expected.effectiveSampleSize],
        ["largestWeight", expected.largestWeight],
      ];
      for (const [field, value] of diagnostics)
        matches("importance-sampling diagnostics", readJob(arena.view, job, field), value as number);
      matches("walsh gradient", readJob(arena.view, job, "standardError"), expected.standardError as number);
    });
  },
);

test("a workspace too large for 32 bits is told, not taken", async () => {
  const arena = await openArena();
  const fields = { ...operation("accuracy"), threads: 1, depth: 1, batchSize: 1, batches: 1, count: 1 };
  const job = arena.job({ ...fields, layers: arena.input(Uint32Array.of(3, 2)) });
  const small = arena.kernels.workspaceBytes(job);
  expect(small).toBeLessThan(20_000);
  writeJob(arena.view, job, { layers: arena.input(Uint32Array.of(40_000_000, 2)), batchSize: 100 });
  expect(arena.kernels.workspaceBytes(job)).toBeGreaterThan(8 * 100 * 40_000_000);
  writeJob(arena.view, job, { batchSize: 1_000_000 }); // worked off in blocks of 128 rows
  expect(arena.kernels.workspaceBytes(job)).toBeLessThan(1.3 * 8 * 128 * 40_000_000);
});
