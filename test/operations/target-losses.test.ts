/**
 * Losses that read targets: by hand, by finite differences, and every backend against the reference in every estimator
 * and coupling. The law of squared error is in ../laws/squared-error.test.ts.
 */
import { describe, expect, test } from "@jest/globals";
import type { Backend, Coupling, Examples, Loss } from "../../src/backends/backend.ts";
import { openReference } from "../../src/backends/reference.ts";
import { networkLoss } from "../../src/reference/network/dense.ts";
import { onEveryBackend, onEveryFastBackend, reference, sameBitsOnThreads } from "../support/backends.ts";
import { batchesOf, type ChainForm } from "../support/chain-forms.ts";
import {
  answered,
  type CaseOptions,
  caseName,
  KEY,
  networkCase,
  TARGET_LOSSES,
} from "../support/fixtures.ts";
import { matches } from "../tolerances.ts";

/** One output and several, more than a vector of any target; rows in one block and in two; floats and bytes. */
const CASES: readonly CaseOptions[] = [
  { layers: [9, 1], rows: 6 },
  { layers: [12, 7, 1], rows: 9, inputs: "floats" },
  { layers: [7, 19], activation: "tanh", rows: 5, inputs: "floats" },
  { layers: [21, 18, 5], activation: "tanh", rows: 8 },
  { layers: [5, 6, 4, 3], rows: 140 },
];

const pointOf = (options: CaseOptions, loss: Loss) => {
  const { network, parameters, batch } = networkCase(options);
  return { network, parameters, loss, batch: answered(batch, options.rows, loss, options.layers.at(-1)!) };
};

/** Every loss on every case. */
const named = CASES.flatMap((options) =>
  TARGET_LOSSES.map((loss) => [`${loss.kind}, ${caseName(options)}`, options, loss] as const),
);

describe("the reference's gradient is its loss's slope", () => {
  // Central differences with h = 1e-5: as in dense.test.ts; the absolute error's kinks are farther away than h.
  const small = named.filter(([, { layers }]) => layers.length < 4);
  test.each(small)("%s", (_, options, loss) => {
    const { network, parameters, batch } = pointOf(options, loss);
    const f = networkLoss(network, loss, batch);
    const x = Float64Array.from(parameters);
    const gradient = f.gradient!(x);
    const h = 1e-5;
    const worst = x.reduce((most, value, i) => {
      const moved = (offset: number) => f.value(x.with(i, value + offset));
      return Math.max(most, Math.abs((moved(h) - moved(-h)) / (2 * h) - gradient[i]));
    }, 0);
    expect(worst).toBeLessThan(1e-8);
    const only = loss.kind === "soft-cross-entropy" && options.layers.at(-1) === 1; // its probability is 1
    expect(Math.max(...Array.from(gradient, Math.abs)) > 1e-3).toBe(!only);
  });
});

