/**
 * Losses that are given: the outputs of an update's samples, and the estimators fed with losses that are computed from
 * them. What the built-in losses make of the same outputs is the oracle, on every backend.
 */
import { expect, test } from "@jest/globals";
import {
  type Backend,
  type Coupling,
  type Examples,
  type Loss,
  sampleCount,
} from "../../src/backends/backend.ts";
import { openReference } from "../../src/backends/reference.ts";
import { rowLosses } from "../../src/reference/network/dense.ts";
import { onEveryBackend, reference, sameBitsOnThreads } from "../support/backends.ts";
import { answered, type CaseOptions, caseName, KEY, networkCase } from "../support/fixtures.ts";
import { matches } from "../tolerances.ts";

/** Rows in one block and in two; one output and several; transforms from 2 values on. */
const CASES: readonly CaseOptions[] = [
  { layers: [9, 1], rows: 6 },
  { layers: [9, 5], rows: 6 },
  { layers: [12, 7, 1], rows: 9, inputs: "floats" },
  { layers: [21, 18, 5], activation: "step", rows: 8, inputs: "floats" },
  { layers: [5, 6, 4, 3], rows: 140 },
];
const COUPLINGS: readonly { coupling: Coupling; rowwise: boolean }[] = [
  { coupling: { kind: "walsh", blocks: 1 }, rowwise: true },
  { coupling: { kind: "walsh", blocks: 10 }, rowwise: true },
  { coupling: { kind: "walsh", blocks: 2 }, rowwise: false },
  { coupling: { kind: "antithetic", samples: 12 }, rowwise: true },
  { coupling: { kind: "antithetic", samples: 12 }, rowwise: false },
  { coupling: { kind: "independent", samples: 7, complement: "marginalize", centred: true }, rowwise: true },
  { coupling: { kind: "independent", samples: 7, complement: "sample", centred: false }, rowwise: false },
];

const forms = CASES.flatMap((options) =>
  [true, false]
    .map((projected) => projected && options.rows <= options.layers[0])
    .filter((projected, i, all) => all.indexOf(projected) === i)
    .flatMap((projected) =>
      COUPLINGS.filter(({ coupling }) => coupling.kind !== "walsh" || options.layers.length < 4).map(
        (settings) =>
          [
            `${caseName(options)}, ${projected ? "projected" : "direct"}, ${JSON.stringify(settings)}`,
            { options, projected, settings },
          ] as const,
      ),
    ),
);

type Form = (typeof forms)[number][1];

const inputOf = ({ options, projected, settings }: Form, loss: Loss) => {
  const { network, parameters, batch } = networkCase(options);
  const rows = answered(batch, options.rows, loss, options.layers.at(-1)!);
  const numbers = { update: 5, tau: 0.05, noiseScale: 0.19, temperature: 0.7, key: KEY };
  return { network, parameters, batch: rows, loss, ...numbers, ...settings, projected };
};

/** What the operation `outputs` takes of it. */
const drawn = ({ batch, ...input }: ReturnType<typeof inputOf>) => ({ ...input, inputs: batch.inputs });

/** Losses of all samples' rows, and of x, from their outputs. */
function lossesFrom(outputs: ArrayLike<number>, loss: Loss, batch: Examples, width: number): Float64Array {
  const each = batch.targets?.length ?? batch.labels.length * width;
  const all = Float64Array.from(outputs);
  const losses: number[] = [];
  for (let at = 0; at < all.length; at += each)
    losses.push(...rowLosses(loss, all.subarray(at, at + each), batch, width));
  return Float64Array.from(losses);
}

onEveryBackend((given) => {
  test.each(forms)("outputs and estimates are those of the built-in loss: %s", async (_, form) => {
    const { operations } = given();
    const width = form.options.layers.at(-1)!;
    const loss: Loss = width === 1 ? { kind: "squared-error" } : { kind: "cross-entropy" };
    const input = inputOf(form, loss);
    const outputs = await operations.outputs(drawn(input));
    const samples = sampleCount(form.settings.coupling, input.network, form.settings.rowwise);
    expect(outputs).toHaveLength((samples + 1) * form.options.rows * width);
    matches("weights", outputs, await reference.outputs(drawn(input)));
    const losses = lossesFrom(outputs, loss, input.batch, width);
    const fed = { ...input, loss: { kind: "given", losses } as const };
    matches("weights", (await operations.weights(fed)).losses, (await reference.weights(input)).losses);
    const { coupling } = form.settings;
    const [actual, expected] = [
      await operations.importanceSampling(fed),
      await reference.importanceSampling(input),
    ];
    matches("walsh gradient", actual.gradient, expected.gradient);
    matches("importance-sampling diagnostics", actual.freeEnergy, expected.freeEnergy);
    if (expected.standardError === null) expect(actual.standardError).toBeNull();
    else matches("walsh gradient", actual.standardError!, expected.standardError);
    if (coupling.kind === "independent" && !coupling.centred) return;
    const [heat, trueHeat] = [
      await operations.evolutionStrategies(fed),
      await reference.evolutionStrategies(input),
    ];
    matches("walsh gradient", heat.gradient, trueHeat.gradient);
  });

  test("the outputs at x are the last", async () => {
    const input = inputOf(forms[4][1], { kind: "cross-entropy" });
    const outputs = await given().operations.outputs(drawn(input));
    const { inputs } = input.batch;
    const loss = { kind: "squared-error" } as const;
    const center = (await reference.predict({ ...input, loss, inputs })).outputs;
    matches("weights", outputs.slice(-center.length), center);
  });

  test("a session: the outputs of an update, and the update from their losses", async () => {
    const layers = [18, 17, 5];
    const { network, parameters, batch: train } = networkCase({ layers, rows: 40 });
    const plan = {
      ...{ first: 3, count: 1, rows: Uint32Array.from({ length: 6 }, (_, i) => (7 * i) % 40) },
      ...{ tau: Float64Array.of(0.01), noiseScale: Float64Array.of(0.1), rate: Float64Array.of(0.05) },
    };
    const open = (backend: Backend, loss: Loss) =>
      backend.openSession({
        ...{ network, loss, data: { train }, batchSize: 6, key: KEY },
        estimator: {
          ...{ kind: "importance-sampling", coupling: { kind: "walsh", blocks: 2 } },
          ...{ temperature: 1, rowwise: true, projected: true },
        },
        optimizer: { kind: "gradient-descent" },
        state: { parameters, moments: [], chain: null },
      });
    const session = open(given(), { kind: "given", losses: new Float32Array(0) });
    const outputs = (await session.outputs(plan))!;
    const rows = {
      inputs: new Uint8Array(0),
      labels: Uint16Array.from(plan.rows, (row) => train.labels[row]),
    };
    const losses = lossesFrom(outputs, { kind: "cross-entropy" }, rows, 5);
    await session.run({ ...plan, losses });
    const truth = open(openReference(), { kind: "cross-entropy" });
    await truth.run(plan);
    const moved = async (one: typeof session) =>
      Array.from((await one.read()).parameters, (x, i) => x - parameters[i]);
    matches("update", await moved(session), await moved(truth));
    expect(await session.accuracy("train")).toBeGreaterThanOrEqual(0);
    session.close();
  });

  if (given.threaded)
    test.each(forms.filter(([, { options }]) => options.layers.length > 2))(
      "the same bits on any number of threads: %s",
      async (_, form) => {
        const loss = { kind: "squared-error" } as const;
        const input = inputOf(form, loss);
        await sameBitsOnThreads(given, ({ operations }) => operations.outputs(drawn(input)));
      },
    );
});
