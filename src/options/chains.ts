/**
 * The checks of both chains: Langevin dynamics and Robbins–Monro.
 */
import * as z from "zod/mini";
import type { RobbinsMonroInput, SgldInput, Vector } from "../backends/backend.ts";
import { expected, OptionError } from "../errors.ts";
import { keyOf } from "../reference/random/streams.ts";
import { checkNumbers, checkVector } from "./arrays.ts";
import { locateWithLoss, position, rowCount, withLoss } from "./located.ts";
import { refuseWithoutGradient } from "./network.ts";
import { checkDraws } from "./objectives/heat.ts";
import { extremes, madeOfChain, requireHeld } from "./precision.ts";
import { projection, samples } from "./schemas.ts";
import { checkedElsewhere, leaf, notNegative, object, optional, parse, positive } from "./values.ts";

const chainShape = {
  ...withLoss,
  ...position,
  batch: optional(checkedElsewhere<unknown>()),
  batches: optional(leaf<readonly unknown[]>("an array of batches", Array.isArray)),
  tau: positive(),
  stepSizes: checkedElsewhere<ArrayLike<number>>(),
  projection: projection(),
};
const chainSchema = z.object(chainShape);

/** What both chains check; `transitions` of J steps is J − 1 for SGLD, J for Robbins–Monro. */
function checkChain(
  root: string,
  given: z.output<typeof chainSchema>,
  transitionsOf: (steps: number) => number,
) {
  const { place, check } = locateWithLoss(root, given, given.batches?.[0] ?? given.batch);
  refuseWithoutGradient(root, "this operation", place.network, place.loss);
  const stepSizes = checkNumbers(`${root}.stepSizes`, given.stepSizes);
  stepSizes.forEach((size, i) => {
    parse(`${root}.stepSizes[${i}]`, positive(), size);
  });
  const transitions = transitionsOf(stepSizes.length);
  if (transitions < 1) {
    const fewest = 1 + stepSizes.length - transitions;
    throw new OptionError(expected(`at least ${fewest} step sizes`, `${root}.stepSizes`, given.stepSizes));
  }
  if ((given.batch === undefined) === (given.batches === undefined)) {
    const both = given.batch === undefined ? "neither" : "both";
    throw new OptionError(`Expected either batch or batches for ${root} but received ${both}`);
  }
  const many = given.batches;
  if (many && many.length !== 1 && many.length !== transitions) {
    throw new OptionError(
      expected(`1 or ${transitions} batches, one a transition,`, `${root}.batches`, many),
    );
  }
  const batches = many
    ? many.map((batch, i) => check(`${root}.batches[${i}]`, batch))
    : [check(`${root}.batch`, given.batch)];
  const rows = rowCount(batches[0], place.network);
  for (const [i, batch] of batches.entries()) {
    if (rowCount(batch, place.network) === rows) continue;
    const range = `${rows} rows, as in the first batch,`;
    const answers = batch.labels.length > 0 ? "labels" : "targets";
    throw new OptionError(expected(range, `${root}.batches[${i}].${answers}`, batch[answers]));
  }
  const fits = batches.length === 1 && rows <= place.network.layers[0];
  const projected = given.projection === "auto" && fits;
  return {
    ...place,
    batches,
    key: keyOf(given.seed),
    update: given.update,
    tau: given.tau,
    stepSizes,
    projected,
  };
}

export const sgldSchema = object({
  ...chainShape,
  noiseScales: optional(checkedElsewhere<ArrayLike<number>>()),
  start: optional(checkedElsewhere<Vector>()),
});

export function checkSgld(root: string, input: unknown): SgldInput {
  const given = parse(root, sgldSchema, input);
  const chain = checkChain(root, given, (steps) => steps - 1);
  const { parameters, stepSizes } = chain;
  const start =
    given.start === undefined ? parameters : checkVector(`${root}.start`, given.start, parameters.length);
  const noiseScales =
    given.noiseScales === undefined
      ? stepSizes.map(Math.sqrt)
      : checkNumbers(`${root}.noiseScales`, given.noiseScales, stepSizes.length);
  noiseScales.forEach((scale, i) => {
    parse(`${root}.noiseScales[${i}]`, notNegative(), scale);
  });
  requireHeld(`${root}.tau`, chain.tau, madeOfChain(chain.tau, extremes(stepSizes), extremes(noiseScales)));
  return { ...chain, start, noiseScales };
}

export const robbinsMonroSchema = object({
  ...chainShape,
  samples: samples(),
  noiseScale: optional(positive()),
});

export function checkRobbinsMonro(root: string, input: unknown): RobbinsMonroInput {
  const given = parse(root, robbinsMonroSchema, input);
  const chain = checkChain(root, given, (steps) => steps);
  checkDraws(`${root}.samples`, given.samples, chain.stepSizes.length);
  const noiseScale = given.noiseScale ?? Math.sqrt(chain.tau);
  const made = madeOfChain(chain.tau, extremes(chain.stepSizes), [noiseScale, noiseScale]);
  requireHeld(`${root}.tau`, chain.tau, made);
  return { ...chain, samples: given.samples, noiseScale };
}
