/**
 * SGD: ∇f on a minibatch, through a session's update, which is x ← x − rate·∇f and reports f and |∇f|.
 */
import { expect, test } from "@jest/globals";
import { parameterCount } from "../../src/network.ts";
import { finish } from "../../src/reference/machine/work.ts";
import { sgdDirect } from "../../src/reference/network/sgd.ts";
import { onEveryBackend, reference } from "../support/backends.ts";
import { CROSS_ENTROPY, KEY, networkCase, TARGET, targetLoss } from "../support/fixtures.ts";
import { matches } from "../tolerances.ts";

test("the gradient of a quadratic is Hx + b", () => {
  const { gradient, loss } = finish(sgdDirect(targetLoss, Float64Array.of(0.3, -0.7)));
  expect(gradient[0]).toBeCloseTo(1.7 * 0.3 + 0.6 * 0.7 + 0.4, 14);
  expect(gradient[1]).toBeCloseTo(-0.6 * 0.3 - 0.9 * 0.7 - 1.1, 14);
  expect(loss).toBeCloseTo(0.5 * (1.7 * 0.09 + 1.2 * 0.21 + 0.9 * 0.49) + 0.12 + 0.77 + TARGET.c, 14);
});

test("a loss without a gradient is refused in a sentence", () => {
  const work = sgdDirect({ dimension: 1, value: () => 0 }, Float64Array.of(1));
  expect(() => finish(work)).toThrow(/^Expected .* for loss\.gradient but received undefined/);
});

onEveryBackend((given) => {
  test.each(["bytes", "floats"] as const)("one step on the rows that were asked for, %s", async (inputs) => {
    const { network, parameters, batch } = networkCase({ layers: [21, 17, 5], rows: 12, inputs });
    const session = given().openSession({
      network,
      loss: CROSS_ENTROPY,
      data: { train: batch },
      batchSize: 3,
      estimator: { kind: "sgd" },
      optimizer: { kind: "gradient-descent" },
      key: KEY,
      state: { parameters, moments: [], chain: null },
    });
    const rows = Uint32Array.of(7, 2, 11);
    const rate = 0.3;
    const numbers = { tau: Float64Array.of(0.1), noiseScale: Float64Array.of(0.2) };
    const plan = { first: 4, count: 1, rows, ...numbers, rate: Float64Array.of(rate) };
    const { done, values } = await session.run(plan);
    expect(done).toBe(1);

    const picked = Array.from(rows, (row) =>
      Array.from(batch.inputs.subarray(row * 21, (row + 1) * 21)),
    ).flat();
    const minibatch = {
      inputs: inputs === "bytes" ? Uint8Array.from(picked) : Float32Array.from(picked),
      labels: Uint16Array.from(rows, (row) => batch.labels[row]),
    };
    const { gradient, loss } = await reference.gradient({
      network,
      loss: CROSS_ENTROPY,
      parameters,
      batch: minibatch,
    });
    const state = await session.read();
    expect(state.parameters.length).toBe(parameterCount(network));
    matches(
      "sgd",
      Array.from(state.parameters, (x, i) => (parameters[i] - x) / rate),
      gradient,
    );
    matches("sgd", values[0], loss);
    matches("sgd", values[1], Math.hypot(...gradient));
    expect([...values.slice(2)]).toEqual([Number.NaN, Number.NaN]);
    expect(state.chain).toBeNull();
    session.close();
  });
});
