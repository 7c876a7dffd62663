/**
 * Box–Muller normals: identical to the bit everywhere, within their stated error of double precision, and normal.
 *
 * Statistical tests are seeded; each states the chance that a perfect generator would fail it.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "@jest/globals";
import { gaussian, radius, sineCosine } from "../../src/reference/random/gaussian.ts";
import { philoxBlock } from "../../src/reference/random/philox.ts";
import { keyOf } from "../../src/reference/random/streams.ts";
import { FAST_PLACES } from "../support/backends.ts";
import { testAll } from "../support/everything.ts";
import { openKernels } from "../support/wasm.ts";

/** Where a run of normals stands in the random numbers. */
interface Place {
  seed: number | bigint;
  stream: number;
  update: number;
  index: number;
}

const bitsOf = (values: ArrayLike<number>) => new Uint32Array(Float32Array.from(values).buffer);
const reference = ({ seed, stream, update, index }: Place, count: number) =>
  gaussian(keyOf(seed), stream, update, index, count);

/** Rows of the vector file: where a normal stands, and its bits. */
const vectors = readFileSync(new URL("../vectors/normals.txt", import.meta.url), "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"))
  .map((line) => {
    const [seed, stream, update, index, position, bits] = line.split(" ");
    const place = { seed: BigInt(`0x${seed}`), stream: +stream, update: +update, index: +index };
    return { place, position: +position, bits: Number.parseInt(bits, 16) };
  });

/** One place for each word of the counter and of the key, at its ends and within. */
const PLACES: Place[] = [
  { seed: 1, stream: 16, update: 0, index: 0 },
  { seed: 2 ** 32 + 5, stream: 17, update: 3, index: 7 },
  { seed: Number.MAX_SAFE_INTEGER, stream: 2, update: 0xffffffff, index: 1 },
  { seed: 2n ** 64n - 1n, stream: 0xffffffff, update: 1, index: 0xffffffff },
  { seed: 0x0123456789abcdefn, stream: 1, update: 500, index: 999 },
];
/** Every remainder of lanes, pairs and groups, twice over; then the sizes of a projected sample and of a layer. */
const COUNTS = [...Array.from({ length: 201 }, (_, count) => count), 6010, 100_003];

/** What makes normals on some backend: their bits. */
type Maker = (place: Place, count: number) => Promise<Uint32Array>;

async function expectSameBits(make: Maker): Promise<void> {
  for (const place of PLACES) {
    const whole = bitsOf(reference(place, Math.max(...COUNTS)));
    for (const count of COUNTS) {
      const bits = await make(place, count);
      const at = bits.findIndex((word, i) => word !== whole[i]);
      expect({ place, count: bits.length, firstDifference: at }).toEqual({
        place,
        count,
        firstDifference: -1,
      });
    }
  }
}

/** Each vector's place asked for as far as the furthest position at that place. */
async function expectVectors(make: Maker): Promise<void> {
  const places = new Map(
    vectors.map(({ place }) => [JSON.stringify({ ...place, seed: `${place.seed}` }), place]),
  );
  expect(places.size).toBeGreaterThan(8);
  for (const place of places.values()) {
    const here = vectors.filter((row) =>
      Object.entries(place).every(([key, value]) => row.place[key as keyof Place] === value),
    );
    const got = await make(place, Math.max(...here.map((row) => row.position)) + 1);
    for (const { position, bits } of here)
      expect({ place, position, bits: got[position] }).toEqual({ place, position, bits });
  }
}

