/**
 * What the paper concludes, sentence by sentence: the statistic that would show it, its error over seeds, a verdict. Each
 * claim is data: the runs that it reads (of the tables and figures, so nothing is computed twice) and a number of each seed
 * that is above zero where the claim holds.
 */
import { type Named, type Trained, trainings } from "../curves.ts";
import type { Experiment, Scale, Shown } from "../experiment.ts";
import { mean, standardError } from "../statistics.ts";
import { at, drops, fall, last, type Training, type TrainingResult, training } from "../training.ts";
import { BEYOND } from "./beyond.ts";
import { FIGURES_DATA } from "./figures.ts";

const { FIGURE_4, FIGURE_5, FIGURE_6, FIGURE_7, FIGURE_8 } = FIGURES_DATA;

interface Runs {
  readonly series: Named;
  readonly seeds: number;
  readonly evaluateEvery: number;
}

interface Claim {
  readonly sentence: string;
  readonly where: string;
  /** Estimators and reading. */
  readonly under: string;
  readonly statistic: string;
  readonly runs: Runs;
  /** Names of the runs that are read. */
  readonly names: readonly string[];
  /** Of each seed, in the order of `names`. */
  readonly value: (runs: readonly TrainingResult[]) => number;
}

const accuracy = (run: TrainingResult) => 100 * last(run).accuracy;
const difference = ([a, b]: readonly TrainingResult[]) => accuracy(a) - accuracy(b);
const middle = (run: TrainingResult) => 100 * at(run, last(run).update / 2).accuracy;
const early = (run: TrainingResult) => 100 * at(run, Math.min(100, last(run).update)).accuracy;
/** What a second phase, half of the updates, adds. */
const gain = (run: TrainingResult) => accuracy(run) - middle(run);
const largest = (runs: readonly TrainingResult[]) => Math.max(...runs.map(accuracy));

const both = (name: string, a: string, b: string) => [
  { under: `paper's, ${a} a variance`, name: `${name}, ${a} a variance` },
  { under: `paper's, ${b} a deviation`, name: `${name}, ${b} a deviation` },
];
const SGLD = both("SGLD", "ε", "ε");
const POINTS = "percentage points";

