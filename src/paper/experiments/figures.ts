/** Figures 4 to 8: trainings on MNIST. Each is data; `curves` trains, draws and tells. */
import { annealed, inverseShift, reversed } from "../../schedules.ts";
import { type Curves, curves } from "../curves.ts";
import type { Experiment } from "../experiment.ts";
import type { Settings } from "../training.ts";
import { method, READINGS, SMALL_NETWORK, withEstimator, withTau } from "./methods.ts";
import { TABLE_1 } from "./tables.ts";

const deviation = "standard-deviation";

const FIGURE_4: Curves = {
  id: "figure-4",
  title: "Figure 4: the four methods from random initialization",
  paper:
    "“Held-out test accuracy during training for SGD (red), SGLD (blue), HR (green), and IS (black). τ = 0.01 for SGLD, IS, and HR. The " +
    "learning rate of SGD is also 0.01. SGLD uses temperatures ε_j = 1/(1000+j), and HR's update schedule uses c = 0.1, and α = 0.7.”\n\n" +
    "“SGLD on the other hand was observed to be more stable throughout the whole training, with few drops in accuracy.” For IS “the rate " +
    "of improvement remained nearly constant throughout.”",
  note: "The runs of Table 1, both readings of the noise; all 10,000 test images in place of 1,000.",
  series: READINGS,
  ...TABLE_1,
  panels: [
    {
      heading: "τ and ε as variances",
      series: ["SGD", "SGLD, ε a variance", "HR, τ a variance", "IS, τ a variance"],
    },
    {
      heading: "τ and ε as standard deviations",
      series: ["SGD", "SGLD, ε a deviation", "HR, τ a deviation", "IS, τ a deviation"],
    },
  ],
};

/** ε_j = 1/(2000 + j): figure 5. */
function slower(settings: Settings): Settings {
  return { ...settings, objective: withEstimator(settings.objective!, { stepSize: inverseShift(1, 2000) }) };
}

const FIGURE_5: Curves = {
  id: "figure-5",
  title: "Figure 5: training after SGD",
  paper:
    "“Training after SGD, τ = 0.01 for all algorithms. The step size for the SGD is set equal to the value of τ for all three algorithms. " +
    "SGLD temperatures are ε_j = 1/(2000+j), and HR uses the same update schedule as in Figure 4.”\n\n" +
    "“IS and SGLD performing better than HR when applied after SGD … constant test accuracy after SGD, and no additional progress is made” " +
    "by HR; “regularization in the later stages does not seem to provide significant improvement over training with SGD on the original loss.”",
  note: "The paper names neither the network nor the switching point: 784-200-10 and 500 updates of SGD before 500 of each method; SGD goes on beside them.",
  series: {
    "SGD goes on": [method("SGD"), method("SGD")],
    "SGLD, ε a variance": [method("SGD"), slower(method("SGLD"))],
    "SGLD, ε a deviation": [method("SGD"), slower(method("SGLD", deviation))],
    HR: [method("SGD"), method("HR")],
    IS: [method("SGD"), method("IS")],
    "IS, τ a deviation": [method("SGD"), method("IS", deviation)],
  },
  seeds: 5,
  evaluateEvery: 20,
};

/** S samples an update; heat takes M = J = ⌊√S⌋. */
function sampled(name: "IS" | "SGLD" | "HR", count: number, noise?: typeof deviation): Settings {
  const settings = method(name, noise);
  const root = Math.floor(Math.sqrt(count));
  const changed = {
    IS: { coupling: { kind: "independent", samples: count, complement: "sample", centred: false } },
    SGLD: { steps: count },
    HR: { samples: root, steps: root },
  }[name];
  return { ...settings, objective: withEstimator(settings.objective!, changed) };
}

const COUNTS = [10, 100, 1000];
const byCount = (name: "IS" | "SGLD" | "HR", title: string, noise?: typeof deviation) =>
  Object.fromEntries(COUNTS.map((count) => [`${title}, S = ${count}`, sampled(name, count, noise)]));
const countsOf = (title: string) => COUNTS.map((count) => `${title}, S = ${count}`);

const FIGURE_6: Curves = {
  id: "figure-6",
  title: "Figure 6: numbers of samples",
  paper:
    "“Training behaviors with S_i = {10 (Red), 100 (Blue), 1000 (Green)} samples per parameter update. SGLD temperatures and HR schedule are " +
    "the same as in Figure 4. Note that τ = 0.01 throughout. To equalize computational load across algorithms, we set M = J = ⌊√S_i⌋ for HR.”\n\n" +
    "“IS performed better as we refined our estimate … SGLD also benefits … HR however performs more poorly when we employ longer " +
    "Robbins–Monro chains.”",
  note: "M = J = 3, 10, 31 for HR. The paper names no network and no length: 784-200-10, 500 updates.",
  series: {
    ...byCount("IS", "IS"),
    ...byCount("SGLD", "SGLD, ε a variance"),
    ...byCount("SGLD", "SGLD, ε a deviation", deviation),
    ...byCount("HR", "HR"),
  },
  seeds: 5,
  evaluateEvery: 20,
  panels: ["IS", "SGLD, ε a variance", "SGLD, ε a deviation", "HR"].map((title) => ({
    heading: title,
    series: countsOf(title),
  })),
};

