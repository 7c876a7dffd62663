/**
 * `openBackend` and its operations as users call them: results, `xInto`, detached arrays, closing.
 * What the operations compute is tested stem by stem; here stands what the public form adds.
 */
import { afterAll, describe, expect, test } from "@jest/globals";
import { whyNot } from "../../src/backends/registry.ts";
import { noiseLayout, parameterCount } from "../../src/layout.ts";
import { openBackend } from "../../src/operations.ts";
import type { Batch } from "../../src/options/operation-types.ts";
import { networkCase } from "../support/fixtures.ts";

const { network, parameters, batch } = networkCase({ layers: [11, 7, 4], rows: 5 });
const common = { network, parameters, batch: batch as Batch };
const sampling = { ...common, tau: 0.02, coupling: { kind: "antithetic", samples: 12 } } as const;
const n = parameterCount(network);

const BACKENDS = (["reference", "native", "wasm"] as const).filter((name) => whyNot(name) === null);

describe.each(BACKENDS)("operations on %s", (name) => {
  const opened = openBackend(name, { threads: 2 });
  afterAll(async () => (await opened).close());

  test("names itself", async () => {
    expect(await opened).toMatchObject({ name, threads: name === "reference" ? 1 : 2, declined: [] });
  });

  const CASES = [
    ["gaussian", { stream: "layer-1", count: 70 }, 70, null],
    ["gradient", common, n, "gradient"],
    ["predict", { network, parameters, inputs: batch.inputs }, 20, "probabilities"],
    ["weights", sampling, 12, "losses"],
    ["importanceSampling", sampling, n, "mean"],
    ["evolutionStrategies", sampling, n, "mean"],
    ["sgld", { ...common, tau: 0.02, stepSizes: [0.01, 0.02, 0.01] }, n, "mean"],
    ["robbinsMonro", { ...common, tau: 0.02, stepSizes: [0.1, 0.05], samples: 3 }, n, "mean"],
    [
      "step",
      { optimizer: { kind: "momentum" }, rate: 0.1, parameters, gradient: parameters },
      n,
      "parameters",
    ],
    ["hessianProduct", { ...common, vector: parameters }, n, null],
  ] as const;

  test.each(CASES)(
    "%s and its form that writes into an array agree",
    async (operation, options, length, first) => {
      // biome-ignore lint/suspicious/noExplicitAny: one body for operations of different types
      const backend = (await opened) as any;
      const result = await backend[operation](options);
      const { [first ?? "values"]: array, ...rest } = first === null ? { values: result } : result;
      expect(array).toHaveLength(length);
      expect(array.every(Number.isFinite)).toBe(true);
      const out = new Float64Array(length).fill(Number.NaN);
      const given = await backend[`${operation}Into`](options, out);
      expect(Array.from(out)).toEqual(Array.from(array));
      expect(given ?? {}).toEqual(rest);
      const short = new Float32Array(length - 1);
      await expect(backend[`${operation}Into`](options, short)).rejects.toThrow(
        `Expected a Float32Array or Float64Array of length ${length} for ${operation}Into.out but received ` +
          `Float32Array of length ${length - 1}`,
      );
      const gone = new Float64Array(length);
      const late = backend[`${operation}Into`](options, gone);
      structuredClone(gone.buffer, { transfer: [gone.buffer] });
      await expect(late).rejects.toThrow(`${operation}Into.out`);
    },
  );

  test("log weights are −loss/δ, in order", async () => {
    const { losses, logWeights } = await (await opened).weights({ ...sampling, temperature: 0.5 });
    for (const [j, loss] of losses.entries()) expect(logWeights[j]).toBeCloseTo(-2 * loss, 5);
    expect(new Set(losses).size).toBe(12);
  });

  test("the mean is x − (τ/δ)·gradient, of parameters as they were when it was called", async () => {
    const backend = await opened;
    const float = name === "reference" ? (value: number) => value : Math.fround;
    for (const [operation, temperature] of [
      ["importanceSampling", 0.35],
      ["evolutionStrategies", 1],
    ] as const) {
      const mine = Float64Array.from(parameters, (value) => value + 1e-9);
      const x = mine.slice();
      const options = { ...sampling, parameters: mine, ...(temperature === 1 ? {} : { temperature }) };
      const called = backend[operation](options);
      mine.fill(0);
      const { mean, gradient } = await called;
      const expected = Array.from(gradient, (g, i) => float(float(x[i]) - (0.02 / temperature) * g));
      expect(Array.from(mean)).toEqual(expected);
      expect(gradient.some((g) => g !== 0)).toBe(true);
    }
  });

  test("loss and accuracy", async () => {
    const backend = await opened;
    const { loss } = await backend.gradient(common);
    expect(await backend.loss(common)).toBeCloseTo(loss, 6);
    const { labels } = await backend.predict({ network, parameters, inputs: batch.inputs });
    const right = labels.filter((label, i) => label === batch.labels[i]).length;
    expect(await backend.accuracy({ network, parameters, data: batch as Batch })).toBe(right / 5);
  });

  test("trains nothing from wrong input, and says what is wrong", async () => {
    const backend = await opened;
    const inputs = batch.inputs.subarray(1);
    await expect(backend.loss({ ...common, batch: { ...common.batch, inputs } })).rejects.toThrow(
      /loss\.batch\.inputs/,
    );
    await expect(backend.gaussian({ stream: "layer-0", count: 1 })).rejects.toThrow(
      /gaussian\.stream.*"layer-0"/,
    );
    const nan = parameters.slice().fill(Number.NaN, 3, 4);
    await expect(backend.loss({ ...common, parameters: nan })).rejects.toThrow(/loss\.parameters/);
  });

  test("a gradient is that of the samples' own variance, whatever τ beside a noise scale", async () => {
    const backend = await opened;
    const s = Math.sqrt(0.02);
    for (const operation of ["importanceSampling", "evolutionStrategies"] as const) {
      const own = await backend[operation]({ ...sampling, tau: 0.02 });
      const other = await backend[operation]({ ...sampling, tau: 0.5, noiseScale: s });
      const largest = Math.max(...own.gradient.map(Math.abs));
      const far = Math.max(...own.gradient.map((g, i) => Math.abs(g - other.gradient[i])));
      expect(far).toBeLessThan(1e-5 * largest);
    }
  });

  test("an aborted signal rejects with its reason", async () => {
    const controller = new AbortController();
    const coupling = { kind: "antithetic", samples: 2_000_000 } as const;
    const work = (await opened).importanceSampling({ ...sampling, coupling, signal: controller.signal });
    setTimeout(() => controller.abort(new Error("enough")), 20);
    await expect(work).rejects.toThrow("enough");
  });

  test("eigenvalues: two searches at once as one after the other; one that is aborted rejects", async () => {
    const backend = await opened;
    const search = (seed: number, signal?: AbortSignal) =>
      backend.hessianEigenvalues({ ...common, largest: 3, smallest: 2, tolerance: 1e-6, seed, signal });
    const together = await Promise.all([search(1), search(2)]);
    expect(together).toEqual([await search(1), await search(2)]);
    expect(together[0].converged).toBe(true);
    const [first, second] = together.map(({ largest }) => largest[0].value);
    expect(first / second).toBeCloseTo(1, 4);
    const controller = new AbortController();
    const aborted = search(3, controller.signal);
    setImmediate(() => controller.abort(new Error("enough")));
    await expect(aborted).rejects.toThrow("enough");
  });

  test("a closed backend rejects", async () => {
    const backend = await openBackend(name);
    backend.close();
    backend[Symbol.dispose]();
    await expect(backend.gradient(common)).rejects.toThrow(/closed/);
  });
});