const CLAIMS: readonly Claim[] = [
  ...SGLD.flatMap(({ under, name }): Claim[] => [
    {
      sentence: "SGLD is steadier than SGD throughout training: few drops in accuracy",
      ...{ where: "6.2, figure 4", under, runs: FIGURE_4, names: ["SGD", name] },
      statistic: "share of drops between points 20 updates apart, SGD less SGLD (%)",
      value: ([sgd, sgld]) => 100 * (drops(sgd) - drops(sgld)),
    },
    {
      sentence: "… and they are smaller",
      ...{ where: "6.2, figure 4", under, runs: FIGURE_4, names: ["SGD", name] },
      statistic: `mean fall a point, SGD less SGLD (${POINTS})`,
      value: ([sgd, sgld]) => 100 * (fall(sgd) - fall(sgld)),
    },
    {
      sentence: "Progress an update is on par with SGD or exceeds it",
      ...{ where: "6.2", under, runs: FIGURE_4, names: [name, "SGD"] },
      statistic: `accuracy at the end, SGLD less SGD (${POINTS})`,
      value: difference,
    },
    {
      sentence: "Local entropy performs better than heat",
      ...{
        where: "7",
        under: `${under}; HR τ a variance`,
        runs: FIGURE_4,
        names: [name, "HR, τ a variance"],
      },
      statistic: `accuracy at the end, SGLD less HR (${POINTS})`,
      value: difference,
    },
  ]),
  ...["HR, τ a variance", "HR, τ a deviation", "IS, τ a variance", "IS, τ a deviation"].map((name): Claim => {
    const [short] = name.split(",");
    return {
      sentence: `${short} trains more slowly than SGD after initialization`,
      ...{ where: "6.2", under: `paper's, ${name.slice(4)}`, runs: FIGURE_4, names: ["SGD", name] },
      statistic: `accuracy after 100 updates, SGD less ${short} (${POINTS})`,
      value: ([sgd, other]) => early(sgd) - early(other),
    };
  }),
  {
    sentence: "Local entropy performs better than heat",
    ...{ where: "7", under: "paper's: IS and HR, τ a variance", runs: FIGURE_4 },
    names: ["IS, τ a variance", "HR, τ a variance"],
    statistic: `accuracy at the end, IS less HR (${POINTS}); printed −11`,
    value: difference,
  },
  {
    sentence: "Local entropy performs better than heat",
    ...{ where: "7", under: "ours: Walsh and row split, the shift", runs: BEYOND },
    names: ["Walsh and row split", "heat by Walsh and row split"],
    statistic: `accuracy at the end, local entropy less heat (${POINTS})`,
    value: difference,
  },
  {
    sentence: "Local entropy performs better than heat",
    ...{ where: "7", under: "ours, by Adam", runs: BEYOND },
    names: ["the same by Adam", "heat by Walsh, by Adam"],
    statistic: `accuracy at the end, local entropy less heat (${POINTS})`,
    value: difference,
  },
  {
    sentence: "Importance sampling fails in high dimension: it is behind SGD",
    ...{
      where: "5.1.2, 6.2",
      under: "paper's, τ a variance",
      runs: FIGURE_4,
      names: ["SGD", "IS, τ a variance"],
    },
    statistic: `accuracy at the end, SGD less IS (${POINTS}); printed 22`,
    value: difference,
  },
  {
    sentence: "Importance sampling fails in high dimension: it is behind SGD",
    ...{ where: "5.1.2, 6.2", under: "ours: Walsh and row split, the shift", runs: BEYOND },
    names: ["SGD", "Walsh and row split"],
    statistic: `accuracy at the end, SGD less IS (${POINTS})`,
    value: difference,
  },
  {
    sentence: "Importance sampling fails in high dimension: it is behind SGD",
    ...{ where: "5.1.2, 6.2", under: "ours, both by Adam", runs: BEYOND },
    names: ["the loss by Adam", "the same by Adam"],
    statistic: `accuracy at the end, the loss less local entropy (${POINTS})`,
    value: difference,
  },
  {
    sentence: "HR makes no progress after SGD",
    ...{
      where: "6.3, figure 5",
      under: "paper's, τ a variance",
      runs: FIGURE_5,
      names: ["HR", "SGD goes on"],
    },
    statistic: `a tenth of what SGD gains going on, less what HR gains (${POINTS})`,
    value: ([hr, sgd]) => gain(sgd) / 10 - gain(hr),
  },
  ...(["SGLD, ε a variance", "SGLD, ε a deviation", "IS", "IS, τ a deviation"] as const).map(
    (name): Claim => ({
      sentence: `${name.split(",")[0]} is better than HR after SGD`,
      ...{
        where: "6.3, figure 5",
        under: `paper's${name.includes(",") ? name.slice(name.indexOf(",")) : ", τ a variance"}`,
      },
      ...{ runs: FIGURE_5, names: [name, "HR"] },
      statistic: `accuracy at the end, less HR's (${POINTS})`,
      value: difference,
    }),
  ),
  ...(["SGLD, ε a variance", "SGLD, ε a deviation", "IS", "HR"] as const).map(
    (name): Claim => ({
      sentence: "Regularization after SGD does not improve on going on with SGD",
      ...{ where: "6.3", under: `paper's: ${name}`, runs: FIGURE_5, names: ["SGD goes on", name] },
      statistic: `accuracy at the end, SGD less ${name.split(",")[0]} (${POINTS})`,
      value: difference,
    }),
  ),
  ...["IS", "SGLD, ε a variance", "SGLD, ε a deviation"].map(
    (name): Claim => ({
      sentence: `${name.split(",")[0]} does better with more samples`,
      ...{ where: "6.4, figure 6", under: "paper's", runs: FIGURE_6 },
      names: [`${name}, S = 100`, `${name}, S = 10`],
      statistic: `accuracy at the end, S = 100 less S = 10 (${POINTS}): ${name}`,
      value: difference,
    }),
  ),
  {
    sentence: "HR does worse with longer chains",
    ...{
      where: "6.4, figure 6",
      under: "paper's, τ a variance",
      runs: FIGURE_6,
      names: ["HR, S = 10", "HR, S = 1000"],
    },
    statistic: `accuracy at the end, M = J = 3 less M = J = 31 (${POINTS})`,
    value: difference,
  },
  {
    sentence: "IS fails for small τ",
    ...{ where: "6.5, figure 7", under: "paper's, 784-10", runs: FIGURE_7 },
    names: ["IS, τ = 0.001", "IS, τ = 0.1"],
    statistic: `accuracy at the end, τ = 0.1 less τ = 0.001 (${POINTS})`,
    value: ([small, large]) => accuracy(large) - accuracy(small),
  },
  {
    sentence: "IS performs poorly as τ grows: there is a best τ",
    ...{ where: "6.5, figure 7", under: "paper's, 784-10", runs: FIGURE_7 },
    names: ["IS, τ = 1", "IS, τ = 0.03", "IS, τ = 0.06", "IS, τ = 0.1", "IS, τ = 0.3"],
    statistic: `best accuracy of τ = 0.03 … 0.3 less that of τ = 1 (${POINTS})`,
    value: ([most, ...others]) => largest(others) - accuracy(most),
  },
  ...["SGLD", "SGLD (deviation)"].map(
    (name): Claim => ({
      sentence: "SGLD saturates: larger τ does not change its training",
      ...{
        where: "6.5, figure 7",
        under: name === "SGLD" ? "paper's, 784-10" : "paper's, ε a deviation, 784-10",
      },
      ...{ runs: FIGURE_7, names: [`${name}, τ = 0.1`, `${name}, τ = 1`] },
      statistic: `1 less the difference of τ = 0.1 and τ = 1 (${POINTS})`,
      value: ([a, b]) => 1 - Math.abs(accuracy(a) - accuracy(b)),
    }),
  ),
  ...["variance", "deviation"].flatMap((reading): Claim[] => {
    const common = { where: "6.5, figure 8", under: `paper's, ε a ${reading}`, runs: FIGURE_8 };
    return [
      {
        sentence: "SGLD at τ = 1.5 is ahead of SGD in the first 100 updates",
        ...{ ...common, names: [`${reading}, τ = 1.5`, "SGD"] },
        statistic: `accuracy after 100 updates, less SGD's (${POINTS})`,
        value: ([a, b]) => early(a) - early(b),
      },
      {
        sentence: "τ falling by eq. 18 reaches SGD's final accuracy",
        ...{ ...common, names: [`${reading}, τ falling`, "SGD"] },
        statistic: `1 less SGD's accuracy at the end over it (${POINTS})`,
        value: ([a, b]) => 1 - (accuracy(b) - accuracy(a)),
      },
      {
        sentence: "τ rising ends below SGD",
        ...{ ...common, names: ["SGD", `${reading}, τ rising`] },
        statistic: `accuracy at the end, SGD less SGLD (${POINTS})`,
        value: difference,
      },
    ];
  }),
];

