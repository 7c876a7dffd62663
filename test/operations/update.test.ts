/**
 * Update: sessions. Every backend's run against the reference's, resuming from `read` to the bit, the number of
 * threads, cancellation that leaves no trace.
 */
import { describe, expect, test } from "@jest/globals";
import type {
  Backend,
  Estimator,
  Optimizer,
  Plan,
  Session,
  SessionSetup,
  SessionState,
} from "../../src/backends/backend.ts";
import { openReference } from "../../src/backends/reference.ts";
import {
  once,
  onEveryBackend,
  onEveryFastBackend,
  reference,
  sameBitsOnThreads,
} from "../support/backends.ts";
import { CROSS_ENTROPY, examples, integers, KEY, networkCase } from "../support/fixtures.ts";
import { matches } from "../tolerances.ts";

const LAYERS = [18, 17, 5];
const B = 6;
const TRAIN = examples(LAYERS, 40, "bytes", 70);
/** Mostly zeros, as images are: the first layer's step then goes over lists of the others. */
const IMAGES = { ...TRAIN, inputs: TRAIN.inputs.map((value, i) => (i % 3 === 0 ? value : 0)) };
const TEST = examples(LAYERS, 33, "bytes", 71);
const STEPS = 6;
const stepSizes = Float64Array.from({ length: STEPS }, (_, j) => 0.04 / (j + 2));
const noiseScales = stepSizes.map(Math.sqrt);
const sgld = { kind: "sgld", stepSizes, noiseScales } as const;
const robbinsMonro = { kind: "robbins-monro", samples: 3, stepSizes: stepSizes.map((e) => 10 * e) } as const;
const importance = {
  kind: "importance-sampling",
  temperature: 0.6,
  rowwise: false,
  projected: true,
} as const;
const antithetic = { kind: "antithetic", samples: 24 } as const;
const walsh = { kind: "walsh", blocks: 2 } as const;
const independent = { kind: "independent", samples: 11, complement: "sample", centred: false } as const;
const centred = { ...independent, complement: "marginalize", centred: true } as const;

const ESTIMATORS: readonly (readonly [string, Estimator])[] = [
  ["sgd", { kind: "sgd" }],
  ["importance sampling, antithetic", { ...importance, coupling: antithetic }],
  ["importance sampling, independent", { ...importance, coupling: independent }],
  ["importance sampling, centred, direct", { ...importance, coupling: centred, projected: false }],
  ["Walsh blocks by rows", { ...importance, coupling: walsh, rowwise: true }],
  ["Walsh blocks, weights only", { ...importance, coupling: walsh }],
  ["antithetic by rows", { ...importance, coupling: antithetic, rowwise: true }],
  ["evolution strategies", { kind: "evolution-strategies", coupling: walsh, rowwise: true, projected: true }],
  ["sgld from the previous chain", { ...sgld, chainStart: "previous", batches: 1, projected: true }],
  ["sgld from the center", { ...sgld, chainStart: "center", batches: 1, projected: true }],
  ["sgld, fresh minibatches", { ...sgld, chainStart: "previous", batches: STEPS - 1, projected: false }],
  ["robbins-monro", { ...robbinsMonro, batches: 1, projected: true }],
  ["robbins-monro, fresh minibatches", { ...robbinsMonro, batches: STEPS, projected: false }],
];

const OPTIMIZERS: readonly Optimizer[] = [
  { kind: "gradient-descent" },
  { kind: "momentum", momentum: 0.7 },
  { kind: "adam", beta1: 0.8, beta2: 0.9, epsilon: 1e-3, weightDecay: 0.1 },
];

const momentsOf = ({ kind }: Optimizer) => ({ "gradient-descent": 0, momentum: 1, adam: 2 })[kind];

function setupOf(
  estimator: Estimator,
  optimizer: Optimizer,
  state?: SessionState,
  train = TRAIN,
): SessionSetup {
  const { network, parameters } = networkCase({ layers: LAYERS, rows: 1 });
  const zeros = () => new Float32Array(parameters.length);
  return {
    network,
    loss: CROSS_ENTROPY,
    data: { train, test: TEST },
    batchSize: B,
    estimator,
    optimizer,
    key: KEY,
    state: state ?? {
      parameters,
      moments: Array.from({ length: momentsOf(optimizer) }, zeros),
      chain: null,
    },
  };
}

