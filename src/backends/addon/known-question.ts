/**
 * A question whose answer is known, asked of a binary before it is used: normals, a gradient, an estimate by Walsh blocks.
 *
 * A binary can load and compute something else: compiled with flags that change arithmetic, made from other sources, or
 * run by an emulator or a virtual machine that gets an instruction wrong. The answers are the reference's (a test holds
 * them against it), the normals to the bit, the others as far as float32 goes.
 */
import { parameterCount } from "../../network.ts";
import { estimatorPart, type Job, type JobArrays, jobOf, pointPart, seedPart, updatePart } from "../job.ts";
import type { Addon } from "./addon.ts";
import { newArrays } from "./calls.ts";

/** Widths beyond a vector of sixteen lanes, and no multiple of it. */
export const NETWORK = { layers: [20, 18, 3], activation: "relu" } as const;
const ROWS = 5;
export const KEY = [0x89abcdef, 0x01234567] as const;
export const NORMALS = { stream: 16, update: 3, sample: 5, count: 100 };
export const SAMPLER = {
  kind: "importance-sampling",
  coupling: { kind: "walsh", blocks: 2 },
  temperature: 0.25,
  rowwise: true,
  projected: true,
} as const;
export const UPDATE = { update: 3, tau: 0.01, noiseScale: 0.1 };

/** The network's parameters and the minibatch of the question. */
export function point() {
  const parameters = Float32Array.from(
    { length: parameterCount(NETWORK) },
    (_, i) => (((37 * i) % 101) - 50) / 128,
  );
  const inputs = Uint8Array.from({ length: ROWS * NETWORK.layers[0] }, (_, i) => (89 * i + i * i) % 256);
  const labels = Uint16Array.from({ length: ROWS }, (_, row) => row % 3);
  return {
    network: NETWORK,
    parameters,
    loss: { kind: "cross-entropy" },
    batch: { inputs, labels },
  } as const;
}

/** FNV-1a of the floats' bits, a number below 2³². */
export function hashOfBits(values: Float32Array): number {
  let hash = 0x811c9dc5;
  for (const word of new Uint32Array(values.buffer, values.byteOffset, values.length)) {
    hash = Math.imul(hash ^ word, 0x01000193);
  }
  return hash >>> 0;
}

/** A sum that no entry can leave unchanged, and the sum of its terms' sizes. */
export function weighedSum(values: ArrayLike<number>): { sum: number; size: number } {
  let [sum, size] = [0, 0];
  for (let i = 0; i < values.length; i++) {
    const term = values[i] * (1 + ((29 * i) % 17));
    sum += term;
    size += Math.abs(term);
  }
  return { sum, size };
}

/** What the reference answers. */
export const ANSWERS = {
  /** `hashOfBits` */
  normals: 2339318944,
  /** `weighedSum` of the gradient, and the loss. */
  gradient: { sum: -17.935907015379733, loss: 1.0322801966006918 },
  estimate: { sum: -13.728082937270566, loss: 1.070613794502729 },
};

/** Of a loss, and of a sum in relation to its terms' sizes: more than any backend's float32 is off (2.4e-6 was seen). */
const BOUND = 1e-4;

const asked = new WeakMap<Addon, Map<string, string>>();

/**
 * What is wrong with a binary's answers, or "" if they are right; worked out once for each instruction set.
 *
 * @param instructionSet one that the addon has
 */
export function wrongAnswer(addon: Addon, instructionSet: string): string {
  const known = asked.get(addon) ?? new Map<string, string>();
  asked.set(addon, known);
  let wrong = known.get(instructionSet);
  if (wrong === undefined) {
    try {
      wrong = ask(addon, instructionSet);
    } catch (error) {
      wrong = `no answer but: ${(error as Error).message}`;
    }
    known.set(instructionSet, wrong);
  }
  return wrong;
}

function ask(addon: Addon, instructionSet: string): string {
  const answer = ({ scalars, arrays, outputs }: Job) => {
    const results = newArrays(outputs);
    return { numbers: addon.answer(instructionSet, scalars, arrays, results), arrays: results };
  };
  const { stream, update, sample, count } = NORMALS;
  const written: JobArrays = newArrays({ output: count });
  const scalars = { stream, first: update, sample, entries: count };
  answer(jobOf("gaussian", [seedPart(KEY), { scalars, arrays: written }]));
  if (hashOfBits(written.output as Float32Array) !== ANSWERS.normals) return "its normals have other bits";

  const { batch, ...where } = point();
  const n = where.parameters.length;
  for (const [name, estimator] of [
    ["gradient", { kind: "sgd" }],
    ["estimate", SAMPLER],
  ] as const) {
    const parts = [...pointPart(where, [batch]), estimatorPart(estimator), seedPart(KEY), updatePart(UPDATE)];
    const { numbers, arrays } = answer(jobOf("estimate", parts, { gradient: n }));
    const { sum, size } = weighedSum(arrays.gradient as Float32Array);
    const known = ANSWERS[name];
    const near = (value: number, right: number, scale: number) => Math.abs(value - right) <= BOUND * scale;
    if (!near(numbers.loss!, known.loss, known.loss)) {
      return `the ${name}'s loss is ${numbers.loss}, and ${known.loss} is right`;
    }
    if (!near(sum, known.sum, size)) return `the ${name} sums up to ${sum}, and ${known.sum} is right`;
  }
  return "";
}