function runsOf({ runs, names }: Claim, scale: Scale): Training[][] {
  const named = Object.fromEntries(names.map((name) => [name, runs.series[name]]));
  const all = trainings(named, runs, scale);
  return names.map((name) => all[name]);
}

/** Standard errors beyond which a mean is called different from zero. */
const SURE = 2;

function verdict(center: number, error: number): string {
  if (!Number.isFinite(error)) return "one seed";
  if (center > SURE * error) return "holds";
  return center < -SURE * error ? "does not hold" : "not decided";
}

export const CLAIMS_EXPERIMENT: Experiment = {
  id: "claims",
  title: "What the paper concludes, and what is found",
  paper:
    "“Local entropy methods have a better empirical performance.” “The generalization error with regularized losses is more stable than for stochastic " +
    "gradient descent over the original loss.” And what section 6 says of its figures.",
  note:
    "A claim holds where its statistic is above zero by two standard errors over seeds (paired: same start, same minibatches), does not hold where it is below " +
    "by as much. Runs are those of the tables and figures. Accuracies on all 10,000 test images.",
  mnist: true,
  tasks: (scale) => CLAIMS.flatMap((claim) => runsOf(claim, scale).flat().map(training)),
  show(scale, results): Shown {
    const judged = CLAIMS.map((claim) => {
      const trained: Trained[string][] = runsOf(claim, scale).map((runs) =>
        runs.map((run) => results(training(run))),
      );
      const values = trained[0].map((_, seed) => claim.value(trained.map((runs) => runs[seed])));
      const [center, error] = [mean(values), standardError(values)];
      return { claim, values, center, error, verdict: verdict(center, error) };
    });
    return {
      parts: [
        {
          kind: "table",
          title: "Claims",
          columns: ["claim", "where", "under", "statistic", "mean ± standard error", "seeds", "verdict"],
          rows: judged.map(({ claim, values, center, error, verdict: word }) => [
            ...[claim.sentence, claim.where, claim.under, claim.statistic],
            `${center.toFixed(2)} ± ${Number.isFinite(error) ? error.toFixed(2) : "–"}`,
            values.length,
            word,
          ]),
        },
      ],
      rows: judged.flatMap(({ claim, values, verdict: word }) =>
        values.map((value, i) => ({
          ...{ claim: claim.sentence, under: claim.under, statistic: claim.statistic, seed: i + 1, value },
          verdict: word,
        })),
      ),
    };
  },
};