/** Updates first … first + count − 1 of a run whose rows and schedules depend on the update alone. */
function planOf(estimator: Estimator, first: number, count: number): Plan {
  const perUpdate = B * ("batches" in estimator ? estimator.batches : 1);
  const all = integers(72, (first + count) * perUpdate, 40);
  const at = (value: (k: number) => number) =>
    Float64Array.from({ length: count }, (_, u) => value(first + u));
  const tau = at((k) => 0.04 / (1 + k));
  return {
    first,
    count,
    rows: Uint32Array.from(all.slice(first * perUpdate)),
    tau,
    noiseScale: tau.map(Math.sqrt),
    rate: at((k) => 0.02 / (1 + 0.1 * k)),
  };
}

/** The first `count` updates of a plan with one minibatch an update. */
function firstOf(plan: Plan, count: number): Plan {
  const [tau, noiseScale, rate] = [plan.tau, plan.noiseScale, plan.rate].map((values) =>
    values.slice(0, count),
  );
  return { first: plan.first, count, rows: plan.rows.slice(0, count * B), tau, noiseScale, rate };
}

async function stateAfter(session: Session, ...plans: Plan[]) {
  const values: number[] = [];
  for (const plan of plans) {
    const result = await session.run(plan);
    expect(result.done).toBe(plan.count);
    values.push(...result.values);
  }
  const state = await session.read();
  session.close();
  return { state, values };
}

const cases = ESTIMATORS.map(
  ([name, estimator], i) => [`${name}, ${OPTIMIZERS[i % 3].kind}`, estimator, OPTIMIZERS[i % 3]] as const,
);

const open = (backend: Backend, ...setup: Parameters<typeof setupOf>) =>
  backend.openSession(setupOf(...setup));

onEveryFastBackend((given) => {
  describe.each([
    ["TRAIN", TRAIN],
    ["IMAGES", IMAGES],
  ])("%s", (_, train) => {
    const start = (backend: Backend, estimator: Estimator, optimizer: Optimizer) =>
      open(backend, estimator, optimizer, undefined, train);

    test.each(cases)("three updates are the reference's: %s", async (__, estimator, optimizer) => {
      const plan = planOf(estimator, 0, 3);
      const actual = await stateAfter(start(given(), estimator, optimizer), plan);
      const expected = await once([train, estimator, optimizer], () =>
        stateAfter(start(openReference(), estimator, optimizer), plan),
      );
      const before = setupOf(estimator, optimizer).state.parameters;
      const moved = ({ state }: typeof actual) => Array.from(state.parameters, (x, i) => x - before[i]);
      matches("update", moved(actual), moved(expected));
      expect(actual.state.moments.length).toBe(momentsOf(optimizer));
      expected.state.moments.forEach((moment, i) => {
        matches("update", actual.state.moments[i], moment);
      });
      expect(actual.state.chain === null).toBe(expected.state.chain === null);
      if (expected.state.chain) matches("update", actual.state.chain!, expected.state.chain);
      expected.values.forEach((value, i) => {
        if (Number.isNaN(value)) expect(actual.values[i]).toBeNaN();
        else matches("update", actual.values[i], value);
      });
    });

    if (given.threaded)
      test.each(cases)("the same bits on any number of threads: %s", (__, estimator, optimizer) =>
        sameBitsOnThreads(given, (backend) =>
          stateAfter(start(backend, estimator, optimizer), planOf(estimator, 0, 4)),
        ),
      );
  });
});

