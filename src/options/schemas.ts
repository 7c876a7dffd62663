/**
 * Schemas of what `train`, `minimize` and the operations share.
 *
 * Couplings are checked against the network in `sampling.ts`.
 */
import * as z from "zod/mini";
import { availableThreads } from "../host.ts";
import { DEFAULTS, NAMES } from "./defaults.ts";
import type {
  CouplingOptions,
  MinimizeObjectiveOptions,
  ObjectiveOptions,
  OptimizerOptions,
  RobbinsMonroOptions,
  SgldOptions,
} from "./types.ts";
import {
  choice,
  flag,
  integer,
  kindsOf,
  leaf,
  notNegative,
  number,
  object,
  oneOf,
  optional,
  positive,
  schedule,
  withDefault,
} from "./values.ts";

/** Who needs ∇f, or null. */
export function needsGradient(objective: ObjectiveOptions | MinimizeObjectiveOptions): string | null {
  if (objective.kind === "loss") return 'the objective "loss"';
  const { kind } = objective.estimator ?? DEFAULTS.estimator;
  switch (kind) {
    case "sgld":
    case "robbins-monro":
      return `the estimator "${kind}"`;
    case "importance-sampling":
    case "evolution-strategies":
      return null;
    default:
      return kind satisfies never;
  }
}

/** The optimizer of a run that names none; null for `loss`, whose good rate depends on the problem. */
export function defaultOptimizer(objective: ObjectiveOptions | MinimizeObjectiveOptions): Optimizer | null {
  if (objective.kind === "loss") return null;
  // Chains estimate the mean well enough to take it, as Algorithms 1 and 2 do.
  return needsGradient(objective) ? { kind: "shift" } : { ...DEFAULTS.adam, ...DEFAULTS.weighted };
}

/** Most samples or steps: what 32-bit counters and memory hold with room to spare. */
const MOST_SAMPLES = 2 ** 31;
const MOST_STEPS = 2 ** 24;
const MOST_BLOCKS = 2 ** 20;
export const samples = () => integer(1, MOST_SAMPLES);

// Refinements stand on the union, so that the object's kind stays readable to it.
const independentSchema = object({
  kind: z.literal("independent"),
  samples: samples(),
  complement: choice(NAMES.complement),
  centred: optional(flag()),
});
const antitheticSchema = object({
  kind: z.literal("antithetic"),
  samples: leaf<number>(`an even integer 2 … ${MOST_SAMPLES}`, (v) => {
    const count = v as number;
    return Number.isSafeInteger(v) && count >= 2 && count <= MOST_SAMPLES && count % 2 === 0;
  }),
});
const walshSchema = object({ kind: z.literal("walsh"), blocks: integer(1, MOST_BLOCKS) });
const couplings = oneOf([walshSchema, antitheticSchema, independentSchema]);
const rawWhereSampled = couplings.check(
  z.refine((c) => c.kind !== "independent" || c.complement !== "sample" || c.centred !== true, {
    path: ["centred"],
    error: 'false where complement is "sample" (Algorithm 4 has raw weights)',
  }),
);
const centring = z.transform((c: z.output<typeof couplings>) =>
  c.kind === "independent" ? { ...c, centred: c.centred ?? c.complement === "marginalize" } : c,
);
const couplingSchema = z.pipe(rawWhereSampled, centring).check(
  z.refine((c) => c.kind !== "independent" || !c.centred || c.samples >= 2, {
    path: ["samples"],
    error: `an integer 2 … ${MOST_SAMPLES} where weights are centred`,
  }),
);
export const coupling = () => optional(couplingSchema);

export const rowwise = () => optional(flag());
export const projection = () => choice(NAMES.projection);
export const temperature = () => withDefault(positive(), DEFAULTS.temperature);
const noise = () => choice(NAMES.noise);
const minibatch = () => choice(NAMES.minibatch);

const importanceSampling = object({
  kind: z.literal("importance-sampling"),
  coupling: coupling(),
  rowwise: rowwise(),
  temperature: temperature(),
  noise: noise(),
  projection: projection(),
});
const sgld = object({
  kind: z.literal("sgld"),
  steps: integer(2, MOST_STEPS),
  stepSize: schedule(),
  chainStart: choice(NAMES.chainStart),
  minibatch: minibatch(),
  noise: noise(),
  projection: projection(),
});
const robbinsMonro = object({
  kind: z.literal("robbins-monro"),
  samples: samples(),
  steps: integer(1, MOST_STEPS),
  stepSize: schedule(),
  minibatch: minibatch(),
  noise: noise(),
  projection: projection(),
});

