/**
 * Schemas of what `train`, `minimize` and the operations share, and every default with its reason.
 *
 * Couplings are checked against the network in `sampling.ts`.
 */
import { z } from "zod";
import { cosine } from "../schedules.ts";
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
  leaf,
  notNegative,
  number,
  object,
  positive,
  quoted,
  schedule,
} from "./values.ts";

export const DEFAULTS = {
  /** The paper's. */
  tau: 0.01,
  /** Two blocks, 2 × 512 samples for 784-200-10: the fewest that can be cross-fitted, and the best accuracy a second. */
  coupling: { kind: "walsh", blocks: 2 },
  /** For deeper networks and for a user's function: the paper's J, in pairs. */
  uncoupled: { kind: "antithetic", samples: 1000 },
  /** The paper. */
  temperature: 1,
  /** Rows of a minibatch: enough for Adam at 1e-3, few enough for the projection to pay. */
  batchSize: 32,
  seed: 1,
  /** Some 200 records in a usual run of 20,000 updates; a record costs a crossing. */
  recordEvery: 100,
  /** At the end only: an evaluation of 10,000 rows costs as much as many updates. */
  evaluateEvery: 0,
} as const;

/** The optimizer of a run that names none; null for `loss`, whose good rate depends on the problem. */
export function defaultOptimizer(objective: Objective | MinimizeObjective): Optimizer | null {
  if (objective.kind === "loss") return null;
  // Langevin chains and Robbins–Monro estimate the mean well enough to take it, as Algorithms 1 and 2 do.
  const { kind } = objective.estimator;
  if (kind === "sgld" || kind === "robbins-monro") return { kind: "shift" };
  // Weights give a gradient that is unbiased but noisy: Adam averages it, decay and cosine reach the best accuracy.
  return { ...ADAM, rate: cosine(1e-3, 0), weightDecay: 0.05 };
}

// Kingma and Ba's values, decay only where asked for.
const ADAM = { kind: "adam", beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 } as const;

/** Most samples or steps: what 32-bit counters and memory hold with room to spare. */
const MOST_SAMPLES = 2 ** 31;
const MOST_STEPS = 2 ** 24;
const MOST_BLOCKS = 2 ** 20;
export const samples = () => integer(1, MOST_SAMPLES);

// Refinements stand on the union, so that the object's kind stays readable to it.
const independentSchema = object({
  kind: z.literal("independent"),
  samples: samples(),
  complement: choice("sample", "marginalize").default("marginalize"),
  centred: flag().optional(),
});
const antitheticSchema = object({
  kind: z.literal("antithetic"),
  samples: leaf<number>(`an even integer 2 … ${MOST_SAMPLES}`, (v) => {
    const count = v as number;
    return Number.isSafeInteger(v) && count >= 2 && count <= MOST_SAMPLES && count % 2 === 0;
  }),
});
const walshSchema = object({ kind: z.literal("walsh"), blocks: integer(1, MOST_BLOCKS) });
const couplingSchema = z
  .discriminatedUnion("kind", [independentSchema, antitheticSchema, walshSchema], {
    error: quoted(["independent", "antithetic", "walsh"]),
  })
  .refine((c) => c.kind !== "independent" || c.complement !== "sample" || c.centred !== true, {
    path: ["centred"],
    error: 'false where complement is "sample" (Algorithm 4 has raw weights)',
  })
  .transform((c) =>
    c.kind === "independent" ? { ...c, centred: c.centred ?? c.complement === "marginalize" } : c,
  )
  .refine((c) => c.kind !== "independent" || !c.centred || c.samples >= 2, {
    path: ["samples"],
    error: `an integer 2 … ${MOST_SAMPLES} where weights are centred`,
  });
export const coupling = () => couplingSchema.optional();

export const rowwise = () => flag().optional();
export const projection = () => choice("auto", "off").default("auto");
export const temperature = () => positive().default(DEFAULTS.temperature);
const noise = () => choice("variance", "standard-deviation").default("variance");
const minibatch = () => choice("per-update", "per-step").default("per-update");

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
  chainStart: choice("previous", "center").default("previous"),
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