describe("the same bits", () => {
  test("reference: the vector file", () =>
    expectVectors(async (place, count) => bitsOf(reference(place, count))));

  test("reference: fewer are a prefix of more, and values are float32", () => {
    const whole = reference(PLACES[1], Math.max(...COUNTS));
    for (const count of COUNTS) {
      const values = reference(PLACES[1], count);
      const at = values.findIndex((z, i) => !Object.is(z, whole[i]) || z !== Math.fround(z));
      expect({ count: values.length, firstDifference: at }).toEqual({ count, firstDifference: -1 });
    }
  });

  describe("wasm", () => {
    const maker = async (): Promise<Maker> => {
      const { kernels, run } = await openKernels();
      return async ({ seed, stream, update, index }, count) => {
        const [low, high] = keyOf(seed);
        const room = 64 * Math.ceil(count / 64);
        return run(room, (pointer) =>
          kernels.gaussian(low, high, stream, update, index, count, pointer),
        ).subarray(0, count);
      };
    };
    test("the vector file", async () => expectVectors(await maker()));
    test("the reference, at every remainder", async () => expectSameBits(await maker()));
  });

  for (const { name, open } of FAST_PLACES) {
    describe(name, () => {
      const withMaker = async (body: (make: Maker) => Promise<void>) => {
        const backend = open(2);
        try {
          await body(async ({ seed, stream, update, index }, count) =>
            bitsOf(
              await backend.operations.gaussian({ key: keyOf(seed), stream, update, sample: index, count }),
            ),
          );
        } finally {
          backend.close();
        }
      };
      test("the vector file", () => withMaker(expectVectors));
      test("the reference, at every remainder", () => withMaker(expectSameBits));
    });
  }
});

/** Taken out once: looking up a global for each call is slow under jest. */
const { PI, abs, cos, exp, floor, fround, imul, log, max, min, round, sin, sqrt } = Math;

const double = new Float64Array(1);
const doubleWords = new Uint32Array(double.buffer);

/** Distance from a float32 `value` to the `exact` one, in units of the last place of a float32 of that size. */
function ulps(value: number, exact: number): number {
  double[0] = exact;
  const exponent = ((doubleWords[1] >>> 20) & 0x7ff) - 1023;
  return abs(value - exact) * 2 ** (23 - max(exponent, -126));
}

/** Words at both ends, around every power of two and every eighth of a turn, and a million spread evenly. */
function* words(): Generator<number> {
  for (let i = 0; i < 4096; i++) yield* [i, 0xffffffff - i];
  for (let bit = 0; bit < 32; bit++) {
    for (let i = -64; i <= 64; i++) yield (2 ** bit + i) >>> 0;
  }
  for (let eighth = 0; eighth < 8; eighth++) {
    for (let i = -4096; i <= 4096; i++) yield (eighth * 2 ** 29 + i) >>> 0;
  }
  for (let i = 0; i < 1_000_000; i++) yield imul(i, 0x9e3779b1) >>> 0;
}

/** √(−2 ln u) in double precision; u is the float32 that the contract fixes. */
function exactRadius(word: number): number {
  return sqrt(-2 * log(fround(fround(word) * 2 ** -32 + 2 ** -33)));
}

/** sin 2πv, cos 2πv in double precision, the quarter turn taken off in integers so that no digit is lost near zeros. */
function exactSineCosine(word: number): [number, number] {
  const quarter = round(word / 2 ** 30);
  const rest = (word - quarter * 2 ** 30) * 2 ** -30 * (PI / 2);
  const [s, c] = [sin(rest), cos(rest)];
  return [
    [s, c],
    [c, -s],
    [-s, -c],
    [-c, s],
  ][quarter % 4] as [number, number];
}

