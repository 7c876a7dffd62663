/**
 * The checks of `step`: one step of an optimizer.
 */
import * as z from "zod/mini";
import { MOMENT_COUNTS, type StepInput, type Vector } from "../backends/backend.ts";
import { expected, OptionError } from "../errors.ts";
import { checkArray, checkVector } from "./arrays.ts";
import { FLOAT32, madeOfRate, requireConstants, requireHeld } from "./precision.ts";
import { adamShape, momentumShape } from "./schemas.ts";
import {
  checkedElsewhere,
  integer,
  leaf,
  notNegative,
  object,
  oneOf,
  optional,
  parse,
  signal,
  withDefault,
} from "./values.ts";

export const stepSchema = object({
  optimizer: oneOf(
    [object({ kind: z.literal("gradient-descent") }), object(momentumShape), object(adamShape)],
    ", its rate beside it,",
  ),
  rate: notNegative(),
  parameters: checkedElsewhere<Vector>(),
  gradient: checkedElsewhere<Vector>(),
  state: optional(leaf<readonly Vector[]>("an array of vectors", Array.isArray)),
  index: withDefault(integer(1, 2 ** 32), 1),
  signal: signal(),
});

export function checkStep(root: string, input: unknown): StepInput {
  const { optimizer, rate, index, signal, ...given } = parse(root, stepSchema, input);
  const n = checkArray(`${root}.parameters`, given.parameters, ["Float32Array", "Float64Array"]).length;
  const parameters = checkVector(`${root}.parameters`, given.parameters, n);
  const gradient = checkVector(`${root}.gradient`, given.gradient, n);
  requireConstants(`${root}.optimizer`, optimizer, FLOAT32);
  requireHeld(`${root}.rate`, rate, madeOfRate(optimizer, rate));
  if (optimizer.kind === "adam") requireSquares(`${root}.gradient`, gradient);
  const count = MOMENT_COUNTS[optimizer.kind];
  const state = given.state ?? Array.from({ length: count }, () => new Float64Array(n));
  if (state.length !== count) {
    const range = count === 1 ? "1 vector" : `${count} vectors`;
    throw new OptionError(expected(range, `${root}.state`, state, `${optimizer.kind} carries so many`));
  }
  const moments = state.map((moment, i) => checkVector(`${root}.state[${i}]`, moment, n));
  return { optimizer, rate, parameters, gradient, moments, index, signal };
}

/** Adam squares a gradient: the first entry is named whose square is infinite in float32. */
function requireSquares(path: string, gradient: Vector): void {
  const largest = Math.sqrt(FLOAT32.largest);
  for (let i = 0; i < gradient.length; i++) {
    if (Math.abs(gradient[i]) <= largest) continue;
    const range = `a number of at most ${largest.toExponential(1)} in size`;
    const why = "its square, which Adam takes, is infinite in float32";
    throw new OptionError(expected(range, `${path}[${i}]`, gradient[i], why));
  }
}
