/**
 * A bound of a normal's error in ulp, from its parts: `node bench/studies/normals.mjs`, some minutes. Needs `npm run build`.
 *
 * The parts are looked at everywhere: the radius at each u that there is, sine and cosine at each angle of an eighth of a
 * turn, which the others mirror. Of each the largest relative error is kept by the mantissa of its exact value, in
 * `BINS` bins: what a relative error is in ulp of the product depends on these two mantissas alone. A radius and an angle come
 * from different words, so every pair of them can occur, and the bound is nearly attained.
 */
import { radius, sineCosine } from "../../lib/reference/random/gaussian.js";

const { PI, abs, cos, fround, log, log2, max, min, sin, sqrt } = Math;
const BINS = 4096;
/** Relative errors are in units of 2⁻²⁴, half an ulp of 1. */
const UNIT = 2 ** 24;

const double = new Float64Array(1);
const words = new Uint32Array(double.buffer);
/** The mantissa of a positive number, 1 … 2. */
function mantissa(value) {
  double[0] = value;
  words[1] = (words[1] & 0xfffff) | 0x3ff00000;
  return double[0];
}

/** Largest relative error by the mantissa's bin, and largest in ulp. */
class Errors {
  byBin = new Float64Array(BINS);
  ulp = 0;

  add(value, exact) {
    const m = mantissa(exact);
    const error = (abs(value - exact) / exact) * UNIT;
    const bin = Math.floor((m - 1) * BINS);
    if (error > this.byBin[bin]) this.byBin[bin] = error;
    this.ulp = max(this.ulp, (error * m) / 2);
  }
}

const radii = new Errors();
for (let word = 0; word < 2 ** 32; ) {
  const exact = sqrt(-2 * log(fround(fround(word) * 2 ** -32 + 2 ** -33)));
  if (exact > 0) radii.add(radius(word), exact);
  word += word < UNIT ? 1 : 2 ** (Math.floor(log2(word)) - 23); // the next one that is another float32
}
const factors = new Errors();
for (let word = 1; word <= 2 ** 29; word++) {
  const angle = ((word * 2 ** -30) / 2) * PI;
  const [sine, cosine] = sineCosine(word);
  factors.add(sine, sin(angle));
  factors.add(cosine, cos(angle));
}

/** The product's own rounding is the last half. */
let bound = 0;
for (let i = 0; i < BINS; i++) {
  for (let k = 0; k < BINS; k++) {
    const least = (1 + i / BINS) * (1 + k / BINS);
    const most = (1 + (i + 1) / BINS) * (1 + (k + 1) / BINS);
    const largest = least >= 2 ? most / 2 : min(most, 2);
    const both = radii.byBin[i] + factors.byBin[k] + (radii.byBin[i] * factors.byBin[k]) / UNIT;
    bound = max(bound, (largest / 2) * both + 0.5);
  }
}
console.log(`Radius within ${radii.ulp.toFixed(3)} ulp, sine and cosine within ${factors.ulp.toFixed(3)}.`);
console.log(`A normal within ${bound.toFixed(3)} ulp.`);