const LOCAL_ENTROPY = { error: quoted(["importance-sampling", "sgld"]) };
const HEAT = { error: quoted(["robbins-monro", "evolution-strategies"]) };
const OBJECTIVE = { error: quoted(["local-entropy", "heat", "loss"]) };
const tau = () => schedule().default(DEFAULTS.tau);
const lossObjective = object({ kind: z.literal("loss") });

export const objectiveSchema = z
  .discriminatedUnion(
    "kind",
    [
      object({
        kind: z.literal("local-entropy"),
        tau: tau(),
        estimator: z
          .discriminatedUnion("kind", [importanceSampling, sgld], LOCAL_ENTROPY)
          .prefault({ kind: "importance-sampling" }),
      }),
      object({
        kind: z.literal("heat"),
        tau: tau(),
        estimator: z.discriminatedUnion("kind", [robbinsMonro, evolutionStrategies], HEAT),
      }),
      lossObjective,
    ],
    OBJECTIVE,
  )
  .prefault({ kind: "local-entropy" });
export type Objective = z.output<typeof objectiveSchema>;

/** Without what speaks of minibatches and first layers. */
const { projection: _p, rowwise: _r, ...functionSampling } = importanceSampling.shape;
const { projection: _q, minibatch: _m, ...functionSgld } = sgld.shape;
const { projection: _o, minibatch: _n, ...functionRobbinsMonro } = robbinsMonro.shape;

export const minimizeObjectiveSchema = z
  .discriminatedUnion(
    "kind",
    [
      object({
        kind: z.literal("local-entropy"),
        tau: tau(),
        estimator: z
          .discriminatedUnion("kind", [object(functionSampling), object(functionSgld)], LOCAL_ENTROPY)
          .prefault({ kind: "importance-sampling" }),
      }),
      object({
        kind: z.literal("heat"),
        tau: tau(),
        estimator: z.discriminatedUnion("kind", [object(functionRobbinsMonro)], HEAT),
      }),
      lossObjective,
    ],
    OBJECTIVE,
  )
  .prefault({ kind: "local-entropy" });
export type MinimizeObjective = z.output<typeof minimizeObjectiveSchema>;

const fraction = (value: number) =>
  number("a number from 0 to below 1", (v) => v >= 0 && v < 1).default(value);
export const momentumShape = { kind: z.literal("momentum"), momentum: fraction(0.9) };
export const adamShape = {
  kind: z.literal("adam"),
  beta1: fraction(ADAM.beta1),
  beta2: fraction(ADAM.beta2),
  epsilon: positive().default(ADAM.epsilon),
  weightDecay: notNegative().default(ADAM.weightDecay),
};

export const optimizerSchema = z.discriminatedUnion(
  "kind",
  [
    object({ kind: z.literal("shift") }),
    object({ kind: z.literal("gradient-descent"), rate: schedule() }),
    object({ ...momentumShape, rate: schedule() }),
    object({ ...adamShape, rate: schedule() }),
  ],
  { error: quoted(["shift", "gradient-descent", "momentum", "adam"]) },
);
export type Optimizer = z.output<typeof optimizerSchema>;

/** Does not compile where `Given` is not a `Public`: so schemas and types cannot drift apart unseen. */
export type Allows<Public, Schema extends Public> = Schema;
export type Tied = [
  Allows<CouplingOptions | undefined, z.input<typeof couplingSchema>>,
  Allows<SgldOptions, z.input<typeof sgld>>,
  Allows<z.input<typeof sgld>, SgldOptions>,
  Allows<RobbinsMonroOptions, z.input<typeof robbinsMonro>>,
  Allows<z.input<typeof robbinsMonro>, RobbinsMonroOptions>,
  Allows<ObjectiveOptions | undefined, z.input<typeof objectiveSchema>>,
  Allows<MinimizeObjectiveOptions | undefined, z.input<typeof minimizeObjectiveSchema>>,
  Allows<OptimizerOptions, z.input<typeof optimizerSchema>>,
  Allows<z.input<typeof optimizerSchema>, OptimizerOptions>,
];
