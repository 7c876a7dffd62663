/**
 * Options of `minimize`: what right ones become at the seam, and the sentence of each wrong one.
 */
import { describe, expect, test } from "@jest/globals";
import { checkMinimizeOptions } from "../../src/options/minimize.ts";
import { descent, langevin, sentence, sgd } from "../support/option-fixtures.ts";

describe("minimize", () => {
  const loss = { dimension: 2, value: (x: Float64Array) => x[0] ** 2 + x[1] ** 2 };
  const smooth = { ...loss, gradient: (x: Float64Array) => x.map((v) => 2 * v) };
  const minimal = { loss, start: [1, -1], updates: 3 };
  const minimize = (more: object = {}) => checkMinimizeOptions({ ...minimal, ...more });

  test("importance sampling and the shift by default, in float64, never projected", () => {
    const { estimator, optimizer, planValues, state, key } = minimize();
    expect(estimator).toEqual({
      kind: "importance-sampling",
      coupling: { kind: "antithetic", samples: 1000 },
      temperature: 1,
      rowwise: false,
      projected: false,
    });
    expect(optimizer).toEqual({ kind: "gradient-descent" });
    expect([...planValues(0, 3).rate]).toEqual([0.01, 0.01, 0.01]);
    expect(state).toEqual({ parameters: Float64Array.of(1, -1), moments: [], chain: null });
    expect(key).toEqual([1, 0]);
  });
  test("chains with a gradient, one batch and no projection", () => {
    const objective = { kind: "local-entropy", tau: 0.5, estimator: langevin };
    const checked = minimize({ loss: smooth, objective });
    expect(checked.estimator).toMatchObject({ kind: "sgld", batches: 1, projected: false });
    expect(checked.description).toMatchObject({ loss: { dimension: 2, gradient: true }, start: [1, -1] });
    expect(checked.loss.gradient).toBe(smooth.gradient);
  });
  const needed = (who: string) =>
    `Expected a function for minimize.loss.gradient but received undefined; ${who} needs it: give gradient(x), or use the estimator "importance-sampling"`;
  const cases: [string, object, string][] = [
    [
      "sgld without a gradient",
      { objective: { kind: "local-entropy", estimator: langevin } },
      needed('the estimator "sgld"'),
    ],
    [
      "robbins-monro without a gradient",
      { objective: { kind: "heat", estimator: descent } },
      needed('the estimator "robbins-monro"'),
    ],
    ["loss without a gradient", sgd, needed('the objective "loss"')],
    [
      "loss without a rate",
      { loss: smooth, objective: { kind: "loss" } },
      'Expected an optimizer with a rate for minimize.optimizer but received undefined; the objective "loss" has no default, since a good rate depends on the problem: for example { kind: "gradient-descent", rate: 0.01 }',
    ],
    [
      "start's length",
      { start: [1] },
      "Expected an array of 2 numbers for minimize.start but received an array of length 1",
    ],
    [
      "start's values",
      { start: [1, Number.NaN] },
      "Expected a finite number for minimize.start[1] but received NaN",
    ],
    [
      "value",
      { loss: { dimension: 2, value: 3 } },
      "Expected a function for minimize.loss.value but received 3",
    ],
    [
      "dimension",
      { loss: { dimension: 0, value: loss.value } },
      "Expected an integer 1 … 1073741824 for minimize.loss.dimension but received 0",
    ],
    [
      "what minibatches have",
      {
        loss: smooth,
        objective: { kind: "local-entropy", estimator: { ...langevin, minibatch: "per-step" } },
      },
      "Unknown option minimize.objective.estimator.minibatch; allowed are kind, steps, stepSize, chainStart, noise",
    ],
    [
      "tau",
      { objective: { kind: "local-entropy", tau: (k: number) => 1 - k } },
      "Expected a finite number above 0 for minimize.objective.tau at k = 1 but received 0",
    ],
  ];
  test.each(cases)("refuses %s", (_what, options, message) => {
    expect(sentence(() => minimize(options))).toBe(message);
  });
});