describe("error against double precision", () => {
  /**
   * Bounds, in ulp of the exact value. Radius: one rounding of the root and half the logarithm's; sine and cosine: a
   * two-term multiple of t plus a polynomial; a normal: both factors' and the product's rounding, derived from the parts
   * in docs/random-numbers.md, by bench/studies/normals.mjs.
   */
  const BOUND = { radius: 1, sineCosine: 2.4, normal: 4.52 };

  test(`radius ${BOUND.radius}, sine and cosine ${BOUND.sineCosine}, normal ${BOUND.normal} ulp`, () => {
    const worst = { radius: 0, sineCosine: 0, normal: 0 };
    for (const word of words()) {
      const exact = exactRadius(word);
      // A word that rounds to u = 1 has radius zero, exactly.
      if (exact === 0) expect(abs(radius(word))).toBe(0);
      else worst.radius = max(worst.radius, ulps(radius(word), exact));
      const wanted = exactSineCosine(word);
      const other = imul(word, 0x85ebca6b) >>> 0;
      const [r, exactR] = [radius(other), exactRadius(other)];
      sineCosine(word).forEach((value, i) => {
        if (wanted[i] === 0) expect(abs(value)).toBe(0);
        else worst.sineCosine = max(worst.sineCosine, ulps(value, wanted[i]));
        if (exactR > 0) worst.normal = max(worst.normal, ulps(fround(r * value), exactR * wanted[i]));
      });
    }
    console.log(
      `largest error: ${Object.entries(worst)
        .map(([name, ulp]) => `${name} ${ulp.toFixed(2)} ulp`)
        .join(", ")}`,
    );
    expect(worst.radius).toBeLessThanOrEqual(BOUND.radius);
    expect(worst.sineCosine).toBeLessThanOrEqual(BOUND.sineCosine);
    expect(worst.normal).toBeLessThanOrEqual(BOUND.normal);
  });

  // Near the bound: the documentation names these words.
  test("a pair of words whose normal is 4.46 ulp wrong", () => {
    const [first, second] = [2603503872, 172620152];
    const error = ulps(
      fround(radius(first) * sineCosine(second)[0]),
      exactRadius(first) * exactSineCosine(second)[0],
    );
    expect(error).toBeCloseTo(4.457, 3);
  });

  // The documentation names the worst of them.
  testAll("2^26 normals of one stream stay within their bound", () => {
    const text = readFileSync(new URL("../../docs/random-numbers.md", import.meta.url), "utf8");
    const documented = Number(/the worst of 2²⁶ is (\d+\.\d+)/.exec(text)?.[1]);
    const key = keyOf(11);
    const block = new Uint32Array(4);
    let worst = 0;
    for (let number = 0; number < 2 ** 24; number++) {
      philoxBlock(number, 0, 0, 16, key[0], key[1], block);
      for (const pair of [0, 2]) {
        const [r, exactR] = [radius(block[pair]), exactRadius(block[pair])];
        const [sine, cosine] = sineCosine(block[pair + 1]);
        const [exactSine, exactCosine] = exactSineCosine(block[pair + 1]);
        if (exactR === 0) continue;
        if (exactSine !== 0) worst = max(worst, ulps(fround(r * sine), exactR * exactSine));
        if (exactCosine !== 0) worst = max(worst, ulps(fround(r * cosine), exactR * exactCosine));
      }
    }
    console.log(`largest error of 2^26 normals: ${worst.toFixed(3)} ulp`);
    expect(worst).toBeLessThanOrEqual(BOUND.normal);
    expect(worst.toFixed(2)).toBe(documented.toFixed(2));
  });
});

/** Φ(z), by the series of erf near zero and the continued fraction of erfc beyond; relative error below 1e-12. */
function normalCdf(z: number): number {
  const x = abs(z);
  const density = exp((-x * x) / 2) / sqrt(2 * PI);
  if (x < 3) {
    let term = x;
    let sum = x;
    for (let k = 1; k < 80; k++) {
      term *= (x * x) / (2 * k + 1);
      sum += term;
    }
    return 0.5 + Math.sign(z) * density * sum;
  }
  let fraction = x;
  for (let k = 60; k > 0; k--) fraction = x + k / fraction;
  return z < 0 ? density / fraction : 1 - density / fraction;
}

