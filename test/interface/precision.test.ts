/**
 * Numbers that a double holds and float32 does not: each is refused by its option, by what fails and by what helps, and
 * whatever is let through gives finite numbers on every backend.
 */
import { afterAll, describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { whyNot } from "../../src/backends/registry.ts";
import { DivergedError, OptionError } from "../../src/errors.ts";
import { minimize } from "../../src/minimize.ts";
import { type OpenBackend, openBackend } from "../../src/operations.ts";
import { checkMinimizeOptions } from "../../src/options/minimize.ts";
import { checkOperation } from "../../src/options/operations.ts";
import { leastNoise, usualSize } from "../../src/options/precision.ts";
import { annealed } from "../../src/schedules.ts";
import { train } from "../../src/train.ts";
import { base, check, descent, langevin, sentence, sgd } from "../support/option-fixtures.ts";

const network = [6, 4, 3];
const parameters = Float32Array.from({ length: 43 }, (_, i) => Math.sin(i) / 4);
const batch = { inputs: Uint8Array.from({ length: 12 }, (_, i) => 37 * i), labels: Uint8Array.of(0, 2) };
const located = { network, parameters, batch };
const doubles = (...values: number[]) => Float64Array.of(...values);

describe("arrays", () => {
  const range = "Expected a number that is finite in float32 (at most 3.40e+38 in size) for";
  const large = Float64Array.from(parameters).with(5, -1e39);
  const adam = { kind: "adam" } as const;
  const step = { optimizer: adam, rate: 0.1, parameters: doubles(1), gradient: doubles(1) };
  const chain = { ...located, tau: 0.5, stepSizes: [0.1, 0.1] };
  test.each([
    [
      "parameters",
      () => checkOperation("loss", { ...located, parameters: large }),
      "loss.parameters[5]",
      -1e39,
    ],
    ["a run's start", () => check({ parameters: large }), "train.parameters[5]", -1e39],
    ["a chain's start", () => checkOperation("sgld", { ...chain, start: large }), "sgld.start[5]", -1e39],
    [
      "step sizes",
      () => checkOperation("sgld", { ...chain, stepSizes: [0.1, 1e39] }),
      "sgld.stepSizes[1]",
      1e39,
    ],
    [
      "a gradient",
      () => checkOperation("step", { ...step, gradient: doubles(1e39) }),
      "step.gradient[0]",
      1e39,
    ],
    [
      "moments",
      () => checkOperation("step", { ...step, state: [doubles(1e39), doubles(0)] }),
      "step.state[0][0]",
      1e39,
    ],
    [
      "costs",
      () => check({ loss: { kind: "cost-matrix", costs: [[0, 1, 1], [1, 0, 1e39], [1, 1, 0]] } }), // biome-ignore format: a matrix
      "train.loss.costs[1][2]",
      1e39,
    ],
  ] as const)("%s", (_, work, path, value) => {
    expect(sentence(work)).toBe(`${range} ${path} but received ${value}`);
  });

  test("Adam squares its gradient, the others do not", () => {
    expect(sentence(() => checkOperation("step", { ...step, gradient: doubles(1e20) }))).toBe(
      "Expected a number of at most 1.8e+19 in size for step.gradient[0] but received 100000000000000000000; its square, which Adam takes, is infinite in float32",
    );
    checkOperation("step", { ...step, optimizer: { kind: "gradient-descent" }, gradient: doubles(1e20) });
  });

  test("minimize computes in float64", () => {
    const loss = { dimension: 3, value: () => 0 };
    expect(checkMinimizeOptions({ loss, start: [1e39, 1, 1], updates: 1 }).state.parameters).toEqual(
      doubles(1e39, 1, 1),
    );
  });
});

describe("constants", () => {
  const entropy = (tau: unknown, more: object = {}) => ({
    objective: { kind: "local-entropy", tau, estimator: { kind: "importance-sampling", ...more } },
  });
  const range = "outside 1.2e-38 … 3.4e+38";
  test.each([
    [
      entropy(0.01, { temperature: 1e38 }),
      `Expected a number for which float32 can hold 1/δ for train.objective.tau but received 0.01; 1/δ is 1.0e-38, ${range}: use a smaller temperature`,
    ],
    [
      entropy(1e-4, { temperature: 5e37 }),
      `Expected a number for which float32 can hold δ/τ for train.objective.tau but received 0.0001; δ/τ is 5.0e+41, ${range}: use a smaller temperature or a larger tau`,
    ],
    [
      entropy(1e-40),
      `Expected a number for which float32 can hold s² for train.objective.tau but received 1e-40; s² is 1.0e-40, ${range}: use a larger tau`,
    ],
    [
      { objective: { kind: "local-entropy", tau: 1e-39, estimator: langevin } },
      `Expected a number for which float32 can hold τ for train.objective.tau but received 1e-39; τ is 1.0e-39, ${range}: use a larger tau`,
    ],
    [
      { objective: { kind: "heat", tau: 0.1, estimator: { ...descent, stepSize: 1e-39 } } },
      `Expected a number for which float32 can hold the least step size for train.objective.tau but received 0.1; the least step size is 1.0e-39, ${range}: use a larger stepSize`,
    ],
    [
      { ...sgd, optimizer: { kind: "gradient-descent", rate: (k: number) => 10 ** (20 * k) } },
      `Expected a number for which float32 can hold the rate for train.optimizer.rate at k = 2 but received 1e+40; the rate is 1.0e+40, ${range}: use a smaller rate`,
    ],
    [
      { ...sgd, optimizer: { kind: "adam", rate: 1e38, weightDecay: 10 } },
      `Expected a number for which float32 can hold rate/(1 − beta1) for train.optimizer.rate but received 1e+38; rate/(1 − beta1) is 1.0e+39, ${range}: use a smaller rate`,
    ],
    [
      { ...sgd, optimizer: { kind: "momentum", momentum: 1 - 1e-9, rate: 1 } },
      "Expected a number from 0 to below 1, and not 1 in float32, for train.optimizer.momentum but received 0.999999999; use at most 0.9999998807907104",
    ],
    [
      { ...sgd, optimizer: { kind: "adam", rate: 1, epsilon: 1e-20 } },
      "Expected at least 3.4e-18 for train.optimizer.epsilon but received 1e-20; the square of a smaller gradient is 0 in float32, and a step along it would be divided by epsilon alone",
    ],
  ])("%j", (options, message) => {
    expect(sentence(() => check(options))).toBe(message);
  });

  test("noise below the grain of the parameters is refused before the run, by its update", () => {
    const lost = (options: object) => sentence(() => check({ parameters, ...options }));
    const why =
      "beside parameters of about 0.17 noise of scale 1.0e-15 is lost, and all samples are the same: use a larger one, whose noise has a scale of at least 9.9e-9";
    expect(lost(entropy(1e-30))).toBe(
      `Expected a number whose noise float32 keeps for train.objective.tau but received 1e-30; ${why}`,
    );
    expect(lost({ ...entropy(annealed(1, 9)), updates: 100 })).toMatch(
      /^Expected a number whose noise float32 keeps for train.objective.tau at k = 17 but received 1e-17; /,
    );
    expect(
      lost({ objective: { kind: "heat", tau: 1e-30, estimator: { kind: "evolution-strategies" } } }),
    ).toMatch(/^Expected a number whose noise float32 keeps/);
    expect(sentence(() => checkOperation("importanceSampling", { ...located, tau: 1e-30 }))).toBe(
      `Expected a number whose noise float32 keeps for importanceSampling.tau but received 1e-30; ${why}`,
    );
    check({ parameters: new Float32Array(43), ...entropy(1e-30) }); // beside nothing it is not lost
    const loss = { dimension: 1, value: () => 0 };
    const objective = { kind: "local-entropy", tau: 1e-30 };
    checkMinimizeOptions({ loss, start: [1], updates: 1, objective });
    expect(
      sentence(() =>
        checkMinimizeOptions({ loss, start: [1], updates: 1, objective: { ...objective, tau: 1e-34 } }),
      ),
    ).toMatch(/^Expected a number whose noise float64 keeps for minimize.objective.tau but received 1e-34/);
  });

  test("the usual size is a median: one large parameter does not refuse a small tau", () => {
    expect(usualSize([0, -3, 1])).toBe(1);
    expect(usualSize(Float32Array.from({ length: 10_000 }, (_, i) => i))).toBeCloseTo(5000, -2);
    expect(leastNoise(parameters.map((x, i) => (i === 3 ? 1e30 : x)))).toBeLessThan(2e-8);
  });
});

describe("parameters that grow past the noise", () => {
  test("end the run at a record", async () => {
    const run = minimize({
      loss: { dimension: 1, value: ([x]) => -x },
      start: [1],
      objective: { kind: "local-entropy", tau: 1e-12 },
      optimizer: { kind: "gradient-descent", rate: 1e11 },
      updates: 40,
      recordEvery: 4,
    });
    const error = await run.result.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(DivergedError);
    expect((error as Error).message).toMatch(
      /^At update \d+ noise of scale 1.0e-6 \(variance 1.0e-12\) is lost in float64 beside parameters of about .*, so all samples are the same. Try a tau that stays larger: a scale above /,
    );
  });
});

const BACKENDS = (["reference", "native", "wasm"] as const).filter((name) => whyNot(name) === null);
const opened: OpenBackend[] = [];
afterAll(() => {
  for (const backend of opened) backend.close();
});

describe.each(BACKENDS)("what is let through is finite on %s", (name) => {
  // Not so much noise, nor so low a temperature, that a network's losses leave the range of exponentials.
  const small = fc.double({ min: -44, max: 2, noNaN: true }).map((power) => 10 ** power);
  const hot = fc.double({ min: -2, max: 44, noNaN: true }).map((power) => 10 ** power);
  const anywhere = fc.double({ min: -44, max: 44, noNaN: true }).map((power) => 10 ** power);
  const coupling = fc.constantFrom({ kind: "walsh", blocks: 2 }, { kind: "antithetic", samples: 8 });
  test("importance sampling", async () => {
    const backend = await openBackend(name, { threads: 1 });
    opened.push(backend);
    let passed = 0;
    const settings = fc.record({ tau: small, temperature: hot, coupling, rowwise: fc.boolean() });
    const extreme = fc.asyncProperty(settings, async (options) => {
      let result: Awaited<ReturnType<OpenBackend["importanceSampling"]>>;
      try {
        result = await backend.importanceSampling({ ...located, ...options } as never);
      } catch (error) {
        expect(error).toBeInstanceOf(OptionError);
        return;
      }
      passed++;
      const numbers = [...result.gradient, result.loss, result.freeEnergy, result.effectiveSampleSize];
      expect(numbers.filter((number) => !Number.isFinite(number))).toEqual([]);
    });
    await fc.assert(extreme, { numRuns: 300, seed: 7 });
    expect(passed).toBeGreaterThan(40);
  });

  test("Adam and momentum", async () => {
    const backend = await openBackend(name, { threads: 1 });
    opened.push(backend);
    const optimizer = fc.oneof(
      fc.record({ kind: fc.constant("adam"), epsilon: anywhere, beta2: fc.constantFrom(0, 0.5, 0.999) }),
      fc.record({ kind: fc.constant("momentum"), momentum: fc.double({ min: 0, max: 1, noNaN: true }) }),
    );
    const extreme = fc.asyncProperty(optimizer, anywhere, anywhere, async (chosen, size, rate) => {
      let result: Awaited<ReturnType<OpenBackend["step"]>>;
      try {
        const gradient = doubles(size, 0);
        const input = { optimizer: chosen, rate: rate * 1e-20, parameters: doubles(1, 1), gradient };
        result = await backend.step(input as never);
      } catch (error) {
        expect(error).toBeInstanceOf(OptionError);
        return;
      }
      if (chosen.kind === "adam")
        expect(Math.abs(result.parameters[0] - 1)).toBeLessThan(1.01 * rate * 1e-20 + 1e-6);
      expect(Number.isNaN(result.parameters[1])).toBe(false);
    });
    await fc.assert(extreme, { numRuns: 300, seed: 7 });
  });

  test("a schedule that would fall below the grain is never run", () => {
    const objective = { kind: "local-entropy", tau: annealed(0.1, 0.5) } as const;
    expect(() => train({ ...base, objective, updates: 400, backend: name })).toThrow(OptionError);
  });
});