(whyNot("cuda") === null ? test.skip : test)("openBackend says why, and names what is there", async () => {
  await expect(openBackend("cuda")).rejects.toThrow(
    `Backend cuda cannot be used: ${whyNot("cuda")}. This machine has: `,
  );
});

test("openBackend refuses what it does not know", async () => {
  await expect(openBackend("gpu" as "cuda")).rejects.toThrow(/openBackend\.backend.*"gpu"/);
  await expect(openBackend("auto", { threads: 0 })).rejects.toThrow(/openBackend\.threads.*0/);
});

test("LOCAL_ENTROPY_BACKEND forces a backend in place of auto", async () => {
  process.env.LOCAL_ENTROPY_BACKEND = "reference";
  try {
    expect((await openBackend()).name).toBe("reference");
    process.env.LOCAL_ENTROPY_BACKEND = "quantum";
    await expect(openBackend()).rejects.toThrow(/LOCAL_ENTROPY_BACKEND but received "quantum"/);
  } finally {
    delete process.env.LOCAL_ENTROPY_BACKEND;
  }
});

test("parameterCount and noiseLayout take a network as everything else does", () => {
  expect(parameterCount([784, 200, 10])).toBe(159_010);
  expect(parameterCount({ layers: [784, 10], activation: "tanh" })).toBe(7850);
  expect(noiseLayout([11, 7, 4])).toEqual(noiseLayout(network));
  expect(noiseLayout([11, 7, 4]).streams[1]).toEqual({ name: "layer-2", number: 17, rows: 8, columns: 4 });
  expect(() => parameterCount([784])).toThrow("Expected at least two widths for parameterCount.network");
  expect(() => noiseLayout({ layers: [3, 2], activation: "gelu" as "relu" })).toThrow(
    'Expected "relu", "tanh" or "step" for noiseLayout.network.activation but received "gelu"',
  );
});