onEveryBackend((given) => {
  // No hidden layer and zero weights: the outputs are the biases.
  const network = { layers: [1, 2], activation: "relu" } as const;
  const lossAt = (kind: (typeof TARGET_LOSSES)[number]["kind"], z: number[], targets: number[]) =>
    given().operations.loss({
      network,
      loss: { kind },
      parameters: Float32Array.of(0, 0, ...z),
      batch: {
        inputs: Uint8Array.of(9),
        labels: new Uint16Array(0),
        targets: Float32Array.from(targets),
      },
    });

  test("by hand", async () => {
    expect(await lossAt("squared-error", [3, -1], [1, 0.5])).toBeCloseTo(2 + 1.125, 6);
    expect(await lossAt("absolute-error", [3, -1], [1, 0.5])).toBeCloseTo(3.5, 6);
    // log(1 + e^z) − t z of both outputs.
    const logistic = Math.log(1 + Math.exp(0.5)) - 0.5 + Math.log(1 + Math.exp(-2)) + 0.25 * 2;
    expect(await lossAt("logistic", [0.5, -2], [1, 0.25])).toBeCloseTo(logistic, 6);
    // −0.3 log p_0 − 0.7 log p_1, p = softmax(1, 3).
    const log = Math.log(Math.exp(1) + Math.exp(3));
    expect(await lossAt("soft-cross-entropy", [1, 3], [0.3, 0.7])).toBeCloseTo(log - 0.3 - 2.1, 6);
  });

  test("large outputs neither overflow nor lose the loss", async () => {
    expect(await lossAt("logistic", [800, -800], [1, 0])).toBeCloseTo(0, 6);
    expect(await lossAt("logistic", [800, -800], [0, 1])).toBe(1600);
    expect(await lossAt("soft-cross-entropy", [500, -400], [1, 0])).toBeCloseTo(0, 6);
    expect(await lossAt("soft-cross-entropy", [500, -400], [0, 1])).toBe(900);
    const far = await lossAt("soft-cross-entropy", [3e38, -3e38], [1, 0]);
    expect(far).toBeCloseTo(0, 6); // their difference is infinite in float32
  });

  test.each(TARGET_LOSSES)("an output that is NaN: $kind", async ({ kind }) => {
    expect(await lossAt(kind, [Number.NaN, 1], [0.5, 0.5])).toBeNaN();
    expect(await lossAt(kind, [1, Number.NaN], [0.5, 0.5])).toBeNaN();
  });

  test.each([
    [{ layers: [9, 5], rows: 6 }, true],
    [{ layers: [9, 6, 5], rows: 6 }, true],
    [{ layers: [9, 6, 5], rows: 6 }, false],
  ] as const)("a sample whose outputs are NaN has no loss: %j, by rows %s", async (form, rowwise) => {
    for (const loss of TARGET_LOSSES) {
      const { parameters, ...point } = pointOf(form, loss);
      const { losses } = await given().operations.weights({
        ...point,
        parameters: parameters.map((x, i) => (i === parameters.length - 2 ? Number.NaN : x)),
        coupling: { kind: "walsh", blocks: 2 },
        rowwise,
        ...{ key: KEY, update: 1, tau: 0.01, noiseScale: 0.1, temperature: 1, projected: true },
      });
      for (const f of losses) expect(f).toBeNaN();
    }
  });

  test("predictions: numbers as they are, probabilities of each output, of classes", async () => {
    const outputsOf = async (loss: Loss) => {
      const parameters = Float32Array.of(0, 0, 1.5, -0.25);
      return [
        ...(await given().operations.predict({ network, loss, parameters, inputs: Uint8Array.of(1) }))
          .outputs,
      ];
    };
    const sigmoid = (z: number) => 1 / (1 + Math.exp(-z));
    for (const kind of ["squared-error", "absolute-error"] as const)
      expect(await outputsOf({ kind })).toEqual([1.5, -0.25]);
    matches("probabilities", await outputsOf({ kind: "logistic" }), [1.5, -0.25].map(sigmoid));
    const first = sigmoid(1.75);
    matches("probabilities", await outputsOf({ kind: "soft-cross-entropy" }), [first, 1 - first]);
  });

  test("soft targets that are all one class are its label", async () => {
    const { network, parameters, batch } = networkCase({ layers: [9, 6, 5], rows: 7 });
    const targets = Float32Array.from({ length: 35 }, (_, i) =>
      batch.labels[Math.floor(i / 5)] === i % 5 ? 1 : 0,
    );
    const hard = { network, parameters, batch, loss: { kind: "cross-entropy" } } as const;
    const soft = { ...hard, batch: { ...batch, targets }, loss: { kind: "soft-cross-entropy" } } as const;
    const [a, b] = [await given().operations.gradient(hard), await given().operations.gradient(soft)];
    matches("loss", b.loss, a.loss);
    matches("gradient", b.gradient, a.gradient);
  });
});

const WALSH: readonly { coupling: Coupling; rowwise: boolean }[] = [
  { coupling: { kind: "walsh", blocks: 1 }, rowwise: true },
  { coupling: { kind: "walsh", blocks: 3 }, rowwise: true },
  { coupling: { kind: "walsh", blocks: 2 }, rowwise: false },
];
const SAMPLES: readonly { coupling: Coupling; rowwise: boolean }[] = [
  { coupling: { kind: "antithetic", samples: 40 }, rowwise: true },
  { coupling: { kind: "antithetic", samples: 40 }, rowwise: false },
  {
    coupling: { kind: "independent", samples: 21, complement: "marginalize", centred: true },
    rowwise: false,
  },
  { coupling: { kind: "independent", samples: 21, complement: "sample", centred: false }, rowwise: false },
];