const evolutionStrategies = object({
  kind: z.literal("evolution-strategies"),
  coupling: coupling(),
  rowwise: rowwise(),
  noise: noise(),
  projection: projection(),
});

const tau = () => withDefault(schedule(), DEFAULTS.tau);
const lossObjective = object({ kind: z.literal("loss") });

const localEntropyEstimators = oneOf([importanceSampling, sgld]);
const heatEstimators = oneOf([robbinsMonro, evolutionStrategies]);
const objectives = oneOf([
  object({
    kind: z.literal("local-entropy"),
    tau: tau(),
    estimator: z.prefault(localEntropyEstimators, DEFAULTS.estimator),
  }),
  object({ kind: z.literal("heat"), tau: tau(), estimator: heatEstimators }),
  lossObjective,
]);
export const objectiveSchema = z.prefault(objectives, { kind: "local-entropy" });
export type Objective = z.output<typeof objectiveSchema>;

/** Without what speaks of minibatches and first layers. */
const { projection: _p, rowwise: _r, ...functionSampling } = importanceSampling.shape;
const { projection: _q, minibatch: _m, ...functionSgld } = sgld.shape;
const { projection: _o, minibatch: _n, ...functionRobbinsMonro } = robbinsMonro.shape;

const functionObjectives = oneOf([
  object({
    kind: z.literal("local-entropy"),
    tau: tau(),
    estimator: z.prefault(oneOf([object(functionSampling), object(functionSgld)]), DEFAULTS.estimator),
  }),
  object({ kind: z.literal("heat"), tau: tau(), estimator: oneOf([object(functionRobbinsMonro)]) }),
  lossObjective,
]);
export const minimizeObjectiveSchema = z.prefault(functionObjectives, { kind: "local-entropy" });
export type MinimizeObjective = z.output<typeof minimizeObjectiveSchema>;

const fraction = (value: number) =>
  withDefault(
    number("a number from 0 to below 1", (v) => v >= 0 && v < 1),
    value,
  );
export const momentumShape = { kind: z.literal("momentum"), momentum: fraction(DEFAULTS.momentum) };
export const adamShape = {
  kind: z.literal("adam"),
  beta1: fraction(DEFAULTS.adam.beta1),
  beta2: fraction(DEFAULTS.adam.beta2),
  epsilon: withDefault(positive(), DEFAULTS.adam.epsilon),
  weightDecay: withDefault(notNegative(), DEFAULTS.adam.weightDecay),
};

export const optimizerSchema = oneOf([
  object({ kind: z.literal("shift") }),
  object({ kind: z.literal("gradient-descent"), rate: schedule() }),
  object({ ...momentumShape, rate: schedule() }),
  object({ ...adamShape, rate: schedule() }),
]);
export type Optimizer = z.output<typeof optimizerSchema>;

/** The kinds that the schemas allow. */
export const KINDS = {
  objective: kindsOf(objectives),
  localEntropy: kindsOf(localEntropyEstimators),
  heat: kindsOf(heatEstimators),
  coupling: kindsOf(couplings),
  optimizer: kindsOf(optimizerSchema),
};

/** Where a run or a backend computes. */
export const machineShape = {
  backend: choice(NAMES.backend),
  threads: withDefault(integer(1, 1024), availableThreads),
};

// So that schemas and types cannot drift apart unseen.
/** Does not compile where one of these does not hold. */
export type Hold<All extends readonly true[]> = All;
type Allows<Public, Given> = [Given] extends [Public] ? true : false;
type Same<Public, Given> = [Public, Given] extends [Given, Public] ? true : false;
export type SameKeys<Public, Schema extends z.ZodMiniType> = Same<keyof Public, keyof z.input<Schema>>;
export type Tied = Hold<
  [
    Allows<CouplingOptions | undefined, z.input<typeof couplingSchema>>,
    Same<SgldOptions, z.input<typeof sgld>>,
    Same<RobbinsMonroOptions, z.input<typeof robbinsMonro>>,
    Allows<ObjectiveOptions | undefined, z.input<typeof objectiveSchema>>,
    Allows<MinimizeObjectiveOptions | undefined, z.input<typeof minimizeObjectiveSchema>>,
    Same<OptimizerOptions, z.input<typeof optimizerSchema>>,
  ]
>;
