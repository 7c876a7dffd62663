/**
 * What the arithmetic of a backend makes of numbers that were checked as doubles: float32 everywhere but in `minimize`.
 * The reference is asked the same, so that what one backend refuses all do.
 *
 * A number that is too large for it becomes infinite, one that is too small becomes 0 (the kernels flush denormals), and
 * noise that is smaller than the grain of the parameters changes none of them: every gradient is then 0 or NaN.
 */
import type { Estimator, Plan } from "../backends/backend.ts";
import { expected, OptionError } from "../errors.ts";

export interface Precision {
  readonly name: "float32" | "float64";
  /** Smallest and largest normal numbers. */
  readonly smallest: number;
  readonly largest: number;
  /** Where x + s rounds to x: s below this part of x. */
  readonly grain: number;
}

export const FLOAT32: Precision = {
  name: "float32",
  smallest: 2 ** -126,
  largest: (2 - 2 ** -23) * 2 ** 127,
  grain: 2 ** -24,
};
export const FLOAT64: Precision = {
  name: "float64",
  smallest: 2 ** -1022,
  largest: Number.MAX_VALUE,
  grain: 2 ** -53,
};

/** A number that the kernels make of options: its formula, its value, and the options that move it up and down. */
export interface Made {
  readonly formula: string;
  readonly value: number;
  readonly up?: string;
  readonly down?: string;
  /** Whether it may be 0 or vanish. */
  readonly mayVanish?: boolean;
}

/**
 * @param path of the option whose value makes these numbers
 * @throws OptionError that names the first that leaves the range, and which way to go
 */
export function requireHeld(
  path: string,
  value: number,
  made: readonly Made[],
  precision: Precision = FLOAT32,
): void {
  for (const { formula, value: number, up, down, mayVanish } of made) {
    const tooLarge = !(Math.abs(number) <= precision.largest);
    const tooSmall = !mayVanish && Math.abs(number) < precision.smallest;
    if (!tooLarge && !tooSmall) continue;
    const ways = [
      up && `a ${tooLarge ? "smaller" : "larger"} ${up}`,
      down && `a ${tooLarge ? "larger" : "smaller"} ${down}`,
    ];
    throw new OptionError(
      expected(
        `a number for which ${precision.name} can hold ${formula}`,
        path,
        value,
        `${formula} is ${number.toExponential(1)}, outside ${precision.smallest.toExponential(1)} … ${precision.largest.toExponential(1)}: use ${ways.filter(Boolean).join(" or ")}`,
      ),
    );
  }
}

/** What is made of τ, the noise's scale s and, with weights, δ, where samples are drawn. */
export function madeOfSampling(tau: number, s: number, delta: number | null): Made[] {
  const d = delta ?? 1;
  const [over, times] = delta === null ? ["1/τ", "s/τ"] : ["δ/τ", "δ·s/τ"];
  const up = delta === null ? undefined : "temperature";
  return [
    { formula: "s, the noise's scale,", value: s, up: "tau" },
    { formula: "s²", value: s * s, up: "tau" },
    { formula: "1/s²", value: 1 / (s * s), down: "tau" },
    { formula: "1/δ", value: 1 / d, down: "temperature" },
    { formula: over, value: d / tau, up, down: "tau" },
    { formula: times, value: (d * s) / tau, up, down: "tau" },
    { formula: "s²/τ", value: (s * s) / tau, up: "noise scale", down: "tau" },
  ];
}

/** What is made of τ, of the least and the largest inner step size, and of the same of its noise's scales. */
export function madeOfChain(
  tau: number,
  [shortest, longest]: readonly [number, number],
  [quietest, loudest]: readonly [number, number],
): Made[] {
  return [
    { formula: "τ", value: tau, up: "tau" },
    { formula: "1/τ", value: 1 / tau, down: "tau" },
    { formula: "the least step size", value: shortest, up: "stepSize" },
    { formula: "the largest step size", value: longest, up: "stepSize" },
    {
      formula: "the largest step size over τ",
      value: longest / tau,
      up: "stepSize",
      down: "tau",
      mayVanish: true,
    },
    { formula: "the largest step size times τ", value: longest * tau, up: "stepSize or tau" },
    { formula: "the noise's least scale", value: quietest, up: "stepSize", mayVanish: quietest === 0 },
    { formula: "the noise's largest scale", value: loudest, up: "stepSize", mayVanish: loudest === 0 },
  ];
}

