/**
 * What schemas are made of, and a schema's faults as one sentence.
 *
 * A leaf carries its range in words; `parse` puts range, path and value together.
 */

import * as z from "zod/mini";
import type { AbortSignalLike } from "../backends/backend.ts";
import { expected, OptionError } from "../errors.ts";
import type { Schedule } from "../schedules.ts";

// Leaves. `range` completes "Expected <range> for …".

export function leaf<Type>(range: string, allows: (value: unknown) => boolean) {
  return z.custom<Type>(allows, range);
}

/** The same, or undefined. */
export const optional = z.optional;

/** What stands for undefined: a value, or a function that is asked for one each time. */
export const withDefault = z._default;

export function integer(low: number, high: number) {
  const allows = (v: unknown) => Number.isSafeInteger(v) && (v as number) >= low && (v as number) <= high;
  return leaf<number>(`an integer ${low} … ${high}`, allows);
}

export function number(range: string, allows: (value: number) => boolean) {
  return leaf<number>(range, (v) => typeof v === "number" && Number.isFinite(v) && allows(v));
}

export const positive = () => number("a finite number above 0", (v) => v > 0);
export const notNegative = () => number("a finite number, 0 or more,", (v) => v >= 0);

/** One of these names, by default the first. */
export function choice<const Name extends string>(names: readonly Name[]) {
  return withDefault(
    leaf<Name>(quoted(names), (v) => names.includes(v as Name)),
    () => names[0],
  );
}

type Kind = z.ZodMiniObject<{ kind: z.ZodMiniLiteral<string> }>;

/** One of several objects, told apart by their `kind`; unknown kinds are refused here and nowhere below. */
export function oneOf<const Members extends readonly [Kind, ...Kind[]]>(members: Members, more = "") {
  return z.discriminatedUnion("kind", members, { error: quoted(members.map(kindOf)) + more });
}

const kindOf = ({ shape }: Kind) => shape.kind.def.values[0];

/** The kinds that `oneOf` allows. */
export function kindsOf<Union extends z.ZodMiniDiscriminatedUnion<readonly Kind[]>>(union: Union) {
  return union.def.options.map(kindOf) as z.output<Union>["kind"][];
}

/**
 * A key whose value another function checks, under the same path, its absence too. Absent values pass here, though
 * the type says otherwise: what checks them takes anything.
 */
export function checkedElsewhere<Type>() {
  return optional(z.custom<Type>(() => true)) as unknown as z.ZodMiniCustom<Type, Type>;
}

export const flag = () => leaf<boolean>("true or false", (v) => typeof v === "boolean");

export const schedule = () =>
  leaf<Schedule>("a number or a schedule", (v) => typeof v === "number" || typeof v === "function");

export const seed = () =>
  leaf<number | bigint>("an integer 0 … 2^53 - 1, or a bigint 0n … 2n ** 64n - 1n,", (v) =>
    typeof v === "bigint" ? v >= 0n && v < 2n ** 64n : Number.isSafeInteger(v) && (v as number) >= 0,
  );

/** A word of Philox's counter. */
export const word = () => integer(0, 2 ** 32 - 1);

export const signal = () =>
  optional(
    leaf<AbortSignalLike>("an AbortSignal", (v) => {
      const { aborted, addEventListener } = (v ?? {}) as Partial<AbortSignalLike>;
      return typeof aborted === "boolean" && typeof addEventListener === "function";
    }),
  );

/** "a", "b" or "c", in quotes. */
export function quoted(names: readonly string[]): string {
  return listed(names.map((name) => `"${name}"`));
}

/** a, b or c. */
export function listed(names: readonly string[]): string {
  return names.length === 1 ? names[0] : `${names.slice(0, -1).join(", ")} or ${names[names.length - 1]}`;
}

/** An object of these keys and no others; the error carries the keys, for `parse` to find the nearest. */
export function object<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  return z.strictObject(shape, {
    error: ({ code }) =>
      code === "unrecognized_keys"
        ? Object.keys(shape).join(" ")
        : `an object with ${Object.keys(shape).join(", ")}`,
  });
}

/** What `schema` makes of `value`, or one sentence about its first fault; unknown keys come first. */
export function parse<Schema extends z.ZodMiniType>(
  root: string,
  schema: Schema,
  value: unknown,
): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const { issues } = result.error;
  const issue = issues.find(({ code }) => code === "unrecognized_keys") ?? issues[0];
  let path = root;
  let received = value;
  for (const key of issue.path) {
    path += typeof key === "number" ? `[${key}]` : `.${String(key)}`;
    received = (received as Record<PropertyKey, unknown> | null | undefined)?.[key];
  }
  if (issue.code !== "unrecognized_keys") throw new OptionError(expected(issue.message, path, received));
  const [key] = issue.keys;
  const names = issue.message.split(" ");
  const near = nearest(key, names);
  const advice = near ? `did you mean ${near}?` : `allowed are ${names.join(", ")}`;
  throw new OptionError(`Unknown option ${path}.${key}; ${advice}`);
}

/** The name that is at most a third of its letters away from `key`, if there is one. */
export function nearest(key: string, names: readonly string[]): string | undefined {
  const distances = names.map((name) => editDistance(key.toLowerCase(), name.toLowerCase()));
  const best = distances.indexOf(Math.min(...distances));
  return distances[best] <= names[best]?.length / 3 ? names[best] : undefined;
}

/** Levenshtein's distance: insertions, deletions and replacements from a to b. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}