const TAUS = [
  [0.001, 0.003, 0.006, 0.01],
  [0.01, 0.03, 0.06, 0.1],
  [0.1, 0.3, 0.6, 1],
];
const ofTau = (title: string, tau: number) => `${title}, τ = ${tau}`;
const FIGURE_7_METHODS = [
  ["SGLD", method("SGLD", "variance", SMALL_NETWORK)],
  ["SGLD (deviation)", method("SGLD", deviation, SMALL_NETWORK)],
  ["IS", method("IS", "variance", SMALL_NETWORK)],
] as const;

const FIGURE_7: Curves = {
  id: "figure-7",
  title: "Figure 7: values of τ on the small network",
  paper:
    "“Training the smaller neural network with different choices for τ using SGLD and IS. Values of τ vary horizontally from very small to " +
    "large: τ ∈ {[0.001, 0.01], [0.01, 0.1], [0.1, 1]}. Top row shows SGLD with ε_j = 1/(1000+j), and the bottom row shows IS. All network " +
    "parameters were initialized randomly.”\n\n" +
    "“SGLD trained successfully, albeit slowly, with τ ∈ [0.001, 0.01] … IS failed for small τ … SGLD reach a point of saturation … IS " +
    "performing poorly as τ → ∞ … there exists an optimal τ.”",
  note: "784-10, minibatches of 20, 500 updates, four values of τ in each range; the paper says which ranges, not which values.",
  series: Object.fromEntries(
    FIGURE_7_METHODS.flatMap(([title, settings]) =>
      [...new Set(TAUS.flat())].map((tau) => [ofTau(title, tau), withTau(settings, tau)]),
    ),
  ),
  seeds: 3,
  evaluateEvery: 20,
  panels: FIGURE_7_METHODS.flatMap(([title]) =>
    TAUS.map((range) => ({
      heading: `${title}, τ from ${range[0]} to ${range[3]}`,
      series: range.map((tau) => ofTau(title, tau)),
    })),
  ),
};

/** Eq. 18 with τ₀ = 1.5 and τ₁ = 0.01. */
const FALLING = annealed(1.5, 0.01);
const scoped = (noise: "variance" | typeof deviation, title: string) => ({
  [`${title}, τ = 0.01`]: method("SGLD", noise),
  [`${title}, τ = 1.5`]: withTau(method("SGLD", noise), 1.5),
  [`${title}, τ rising`]: withTau(method("SGLD", noise), reversed(FALLING)),
  [`${title}, τ falling`]: withTau(method("SGLD", noise), FALLING),
});

const FIGURE_8: Curves = {
  id: "figure-8",
  title: "Figure 8: scoping τ",
  paper:
    "“Examination of the effects of scoping τ during training via the update schedule (18). All four panels display SGLD with temperatures set as " +
    "ε_j = 1/(1000+j) and SGD (blue) with a learning rate of 0.01. Top: SGLD with constant τ, set as τ = 0.01 and τ = 1.5. Bottom: τ scoped as " +
    "τ: 0.01 → 1.5 and τ: 1.5 → 0.001.”\n\n" +
    "“Large τ SGLD trained faster than SGD in the initial 100 parameter updates, whereas small τ SGLD lagged behind”; scoping 1.5 → 0.01 “yielding " +
    "an algorithm that trains faster than SGD after initialization and achieved analogous testing accuracy”; rising τ “trained more slowly than SGD”.",
  note:
    "Caption and text differ in where τ ends, 0.001 or 0.01. By eq. 18 with the text's τ₀ = 1.5 and τ₁ = 0.01, τ is 0.0105 at the last of 500 updates: " +
    "the text's value, which is taken; 0.001 would need 735 updates. Rising τ takes the same values in the opposite order. 784-200-10.",
  series: { SGD: method("SGD"), ...scoped("variance", "variance"), ...scoped(deviation, "deviation") },
  seeds: 3,
  evaluateEvery: 20,
  panels: ["τ = 0.01", "τ = 1.5", "τ rising", "τ falling"].map((kind) => ({
    heading: `SGLD, ${kind}`,
    series: ["SGD", `variance, ${kind}`, `deviation, ${kind}`],
  })),
};

/** For the table of claims, which reads the same runs. */
export const FIGURES_DATA = { FIGURE_4, FIGURE_5, FIGURE_6, FIGURE_7, FIGURE_8 };

export const FIGURES: readonly Experiment[] = [FIGURE_4, FIGURE_5, FIGURE_6, FIGURE_7, FIGURE_8].map(curves);