/** The least and the largest of some numbers. */
export function extremes(numbers: Float64Array): readonly [number, number] {
  return [
    numbers.reduce((least, number) => Math.min(least, number)),
    numbers.reduce((most, number) => Math.max(most, number)),
  ];
}

/** Whether an estimator's gradient is made of samples x + s Z alone. */
export function drawsSamples({ kind }: Estimator): boolean {
  return kind === "importance-sampling" || kind === "evolution-strategies";
}

/** Entries that are looked at for the parameters' usual size. */
const LOOKED_AT = 1023;

/**
 * The median of |x| over evenly spaced entries: at least half of the parameters lose noise that is smaller than the
 * grain of it.
 */
export function usualSize(x: ArrayLike<number>): number {
  const count = Math.min(LOOKED_AT, x.length);
  const sizes = Float64Array.from({ length: count }, (_, i) =>
    Math.abs(x[Math.floor((i * x.length) / count)]),
  );
  return sizes.sort()[Math.floor(count / 2)];
}

/** Smallest scale of noise that half of the parameters keep. */
export function leastNoise(x: ArrayLike<number>, { grain }: Precision = FLOAT32): number {
  return usualSize(x) * grain;
}

/**
 * @param path of the option that the noise's scale s comes from, and its value
 * @throws OptionError where most parameters are the same with noise as without
 */
export function requireNoise(
  path: string,
  value: number,
  s: number,
  least: number,
  { name, grain }: Precision = FLOAT32,
): void {
  if (s >= least) return;
  throw new OptionError(
    expected(
      `a number whose noise ${name} keeps`,
      path,
      value,
      `beside parameters of about ${(least / grain).toPrecision(2)} noise of scale ${s.toExponential(1)} is lost, and all samples are the same: use a larger one, whose noise has a scale of at least ${least.toExponential(1)}`,
    ),
  );
}

/** Noise of this scale or more is above the grain of any parameters that training leads to. */
const LOUD = 2 ** -12;

/**
 * Whether a plan's last noise is lost beside the parameters that it led to.
 *
 * @param read gives the parameters, where it is worth a look
 * @returns a sentence without its full stop, or null
 */
export async function lostNoise(
  { first, count, noiseScale }: Plan,
  read: () => Promise<ArrayLike<number>>,
  precision: Precision,
): Promise<string | null> {
  const s = noiseScale[count - 1];
  if (s >= LOUD) return null;
  const least = leastNoise(await read(), precision);
  if (s >= least) return null;
  return (
    `At update ${first + count} noise of scale ${s.toExponential(1)} (variance ${(s * s).toExponential(1)}) is lost in ${precision.name} beside ` +
    `parameters of about ${(least / precision.grain).toPrecision(2)}, so all samples are the same. ` +
    `Try a tau that stays larger: a scale above ${least.toExponential(1)}`
  );
}

/** What of an optimizer's constants does not hang on the rate. */
export function requireConstants(path: string, optimizer: object, precision: Precision): void {
  const { momentum, beta1, beta2, epsilon } = optimizer as Partial<
    Record<"momentum" | "beta1" | "beta2" | "epsilon", number>
  >;
  for (const [key, value] of Object.entries({ momentum, beta1, beta2 })) {
    if (value === undefined || 1 - value > precision.grain) continue;
    const range = `a number from 0 to below 1, and not 1 in ${precision.name},`;
    throw new OptionError(expected(range, `${path}.${key}`, value, `use at most ${1 - 2 * precision.grain}`));
  }
  if (epsilon === undefined) return;
  const least = Math.sqrt(precision.smallest / (1 - beta2!));
  if (epsilon >= least) return;
  const why = `the square of a smaller gradient is 0 in ${precision.name}, and a step along it would be divided by epsilon alone`;
  throw new OptionError(expected(`at least ${least.toExponential(1)}`, `${path}.epsilon`, epsilon, why));
}

/** What is made of a rate and an optimizer's constants. */
export function madeOfRate(optimizer: object, rate: number): Made[] {
  const { beta1 = 0, weightDecay = 0 } = optimizer as { beta1?: number; weightDecay?: number };
  return [
    { formula: "the rate", value: rate, up: "rate", mayVanish: true },
    { formula: "rate/(1 − beta1)", value: rate / (1 - beta1), up: "rate", mayVanish: true },
    { formula: "rate·weightDecay", value: rate * weightDecay, up: "rate or weightDecay", mayVanish: true },
  ];
}
