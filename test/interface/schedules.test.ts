/**
 * Schedules against their formulas, their descriptions, and the errors of wrong arguments and values.
 */
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { OptionError } from "../../src/errors.ts";
import {
  annealed,
  constant,
  cosine,
  describeSchedule,
  evaluate,
  inverseShift,
  power,
  reversed,
  type Schedule,
} from "../../src/schedules.ts";

const inner = (schedule: Schedule, total: number) => [
  ...evaluate("s", schedule, { from: 1, count: total, total, first: 1 }, "above 0"),
];
const outer = (schedule: Schedule, total: number) => [
  ...evaluate("s", schedule, { from: 0, count: total, total, first: 0 }, "0 or more"),
];

describe("formulas", () => {
  test("constant and plain numbers", () => {
    expect(inner(constant(0.25), 3)).toEqual([0.25, 0.25, 0.25]);
    expect(inner(0.25, 2)).toEqual([0.25, 0.25]);
  });
  test("c/(s + j), c·j^−α, τ0/(1 + τ1)^k", () => {
    expect(inner(inverseShift(2, 6), 3)).toEqual([2 / 7, 2 / 8, 2 / 9]);
    expect(inner(power(0.1, 0.5), 4)).toEqual([0.1, 0.1 * 2 ** -0.5, 0.1 * 3 ** -0.5, 0.05]);
    expect(outer(annealed(1.5, 0.01), 3)).toEqual([1.5, 1.5 / 1.01, 1.5 / 1.01 ** 2]);
  });
  test("inverseShift and power count their own places from 1, whatever the index counts from", () => {
    expect(outer(inverseShift(2, 0), 3)).toEqual([2, 1, 2 / 3]);
    expect(outer(inverseShift(2, 6), 3)).toEqual(inner(inverseShift(2, 6), 3));
    expect(outer(power(0.1, 0.5), 4)).toEqual(inner(power(0.1, 0.5), 4));
    expect(outer(reversed(power(1, 1)), 2)).toEqual([0.5, 1]);
  });
  test("cosine has `from` at k = 0, the middle half-way, and reaches `to` after the last update", () => {
    const schedule = cosine(3, 1);
    expect(schedule(0, 10)).toBe(3);
    expect(schedule(5, 10)).toBeCloseTo(2, 12);
    expect(schedule(9, 10)).toBeCloseTo(2 + Math.cos(0.9 * Math.PI), 12);
    expect(schedule(10, 10)).toBe(1);
  });
  test("reversed counts back from the last index, inner and outer, and twice gives the first", () => {
    const total = fc.integer({ min: 1, max: 40 });
    fc.assert(
      fc.property(total, fc.double({ min: 0.1, max: 2, noNaN: true }), (n, alpha) => {
        expect(inner(reversed(power(1, alpha)), n)).toEqual(inner(power(1, alpha), n).reverse());
        expect(outer(reversed(annealed(1, alpha)), n)).toEqual(outer(annealed(1, alpha), n).reverse());
        expect(outer(reversed(reversed(cosine(1, 0))), n)).toEqual(outer(cosine(1, 0), n));
      }),
      { numRuns: 50, seed: 1 },
    );
    expect(reversed(power(1, 1))(1, 10)).toBe(1 / 10);
  });
  test("a span is a piece of the whole", () => {
    const piece = evaluate("s", cosine(1, 0), { from: 3, count: 4, total: 10, first: 0 }, "above 0");
    expect([...piece]).toEqual(outer(cosine(1, 0), 10).slice(3, 7));
  });
});

test("descriptions: name and arguments, a function's own source", () => {
  expect(describeSchedule(0.5)).toBe(0.5);
  expect(describeSchedule(reversed(annealed(1.5, 0.01)))).toEqual({
    name: "reversed",
    arguments: [{ name: "annealed", arguments: [1.5, 0.01] }],
  });
  expect(describeSchedule(inverseShift(1, 1000))).toEqual({ name: "inverseShift", arguments: [1, 1000] });
  const halving = (k: number) => 0.5 ** k;
  expect(describeSchedule(halving)).toEqual({ name: "halving", arguments: [], source: String(halving) });
});

describe("errors", () => {
  const error = (work: () => unknown) => {
    expect(work).toThrow(OptionError);
    try {
      return work();
    } catch (thrown) {
      return (thrown as Error).message;
    }
  };
  test("arguments", () => {
    expect(error(() => constant(Number.NaN))).toBe(
      "Expected a finite number for constant.value but received NaN",
    );
    expect(error(() => cosine(1, "0" as never))).toBe(
      'Expected a finite number for cosine.to but received "0"',
    );
    expect(error(() => inverseShift(1, -1))).toBe(
      "Expected a finite number, 0 or more, for inverseShift.s but received -1",
    );
    expect(error(() => annealed(1, -1))).toBe(
      "Expected a finite number above -1 for annealed.tau1 but received -1",
    );
    expect(error(() => reversed("x" as never))).toBe(
      'Expected a schedule (a number or a function) for reversed.schedule but received "x"',
    );
  });
  test("values name their index", () => {
    const span = { from: 0, count: 4, total: 4, first: 0 } as const;
    expect(error(() => evaluate("train.objective.tau", (k) => 2 - k, span, "above 0"))).toBe(
      "Expected a finite number above 0 for train.objective.tau at k = 2 but received 0",
    );
    expect(error(() => evaluate("rate", (k) => 2 - k, span, "0 or more"))).toBe(
      "Expected a finite number 0 or more for rate at k = 3 but received -1",
    );
    expect(error(() => evaluate("s", (() => "1") as never, { ...span, from: 1, first: 1 }, "above 0"))).toBe(
      'Expected a finite number above 0 for s at j = 1 but received "1"',
    );
    expect(error(() => evaluate("s", Number.POSITIVE_INFINITY, span, "above 0"))).toBe(
      "Expected a finite number above 0 for s but received Infinity",
    );
  });
});
