/**
 * The outer schedules of a run, τ and the rate: looked at before it begins, and a user's own functions asked once for
 * each update, in order, however often their values are needed.
 *
 * A number and a schedule by name and arguments have the same value whenever they are asked. A user's function may
 * keep count, so the values that were checked and went into the fingerprint must be the ones that the run takes.
 */
import { nextTurn } from "../host.ts";
import { describeSchedule, type Schedule, type ScheduleDescription } from "../schedules.ts";
import type { OuterValues, PlanValues } from "./objective.ts";

export interface OuterSchedules {
  /** Values of updates first … first + count − 1, asked for in order. */
  readonly planValues: PlanValues;
  /** What was looked at, as a fingerprint takes it in. */
  readonly lookedAt: OuterValues;
  /** What a fingerprint has of values that were not looked at: the functions' text. Undefined where it needs none. */
  readonly unseen?: readonly (number | ScheduleDescription | null)[];
  /** Asks for the values before update `first`, in turns of the event loop: a resumed run's functions have been there. */
  forward(first: number): Promise<void>;
}

/** Most updates of schedules that know themselves, of which all are looked at; of more, as many evenly spaced. */
const LOOKED_AT = 2 ** 16;
/** Most updates of a user's function that are asked for before a run; the others when their turn comes. */
const ASKED_AHEAD = 2 ** 20;
/** Updates of a user's function that are asked for at a time: a few milliseconds at most. */
const BLOCK = 2 ** 12;

/**
 * @param schedules what the values are made from; null where there is none
 * @throws OptionError at a wrong value among those that are looked at
 */
export function outerSchedules(
  planValues: PlanValues,
  schedules: readonly (Schedule | null)[],
  updates: number,
): OuterSchedules {
  const asked = schedules.every(isDetermined) ? planValues : askedOnce(planValues, updates);
  if (asked !== planValues || updates <= LOOKED_AT) {
    return {
      planValues: asked,
      lookedAt: asked(0, Math.min(updates, ASKED_AHEAD)),
      ...(updates > LOOKED_AT && { unseen: schedules.map((one) => one && describeSchedule(one)) }),
      async forward(first) {
        for (let k = BLOCK; k < first && asked !== planValues; k += BLOCK) {
          asked(k, 1);
          await nextTurn();
        }
      },
    };
  }
  const lookedAt = valuesOf(LOOKED_AT);
  for (let i = 0; i < LOOKED_AT; i++) {
    const one = planValues(Math.floor((i * (updates - 1)) / (LOOKED_AT - 1)), 1);
    for (const name of NAMES) lookedAt[name][i] = one[name][0];
  }
  return { planValues, lookedAt, async forward() {} };
}

const NAMES = ["tau", "noiseScale", "rate"] as const;

/** Room for the values of so many updates. */
function valuesOf(count: number) {
  return { tau: new Float64Array(count), noiseScale: new Float64Array(count), rate: new Float64Array(count) };
}

/** Whether name and arguments say all of a schedule: no part of it is a function that was not made here. */
function isDetermined(schedule: Schedule | null): boolean {
  const known = (part: number | ScheduleDescription): boolean =>
    typeof part === "number" || (part.source === undefined && part.arguments.every(known));
  return schedule === null || known(describeSchedule(schedule));
}

/** Values that are asked for in blocks, in order; those of blocks before `first` are forgotten. */
function askedOnce(planValues: PlanValues, updates: number): PlanValues {
  const blocks = new Map<number, OuterValues>();
  let oldest = 0;
  let next = 0;
  return (first, count) => {
    for (; next * BLOCK < first + count; next++) {
      blocks.set(next, planValues(next * BLOCK, Math.min(BLOCK, updates - next * BLOCK)));
    }
    for (; (oldest + 1) * BLOCK <= first; oldest++) blocks.delete(oldest);
    const values = valuesOf(count);
    for (let start = oldest * BLOCK; start < first + count; start += BLOCK) {
      const block = blocks.get(start / BLOCK)!;
      const [from, to] = [Math.max(first, start), Math.min(first + count, start + BLOCK)];
      for (const name of NAMES) {
        values[name].set(block[name].subarray(from - start, to - start), from - first);
      }
    }
    return values;
  };
}
