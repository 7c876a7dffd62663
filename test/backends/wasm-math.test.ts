/**
 * Elementary functions of the WASM kernels against double precision, in units of the last place (ulp) of a float32.
 */
import { afterAll, describe, expect, test } from "@jest/globals";
import { openArena } from "../support/wasm.ts";
import { BUILDS_HERE } from "../support/wasm-updates.ts";

const { abs, exp, expm1, fround, log1p, max, tanh } = Math;
const worst = new Map<string, number>();
afterAll(() => {
  for (const [name, ulps] of worst) process.stderr.write(`  ${name}: worst ${ulps.toFixed(2)} ulp\n`);
});

/** The number in math.ts, the function, where it is asked, its bound in ulp. */
const FUNCTIONS: [
  name: string,
  number: number,
  f: (x: number) => number,
  from: number,
  to: number,
  bound: number,
][] = [
  ["exp", 0, exp, -87, 87, 2],
  ["2^x", 1, (x) => 2 ** x, -126, 127, 3],
  ["log(1 + x), small", 2, log1p, 0, 1, 2],
  ["log(1 + x)", 2, log1p, 0, 1e9, 2],
  ["tanh", 3, tanh, -10, 10, 3],
  ["tanh, small", 3, tanh, -0.63, 0.63, 3],
  ["e^x − 1 − x", 4, remainder, -0.5, 0.5, 4],
];

/** e^x − 1 − x by its series, since the difference cancels. */
function remainder(x: number): number {
  if (abs(x) > 0.7) return expm1(x) - x;
  let total = 0;
  for (let k = 25; k > 1; k--) total = (total * x) / (k + 1) + 1;
  return (total * x * x) / 2;
}

const double = new Float64Array(1);
const doubleWords = new Uint32Array(double.buffer);
function ulps(value: number, exact: number): number {
  double[0] = exact;
  const exponent = ((doubleWords[1] >>> 20) & 0x7ff) - 1023;
  return abs(value - exact) * 2 ** (23 - max(exponent, -126));
}

describe.each(BUILDS_HERE)("%s", (build) => {
  const apply = async (number: number, xs: Float32Array) => {
    const arena = await openArena(build);
    const at = arena.state(xs);
    arena.kernels.elementary(number, at, xs.length);
    arena.check();
    return arena.floats(at, xs.length);
  };

  test.each(FUNCTIONS)("%s", async (name, number, f, from, to, bound) => {
    const count = 400_000;
    const xs = Float32Array.from({ length: count }, (_, i) => from + ((to - from) * (i + 0.37)) / count);
    const ys = await apply(number, xs);
    let most = 0;
    for (let i = 0; i < count; i++) most = max(most, ulps(ys[i], f(xs[i])));
    worst.set(name, max(worst.get(name) ?? 0, most));
    expect(most).toBeLessThanOrEqual(bound);
  });

  test("ends", async () => {
    const xs = Float32Array.of(-Infinity, -88, 0, 1e9);
    expect([...(await apply(0, xs))].slice(0, 3)).toEqual([0, 0, 1]);
    expect([...(await apply(1, xs))]).toEqual([2 ** -126, fround(2 ** -88), 1, 2 ** 127]);
    expect([...(await apply(3, xs))]).toEqual([-1, -1, 0, 1]);
    const nan = Float32Array.of(NaN, NaN, NaN, NaN);
    for (const number of [0, 2, 3, 4]) expect((await apply(number, nan)).every(Number.isNaN)).toBe(true);
  });
});
