/**
 * The values of flags: numbers, and schedules written as `name:number,…`.
 */
import type { Schedule } from "../schedules.ts";
import { annealed, constant, cosine, describeSchedule, inverseShift, power, reversed } from "../schedules.ts";

/** A command line that makes no sense: exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** How a schedule is written; for --help. */
export const SCHEDULE_HELP = `
Schedules: a number, or one of these, where k = 0, 1, … counts updates and j = 1, 2, … a chain's steps
  constant:V          V
  inverse-shift:C,S   C/(S + j)
  power:C,A           C·j^-A
  annealed:T0,T1      T0/(1 + T1)^k
  cosine:FROM,TO      half a cosine from FROM to TO over the run
  reversed:SCHEDULE   the same values, last one first`;

/** Each takes as many numbers as it has parameters. */
const SCHEDULES = { constant, inverseShift, power, annealed, cosine };

/** Reads a schedule: a number, `name:number,…` or `reversed:schedule`. */
export function parseSchedule(text: string, flag: string): Schedule {
  const [, name, rest] = /^([a-z-]+):(.*)$/.exec(text) ?? [];
  if (name === undefined) return parseNumber(text, flag, "a number, or a schedule such as cosine:1e-3,0");
  if (name === "reversed") return reversed(parseSchedule(rest, flag));
  const [, make] = Object.entries(SCHEDULES).find(([key]) => kebab(key) === name) ?? [];
  if (make === undefined) {
    const names = [...Object.keys(SCHEDULES).map(kebab), "reversed"].join(", ");
    throw new UsageError(`Expected one of the schedules ${names} for ${flag} but received "${text}"`);
  }
  const numbers = rest.split(",").map((part) => parseNumber(part, flag, "numbers"));
  if (numbers.length !== make.length) {
    throw new UsageError(`Expected ${make.length} numbers after ${name}: for ${flag} but received "${text}"`);
  }
  return (make as (...numbers: number[]) => Schedule)(...numbers);
}

/** A schedule of numbers as it is written: what `parseSchedule` reads. */
export function scheduleText(schedule: Schedule): string {
  const described = describeSchedule(schedule);
  return typeof described === "number"
    ? String(described)
    : `${kebab(described.name)}:${described.arguments.join(",")}`;
}

/** inverseShift as inverse-shift. */
export function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** Reads a number; `range` says what else was allowed. */
export function parseNumber(text: string, flag: string, range = "a number"): number {
  const value = Number(text);
  if (text.trim() === "" || Number.isNaN(value)) {
    throw new UsageError(`Expected ${range} for ${flag} but received "${text}"`);
  }
  return value;
}

/** Of all random numbers. */
export function seedOf(text: string): number | bigint {
  if (!/^\d+$/.test(text))
    throw new UsageError(`Expected an integer from 0 for --seed but received "${text}"`);
  const seed = BigInt(text);
  return seed <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(seed) : seed;
}

/** The flag of an option's camel-cased name. */
export function flagOf(name: string): string {
  return `--${kebab(name)}`;
}
