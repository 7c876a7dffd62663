/**
 * SGLD: every backend against the reference for the same counters. Its law is in closed-forms.test.ts and
 * projection.test.ts.
 */
import { test } from "@jest/globals";
import type { SgldInput } from "../../src/backends/backend.ts";
import { gaussian } from "../../src/reference/random/gaussian.ts";
import { STREAMS } from "../../src/reference/random/streams.ts";
import { onEveryBackend, onEveryFastBackend, reference, sameBitsOnThreads } from "../support/backends.ts";
import { batchesOf, CHAIN_FORMS, type ChainForm } from "../support/chain-forms.ts";
import { CROSS_ENTROPY, caseName, KEY, networkCase } from "../support/fixtures.ts";
import { matches } from "../tolerances.ts";

const STEPS = 13;

function inputOf(form: ChainForm): SgldInput {
  const { options, projected } = form;
  const { network, parameters, batch } = networkCase(options);
  const stepSizes = Float64Array.from({ length: STEPS }, (_, j) => 0.06 / (j + 3));
  return {
    network,
    loss: CROSS_ENTROPY,
    parameters,
    batches: batchesOf(form, batch, STEPS - 1),
    start: parameters.map((value, i) => value + 0.02 * Math.cos(i)),
    stepSizes,
    noiseScales: stepSizes.map((e) => 0.6 * Math.sqrt(e)),
    tau: 0.04,
    key: KEY,
    update: 3,
    projected,
  };
}

const named = CHAIN_FORMS.map((form) => {
  const { options, projected, fresh } = form;
  const title = `${caseName(options)}, ${projected ? "projected" : "direct"}${fresh ? ", fresh minibatches" : ""}`;
  return [title, form] as const;
});

onEveryFastBackend((given) => {
  test.each(named)("%s", async (_, form) => {
    const input = inputOf(form);
    const [actual, expected] = [await given().operations.sgld(input), await reference.sgld(input)];
    const offset = (vector: ArrayLike<number>) =>
      Array.from(vector, (value, i) => value - input.parameters[i]);
    matches("sgld", offset(actual.mean), offset(expected.mean));
    matches("sgld", offset(actual.last), offset(expected.last));
    matches("sgld", actual.loss, expected.loss);
  });

  if (given.threaded)
    test.each(named)("the same bits on any number of threads: %s", (_, form) =>
      sameBitsOnThreads(given, ({ operations }) => operations.sgld(inputOf(form))),
    );
});

onEveryBackend((given) => {
  test("two iterates by hand: x² = x¹ − (ε_1/2)(∇f(x¹) − (x_k − x¹)/τ) + s_1 ξ, mean weighted by ε", async () => {
    const options = { layers: [6, 3], rows: 4 };
    const stepSizes = Float64Array.of(0.03, 0.05);
    const input = {
      ...inputOf({ options, projected: false }),
      stepSizes,
      noiseScales: Float64Array.of(0.2, 9),
    };
    const { start, parameters, batches } = input;
    const { gradient, loss } = await reference.gradient({ ...input, parameters: start, batch: batches[0] });
    const xi = gaussian(KEY, 16, 3, 0, start.length);
    const last = Array.from(
      start,
      (x, i) => x - 0.015 * (gradient[i] - (parameters[i] - x) / 0.04) + 0.2 * xi[i],
    );
    const result = await given().operations.sgld(input);
    matches("sgld", result.last, last);
    matches(
      "sgld",
      result.mean,
      last.map((x, i) => (0.03 * start[i] + 0.05 * x) / 0.08),
    );
    matches("sgld", result.loss, loss);
  });

  test("with one row of zeros the complement is all but the bias, and its two iterates are by hand", async () => {
    // The span is the bias alone: Q = e_bias, so every weight obeys x² = x¹ + (ε_1/2τ)(x_k − x¹) + s_1 n₁.
    const { network, parameters } = networkCase({ layers: [6, 3], rows: 1 });
    const stepSizes = Float64Array.of(0.03, 0.05);
    const input = {
      ...inputOf({ options: { layers: [6, 3], rows: 1 }, projected: true }),
      network,
      batches: [{ inputs: new Uint8Array(6), labels: Uint16Array.of(1) }],
      stepSizes,
      noiseScales: Float64Array.of(0.2, 9),
    };
    const n1 = gaussian(KEY, STREAMS.complement, 3, 0, 21).slice(0, 18);
    const last = Array.from(
      n1,
      (n, i) => input.start[i] + (0.015 / 0.04) * (parameters[i] - input.start[i]) + 0.2 * n,
    );
    const result = await given().operations.sgld(input);
    matches("sgld", result.last.slice(0, 18), last);
    matches(
      "sgld",
      result.mean.slice(0, 18),
      last.map((x, i) => (0.03 * input.start[i] + 0.05 * x) / 0.08),
    );
  });
});
