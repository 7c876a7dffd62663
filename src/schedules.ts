/**
 * Schedules: numbers that change along a run, as functions (index, total) => number.
 *
 * Inner schedules (step sizes) count j = 1 … J, outer ones (τ, the optimizer's rate) k = 0 … updates − 1. They are
 * evaluated once, above the backends, which know only numbers. Those made here carry a description (name and
 * arguments), so that a run's folder can say what was used.
 */
import { expected, OptionError } from "./errors.ts";

/**
 * A number, or a function of an `index` and the `total` number of indices. The index counts from `first`: 1 for step
 * sizes, 0 for τ and rates. A value that is not finite, below 0 or, for τ and step sizes, 0 is an OptionError.
 */
export type Schedule = number | ((index: number, total: number, first: number) => number);

/** What a schedule was made from: `{ name: "power", arguments: [0.1, 0.7] }`. */
export interface ScheduleDescription {
  /** The function's name: "power", or "function" where it has none. */
  readonly name: string;
  /** Its arguments in order; a schedule among them by its own description. */
  readonly arguments: readonly (number | ScheduleDescription)[];
  /** The text of a function that was not made here. */
  readonly source?: string;
}

/** A schedule that knows what it was made from. */
export interface DescribedSchedule {
  /** The value at `index` of `total`, counted from `first` (default 1). */
  (index: number, total: number, first?: number): number;
  /** Name and arguments, for `run.json`. */
  readonly description: ScheduleDescription;
}

/** Always `value`. @throws OptionError where it is not finite */
export function constant(value: number): DescribedSchedule {
  return described("constant", { value }, () => value);
}

/**
 * c/(s + j), j = 1, 2, …: the paper's Langevin steps are inverseShift(1, 1000). As τ or a rate, j is k + 1.
 *
 * @throws OptionError where c or s is not finite, or s is below 0
 */
export function inverseShift(c: number, s: number): DescribedSchedule {
  if (!(s >= 0)) throw new OptionError(expected("a finite number, 0 or more,", "inverseShift.s", s));
  return described("inverseShift", { c, s }, (index, _total, first) => c / (s + place(index, first)));
}

/**
 * c·j^−`alpha`, j = 1, 2, …: the paper's Robbins–Monro steps are power(0.1, 0.7). As τ or a rate, j is k + 1.
 *
 * @throws OptionError where c or `alpha` is not finite
 */
export function power(c: number, alpha: number): DescribedSchedule {
  return described("power", { c, alpha }, (index, _total, first) => c * place(index, first) ** -alpha);
}

/**
 * tau0/(1 + tau1)^k, the scoping of García Trillos, Kaplan, Sanz-Alonso, Entropy 2019, eq. 18.
 *
 * @throws OptionError where an argument is not finite, or tau1 is not above −1
 */
export function annealed(tau0: number, tau1: number): DescribedSchedule {
  if (!(tau1 > -1)) throw new OptionError(expected("a finite number above -1", "annealed.tau1", tau1));
  return described("annealed", { tau0, tau1 }, (index) => tau0 / (1 + tau1) ** index);
}

/**
 * The same values in the opposite order: the last index's first. `first` is 1 unless it is given.
 *
 * @throws OptionError where `schedule` is neither a number nor a function
 */
export function reversed(schedule: Schedule): DescribedSchedule {
  if (typeof schedule !== "number" && typeof schedule !== "function") {
    throw new OptionError(expected("a schedule (a number or a function)", "reversed.schedule", schedule));
  }
  const reverse = (index: number, total: number, first = 1) =>
    valueAt(schedule, 2 * first + total - 1 - index, total, first);
  const description = { name: "reversed", arguments: [describeSchedule(schedule)] };
  return Object.assign(reverse, { description });
}

/**
 * Half a cosine: to + (from − to)·(1 + cos(π·k/total))/2. The first update (k = 0) has `from`; `to` is reached at
 * k = total, when all updates are done, so that a last update at cosine(1e-3, 0) still moves a little.
 *
 * @throws OptionError where an argument is not finite
 */
export function cosine(from: number, to: number): DescribedSchedule {
  return described(
    "cosine",
    { from, to },
    (index, total) => to + ((from - to) * (1 + Math.cos((Math.PI * index) / total))) / 2,
  );
}

/** Which values of a schedule: indices from … from + count − 1 of `total`, counted from `first`. */
export interface Span {
  readonly from: number;
  readonly count: number;
  /** J, or updates. */
  readonly total: number;
  /** 1 for step sizes, 0 for τ and rates. */
  readonly first: 0 | 1;
}

/**
 * A schedule's values.
 *
 * @param path the option's name, for the error
 * @param sign what is allowed of a finite number
 * @returns Float64Array(count)
 * @throws OptionError that names the first index whose value is not a finite number of that sign
 */
export function evaluate(
  path: string,
  schedule: Schedule,
  { from, count, total, first }: Span,
  sign: "above 0" | "0 or more",
): Float64Array {
  const values = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const value: unknown = valueAt(schedule, from + i, total, first);
    if (
      typeof value !== "number" ||
      !Number.isFinite(value) ||
      value < 0 ||
      (value === 0 && sign === "above 0")
    ) {
      const where =
        typeof schedule === "number" ? path : `${path} at ${first === 1 ? "j" : "k"} = ${from + i}`;
      throw new OptionError(expected(`a finite number ${sign}`, where, value));
    }
    values[i] = value;
  }
  return values;
}

function valueAt(schedule: Schedule, index: number, total: number, first: number): number {
  return typeof schedule === "number" ? schedule : schedule(index, total, first);
}

/** 1, 2, …, from wherever the index counts. */
function place(index: number, first: number): number {
  return index - first + 1;
}

/** A schedule for `run.json`: a number, its description, or a function's name and source. */
export function describeSchedule(schedule: Schedule): number | ScheduleDescription {
  if (typeof schedule === "number") return schedule;
  if ("description" in schedule) return schedule.description as ScheduleDescription;
  return { name: schedule.name || "function", arguments: [], source: String(schedule) };
}

function described(
  name: string,
  args: Record<string, number>,
  schedule: (index: number, total: number, first: number) => number,
): DescribedSchedule {
  for (const [key, value] of Object.entries(args)) {
    if (!Number.isFinite(value)) throw new OptionError(expected("a finite number", `${name}.${key}`, value));
  }
  return Object.assign((index: number, total: number, first = 1) => schedule(index, total, first), {
    description: { name, arguments: Object.values(args) },
  });
}