describe("distribution", () => {
  const COUNT = 2 ** 19;
  const values = reference({ seed: 2026, stream: 16, update: 5, index: 3 }, COUNT);

  // False alarm of each: 6e-7 (five standard errors).
  test.each([
    [1, 0, 1],
    [2, 1, 2],
    [3, 0, 15],
    [4, 3, 96],
    [6, 15, 10_170],
  ])("moment %i is %i", (power, expected, variance) => {
    const mean = values.reduce((sum, z) => sum + z ** power, 0) / COUNT;
    expect(abs(mean - expected)).toBeLessThan(5 * sqrt(variance / COUNT));
  });

  // False alarm 2 exp(−2 · 2.9²) = 1e-7.
  test("Kolmogorov–Smirnov distance", () => {
    const sorted = Float64Array.from(values).sort();
    let distance = 0;
    sorted.forEach((z, i) => {
      const p = normalCdf(z);
      distance = max(distance, abs(p - i / COUNT), abs(p - (i + 1) / COUNT));
    });
    expect(distance * sqrt(COUNT)).toBeLessThan(2.9);
  });

  const cells = Uint8Array.from(values, (z) => min(63, floor(64 * normalCdf(z))));

  // 64 × 64 cells of (Φ(z), Φ(z')) for a sine and its cosine, then for each word's normal and the next lane's.
  // Chi-square with 4,095 degrees of freedom, mean 4,095, standard deviation 90.5: beyond 5.3 of them once in 1e7.
  test.each([
    ["sine and cosine of an angle", 16],
    ["the two pairs of a block", 32],
    ["neighbouring blocks", 1],
    ["a block and its like in the next group", 64],
  ])("independence: %s", (_, lag) => {
    const counts = new Float64Array(64 * 64);
    let pairs = 0;
    for (let start = 0; start + 2 * lag <= COUNT; start += 2 * lag) {
      for (let i = start; i < start + lag; i++, pairs++) counts[64 * cells[i] + cells[i + lag]]++;
    }
    const expected = pairs / counts.length;
    const statistic = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    expect(abs(statistic - 4095) / sqrt(2 * 4095)).toBeLessThan(5.3);
  });

  // False alarm 6e-7 each: a correlation beyond five standard errors.
  test.each([
    ["next seed", { seed: 2027 }],
    ["next stream", { stream: 17 }],
    ["next update", { update: 6 }],
    ["next index", { index: 4 }],
    ["seed whose high word differs", { seed: 2026 + 2 ** 32 }],
  ])("no correlation with the %s", (_, change) => {
    const others = reference({ seed: 2026, stream: 16, update: 5, index: 3, ...change }, COUNT);
    const correlation = values.reduce((sum, z, i) => sum + z * others[i], 0) / COUNT;
    expect(abs(correlation) * sqrt(COUNT)).toBeLessThan(5);
  });

  // Sixty-four million normals, by the WASM build (whose bits are the reference's): counts beyond c are Poisson,
  // here within five standard errors, each tail by itself. False alarm of all: 1e-5.
  test("tails: counts beyond 3, 4 and 5 standard deviations on each side", async () => {
    const { kernels, run } = await openKernels();
    const [calls, count] = [32, 2 ** 21];
    const limits = [3, 4, 5];
    const seen = limits.map(() => [0, 0]);
    for (let index = 0; index < calls; index++) {
      const bits = run(count, (pointer) => kernels.gaussian(11, 0, 16, 0, index, count, pointer));
      for (const z of new Float32Array(bits.buffer)) {
        if (z > -3 && z < 3) continue;
        limits.forEach((limit, i) => {
          if (abs(z) > limit) seen[i][z > 0 ? 1 : 0]++;
        });
      }
    }
    limits.forEach((limit, i) => {
      const expected = calls * count * normalCdf(-limit);
      for (const tail of seen[i]) {
        expect(tail).toBeGreaterThan(0);
        expect(abs(tail - expected)).toBeLessThan(5 * sqrt(expected));
      }
    });
  });
});
