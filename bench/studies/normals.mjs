/**
 * A bound of a normal's error in ulp, from the roundings of its parts: `node bench/studies/normals.mjs [--quick]`.
 *
 * Every operation of `src/reference/random/gaussian.ts` rounds by at most half an ulp of its own result, 2^(⌊log₂|v|⌋ − 24).
 * These are carried through the polynomials, the logarithm, the root and the product, at each radius r and angle θ of a
 * grid, with the places where a rounding grows, at powers of two, approached from both sides; so the bound holds whatever
 * the roundings' signs. docs/random-numbers.md has it in short, `test/operations/gaussian.test.ts` what is seen.
 */
import { parseArgs } from "node:util";

const { values: flags } = parseArgs({ options: { quick: { type: "boolean" } } });
const POINTS = flags.quick ? 300 : 3000;

const LOG = [
  0.3333331, -0.24999987, 0.20002227, -0.1666925, 0.14218655, -0.1238437, 0.118730165, -0.11789696,
  0.06915147,
];
const SIN = [-0.64596367, 0.079681575, -0.0046053096];
const COS = [-1.2337005, 0.25366923, -0.020860165, 0.00090376654];
/** Errors of the polynomials themselves, relative: `gaussian.ts` has them. */
const MINIMAX = { log: 7e-10, sin: 4e-9, cos: 7e-11 };
const [LN2_HIGH, LN2_LOW] = [0.693359375, -2.1219444e-4];

/** All errors in units of 2⁻²⁴. */
const UNIT = 2 ** 24;
/** Of rounding to a result v. */
const rounding = (v) => (v === 0 ? 0 : 2 ** Math.floor(Math.log2(Math.abs(v))));

/** A polynomial by Horner at t, known to within `error`: its value and error. */
function horner(coefficients, t, error) {
  let [value, of] = [coefficients.at(-1), 0];
  for (const coefficient of coefficients.slice(0, -1).reverse()) {
    const product = value * t;
    of = of * Math.abs(t) + Math.abs(value) * error + rounding(product);
    value = product + coefficient;
    of += rounding(value);
  }
  return [value, of];
}

/** Relative error of −2 ln u, which the root halves. */
function logarithmError(minusLog) {
  const u = Math.exp(-minusLog);
  const e = Math.floor(Math.log2(u / Math.SQRT1_2));
  const t = u / 2 ** e - 1; // exact
  const t2 = t * t;
  const [p, ofP] = horner(LOG, t, 0);
  const cube = p * t2 * t;
  const ofCube = (ofP * t2 + p * rounding(t2) + rounding(p * t2)) * Math.abs(t) + rounding(cube);
  const low = e * LN2_LOW;
  const y = cube + low;
  const rest = y - t2 / 2;
  const ofRest = ofCube + rounding(low) + (e === 0 ? 0 : rounding(y)) + rounding(t2) / 2 + rounding(rest);
  const sum = t + rest;
  const ln = sum + e * LN2_HIGH;
  // LN2_HIGH has 9 bits: where the result is no larger than the sum it lies on the sum's grid, and is exact.
  const last = e !== 0 && rounding(ln) > rounding(sum) ? rounding(ln) : 0;
  const constants = UNIT * Math.abs(e) * Math.abs(Math.LN2 - LN2_HIGH - LN2_LOW);
  return (ofRest + rounding(sum) + last + MINIMAX.log * t2 * Math.abs(t) * UNIT + constants) / minusLog;
}

/** Relative error of the sine of θ ≤ π/4. */
function sineError(angle) {
  const t = angle / (Math.PI / 2);
  const t2 = t * t;
  const [p, ofP] = horner(SIN, t2, rounding(t2));
  const q = p * t2; // to which the rest of π/2, below its grain, is added
  const ofQ = ofP * t2 + Math.abs(p) * rounding(t2) + 2 * rounding(q);
  const ofSum = rounding(angle) + ofQ * t + rounding(t * q) + rounding(Math.sin(angle));
  return ofSum / Math.sin(angle) + MINIMAX.sin * UNIT;
}

/** Relative error of the cosine of θ ≤ π/4. */
function cosineError(angle) {
  const t2 = (angle / (Math.PI / 2)) ** 2;
  const [p, ofP] = horner(COS, t2, rounding(t2));
  const value = Math.cos(angle);
  const ofSum = ofP * t2 + Math.abs(p) * rounding(t2) + rounding(p * t2) + rounding(value);
  return ofSum / value + MINIMAX.cos * UNIT;
}

/** Powers of two from both sides. */
const edges = Array.from({ length: 40 }, (_, k) => 2 ** (k - 30)).flatMap((v) => [
  v * (1 - 1e-7),
  v * (1 + 1e-7),
]);
const grid = Array.from({ length: POINTS }, (_, i) => (i + 1) / POINTS);
/** −2 ln u is at most 66 ln 2; r = 0, where u is 1, is exact. */
const squares = [...grid.map((v) => 46 * v * v), ...edges, ...edges.map((v) => v * v)].filter(
  (v) => v > 1e-7 && v <= 66 * Math.LN2,
);
const angles = [
  ...grid.map((v) => (v * Math.PI) / 4),
  ...edges,
  ...edges.filter((v) => v < 1).map(Math.asin),
].filter((v) => v <= Math.PI / 4);
const radii = squares.map((square) => {
  const r = Math.sqrt(square);
  return { r, error: logarithmError(square / 2) / 2 + rounding(r) / r };
});

/** Largest error of r times each factor, in ulp of the product. */
function worst(name, value, error) {
  let most = { ulp: 0 };
  for (const angle of angles) {
    const [v, own] = [value(angle), error(angle)];
    for (const { r, error: ofRadius } of radii) {
      const product = r * v;
      const ulp = ((ofRadius + own) * product) / rounding(product) / 2 + 0.5;
      if (ulp > most.ulp) most = { ulp, r, angle };
    }
  }
  const { ulp, r, angle } = most;
  console.log(`r ${name} θ: at most ${ulp.toFixed(3)} ulp, at r = ${r.toFixed(6)}, θ = ${angle.toFixed(6)}`);
  return ulp;
}

const bound = Math.max(worst("sin", Math.sin, sineError), worst("cos", Math.cos, cosineError));
process.exitCode = bound <= 4 ? 0 : 1;
