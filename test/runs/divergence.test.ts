/**
 * A run whose parameters overflow while loss and gradient stay finite, as under the zero-one loss, on every backend.
 */
import { describe, expect, test } from "@jest/globals";
import type { Estimator } from "../../src/backends/backend.ts";
import { whyNot } from "../../src/backends/registry.ts";
import { DivergedError } from "../../src/errors.ts";
import { placeOf } from "../../src/network.ts";
import { adviceAgainstDivergence } from "../../src/options/objective.ts";
import { train } from "../../src/train.ts";
import { integers } from "../support/fixtures.ts";

const BACKENDS = (["reference", "native", "cuda", "wasm"] as const).filter((name) => whyNot(name) === null);
const inputs = Uint8Array.from(integers(1, 120 * 6, 256));
const labels = Uint8Array.from(integers(2, 120, 3));
const data = { inputs, labels, count: 120, width: 6, classes: 3 };

describe.each(BACKENDS)("%s", (backend) => {
  test("says which parameter left the numbers, at the record after it did", async () => {
    const coupling = { kind: "antithetic", samples: 8 } as const;
    const run = train({
      network: [6, 5, 3],
      data: { train: data },
      loss: "zero-one",
      objective: {
        kind: "local-entropy",
        estimator: { kind: "importance-sampling", rowwise: false, coupling },
      },
      optimizer: { kind: "adam", rate: 1e6, weightDecay: 0.05 }, // x ← −5e4 x
      updates: 300, // the reference overflows later
      recordEvery: 10,
      backend,
    });
    let last = 0;
    const reading = (async () => {
      for await (const { update, loss } of run) {
        expect(loss).toBeGreaterThan(0.2);
        last = update;
      }
    })();
    await expect(reading).rejects.toThrow(DivergedError);
    const { message } = (await run.result.catch((error: unknown) => error)) as Error;
    const found =
      /^Parameter \d+, the (weight of input \d|bias) for output \d of layer \d, was -?(Infinity|NaN) after update (\d+): the run diverged. Try a smaller rate$/.exec(
        message,
      );
    expect(found).not.toBeNull();
    expect(Number(found?.[3])).toBe(last + 10);
    await expect(run.result).rejects.toThrow(DivergedError);
  });
});

test("a parameter's place counts layers, inputs and outputs from 1", () => {
  const network = { layers: [2, 3, 2], activation: "relu" } as const;
  expect(placeOf(network, 0)).toBe("the weight of input 1 for output 1 of layer 1");
  expect(placeOf(network, 5)).toBe("the weight of input 2 for output 3 of layer 1");
  expect(placeOf(network, 8)).toBe("the bias for output 3 of layer 1");
  expect(placeOf(network, 9)).toBe("the weight of input 1 for output 1 of layer 2");
  expect(placeOf(network, 16)).toBe("the bias for output 2 of layer 2");
});

test("what helps names the option that makes the step of this estimator", () => {
  const advice = (kind: Estimator["kind"], optimizer: "shift" | "adam") =>
    adviceAgainstDivergence({ kind } as Estimator, { kind: optimizer } as never);
  expect(advice("sgd", "adam")).toBe("Try a smaller rate");
  expect(advice("importance-sampling", "adam")).toBe("Try a smaller rate");
  expect(advice("importance-sampling", "shift")).toBe("Try a smaller tau or a larger temperature");
  expect(advice("evolution-strategies", "shift")).toBe("Try a smaller tau");
  expect(advice("sgld", "shift")).toBe(
    "Try a smaller stepSize or a larger tau: a step should stay below 2 tau",
  );
  expect(advice("robbins-monro", "adam")).toBe("Try a smaller stepSize or a smaller tau, or a smaller rate");
});