onEveryFastBackend((given) => {
  test.each(named)("loss, gradient and predictions: %s", async (_, options, loss) => {
    const input = pointOf(options, loss);
    const { operations } = given();
    const [actual, expected] = [await operations.gradient(input), await reference.gradient(input)];
    matches("loss", actual.loss, expected.loss);
    matches("loss", await operations.loss(input), expected.loss);
    matches("gradient", actual.gradient, expected.gradient);
    const { inputs } = input.batch;
    matches(
      "probabilities",
      (await operations.predict({ ...input, inputs })).outputs,
      (await reference.predict({ ...input, inputs })).outputs,
    );
  });

  const drawn = named.flatMap(([title, options, loss]) =>
    [true, false].map((projected) => {
      const form = projected && options.rows <= options.layers[0];
      return [`${title}, ${form ? "projected" : "direct"}`, options, loss, form] as const;
    }),
  );
  const distinct = drawn.filter(([title], i) => drawn.findIndex(([other]) => other === title) === i);
  test.each(distinct)("samples of every coupling: %s", async (_, options, loss, projected) => {
    const { operations } = given();
    for (const settings of options.layers.length > 3 ? SAMPLES : [...WALSH, ...SAMPLES]) {
      const numbers = { update: 5, tau: 0.05, noiseScale: 0.19, temperature: 2 };
      const input = { ...pointOf(options, loss), ...numbers, ...settings, key: KEY, projected };
      const [actual, expected] = [
        await operations.importanceSampling(input),
        await reference.importanceSampling(input),
      ];
      matches("weights", (await operations.weights(input)).losses, (await reference.weights(input)).losses);
      matches("walsh gradient", actual.gradient, expected.gradient);
      matches("importance-sampling diagnostics", actual.freeEnergy, expected.freeEnergy);
      if (settings.coupling.kind === "independent" && !settings.coupling.centred) continue;
      const [heat, trueHeat] = [
        await operations.evolutionStrategies(input),
        await reference.evolutionStrategies(input),
      ];
      matches("walsh gradient", heat.gradient, trueHeat.gradient);
    }
  });

  const chains = TARGET_LOSSES.flatMap((loss) => [
    [loss, { options: { layers: [21, 5], rows: 6 }, projected: true }] as const,
    [loss, { options: { layers: [33, 17, 1], rows: 9, inputs: "floats" }, projected: true }] as const,
    [loss, { options: { layers: [19, 16, 5], rows: 6 }, projected: false, fresh: true }] as const,
  ]);
  test.each(chains)("chains: %j, %j", async (loss, form: ChainForm) => {
    const { network, parameters, batch } = networkCase(form.options);
    const { layers, rows } = form.options;
    const answer = (one: Examples) => answered(one, rows, loss, layers.at(-1)!);
    const stepSizes = Float64Array.from({ length: 6 }, (_, j) => 0.06 / (j + 3));
    const at = { network, loss, parameters, key: KEY, update: 3, projected: form.projected };
    const langevin = {
      ...{ ...at, batches: batchesOf(form, batch, 5).map(answer), stepSizes, tau: 0.04 },
      start: parameters.map((value, i) => value + 0.02 * Math.cos(i)),
      noiseScales: stepSizes.map((e) => 0.6 * Math.sqrt(e)),
    };
    const offset = (vector: ArrayLike<number>) => Array.from(vector, (value, i) => value - parameters[i]);
    const [chain, trueChain] = [await given().operations.sgld(langevin), await reference.sgld(langevin)];
    matches("sgld", offset(chain.mean), offset(trueChain.mean));
    matches("sgld", chain.loss, trueChain.loss);
    const descent = {
      ...{ ...at, batches: batchesOf(form, batch, 6).map(answer), stepSizes: stepSizes.map((e) => 8 * e) },
      ...{ samples: 3, tau: 0.03, noiseScale: 0.15 },
    };
    const [mean, trueMean] = [
      await given().operations.robbinsMonro(descent),
      await reference.robbinsMonro(descent),
    ];
    matches("robbins-monro", offset(mean.mean), offset(trueMean.mean));
    matches("robbins-monro", mean.loss, trueMean.loss);
  });

  test.each(TARGET_LOSSES)("a session: updates, predictions of a split, resuming: $kind", async (loss) => {
    const layers = [18, 17, 5];
    const { network, parameters, batch } = networkCase({ layers, rows: 40 });
    const train = answered(batch, 40, loss, 5);
    const rows = Uint32Array.from({ length: 18 }, (_, i) => (7 * i) % 40);
    const fill = (value: number) => new Float64Array(3).fill(value);
    const open = (backend: Backend) =>
      backend.openSession({
        ...{ network, loss, data: { train, test: train }, batchSize: 6, key: KEY },
        estimator: {
          ...{ kind: "importance-sampling", coupling: { kind: "walsh", blocks: 2 } },
          ...{ temperature: 1, rowwise: true, projected: true },
        },
        optimizer: { kind: "gradient-descent" },
        state: { parameters, moments: [], chain: null },
      });
    const run = async (session: ReturnType<typeof open>) => {
      await session.run({
        first: 0,
        count: 3,
        rows,
        tau: fill(0.01),
        noiseScale: fill(0.1),
        rate: fill(0.05),
      });
      const found = { ...(await session.read()), outputs: await session.predict("test") };
      session.close();
      return found;
    };
    const actual = await run(open(given()));
    const expected = await reference.predict({ ...actual, network, loss, inputs: train.inputs });
    matches("probabilities", actual.outputs, expected.outputs);
    const truth = await run(open(openReference()));
    matches(
      "update",
      Array.from(actual.parameters, (x, i) => x - parameters[i]),
      Array.from(truth.parameters, (x, i) => x - parameters[i]),
    );
  });

  if (given.threaded)
    test.each(named)("the same bits on any number of threads: %s", async (_, options, loss) => {
      const coupling = options.layers.length > 3 ? SAMPLES[0] : WALSH[1];
      const projected = options.rows <= options.layers[0];
      const numbers = { update: 5, tau: 0.05, noiseScale: 0.19, temperature: 2, key: KEY, projected };
      const input = { ...pointOf(options, loss), ...numbers, ...coupling };
      await sameBitsOnThreads(given, async ({ operations }) => [
        await operations.importanceSampling(input),
        await operations.gradient(input),
      ]);
    });
});