onEveryBackend((given) => {
  test.each(cases)("resuming from read() goes on to the bit: %s", async (_, estimator, optimizer) => {
    const whole = await stateAfter(open(given(), estimator, optimizer), planOf(estimator, 0, 5));
    const part = await stateAfter(open(given(), estimator, optimizer), planOf(estimator, 0, 2));
    const resumed = open(given(), estimator, optimizer, part.state);
    const rest = await stateAfter(resumed, planOf(estimator, 2, 2), planOf(estimator, 4, 1));
    expect(rest.state).toEqual(whole.state);
    expect([...part.values, ...rest.values]).toEqual(whole.values);
  });

  describe("what an update is made of", () => {
    test("SGLD: gradient (x_k − mean)/τ, the next chain from x^J", async () => {
      const estimator = { ...sgld, chainStart: "previous", batches: 1, projected: true } as const;
      const setup = setupOf(estimator, { kind: "gradient-descent" });
      const plan = planOf(estimator, 0, 2);
      const { state, values } = await stateAfter(given().openSession(setup), plan);
      let x = setup.state.parameters;
      let start = x;
      for (let k = 0; k < 2; k++) {
        const rows = plan.rows.subarray(k * B, (k + 1) * B);
        const batch = {
          inputs: Uint8Array.from(
            [...rows].flatMap((row) => [...TRAIN.inputs.subarray(row * 18, row * 18 + 18)]),
          ),
          labels: Uint16Array.from(rows, (row) => TRAIN.labels[row]),
        };
        const tau = plan.tau[k];
        const place = { network: setup.network, loss: CROSS_ENTROPY, key: KEY, update: k, projected: true };
        const chain = { ...place, parameters: x, start, batches: [batch], tau, stepSizes, noiseScales };
        const { mean, last, loss } = await reference.sgld(chain);
        const gradient = Array.from(mean, (m, i) => (x[i] - m) / tau);
        matches("update", values[4 * k], loss);
        matches("update", values[4 * k + 1], Math.hypot(...gradient));
        x = Float64Array.from(x, (value, i) => value - plan.rate[k] * gradient[i]);
        start = last;
      }
      matches("update", state.parameters, x);
      matches("update", state.chain!, start);
    });

    test("Adam counts from k + 1, wherever a plan begins", async () => {
      const estimator = { kind: "sgd" } as const;
      const [, , adam] = OPTIMIZERS;
      const setup = setupOf(estimator, adam);
      const plan = planOf(estimator, 6, 1);
      const { state } = await stateAfter(given().openSession(setup), plan);
      const rows = [...plan.rows];
      const batch = {
        inputs: Uint8Array.from(rows.flatMap((row) => [...TRAIN.inputs.subarray(row * 18, row * 18 + 18)])),
        labels: Uint16Array.from(rows, (row) => TRAIN.labels[row]),
      };
      const { parameters, moments } = setup.state;
      const { gradient } = await reference.gradient({ ...setup, parameters, batch });
      const expected = await reference.step({
        optimizer: adam,
        rate: plan.rate[0],
        parameters,
        gradient,
        moments,
        index: 7,
      });
      matches("update", state.parameters, expected.parameters);
    });

    test("accuracy of a split is the fraction of its rows", async () => {
      const setup = setupOf({ kind: "sgd" }, { kind: "gradient-descent" });
      const session = given().openSession(setup);
      const { parameters } = setup.state;
      const expected = await reference.accuracy({ network: setup.network, parameters, batch: TEST });
      expect(await session.accuracy("test")).toBeCloseTo(expected, 12);
      expect((expected * 33) % 1).toBeCloseTo(0, 10);
      session.close();
    });
  });

  test("an aborted run resolves with what was done and leaves whole updates only", async () => {
    const estimator: Estimator = { ...importance, coupling: { kind: "antithetic", samples: 400 } };
    const session = open(given(), estimator, OPTIMIZERS[2]);
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 30);
    const plan = planOf(estimator, 0, 20_000);
    const { done, values } = await session.run(plan, controller.signal);
    expect(done).toBeLessThan(20_000);
    expect(values.length).toBe(4 * done);
    const state = await session.read();
    session.close();
    const again = open(given(), estimator, OPTIMIZERS[2]);
    const same = done === 0 ? await again.read() : (await stateAfter(again, firstOf(plan, done))).state;
    expect(same).toEqual(state);
  });

  test("a signal aborted beforehand does nothing", async () => {
    const session = open(given(), { kind: "sgd" }, OPTIMIZERS[0]);
    const before = await session.read();
    const result = await session.run(planOf({ kind: "sgd" }, 0, 3), AbortSignal.abort());
    expect(result.done).toBe(0);
    expect(await session.read()).toEqual(before);
    session.close();
    session.close();
  });
});
