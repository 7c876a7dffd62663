/** Theorems 1 to 4, by quadrature on losses of one and two variables. */
import { minimize } from "../../minimize.ts";
import { type Experiment, here, type Part, type Task } from "../experiment.ts";
import { linePlot, panels } from "../plots.ts";
import {
  divergence,
  expectation,
  type Grid,
  gridAround,
  heat,
  localEntropy,
  logNormal,
  normalized,
  proximalPoint,
  type Surface,
  squared,
} from "../quadrature.ts";
import { mean, short } from "../statistics.ts";
import { SURFACES } from "../surfaces.ts";

/** A trial density's value of the functional, less the minimum that the theorem says. */
interface Trial {
  readonly family: string;
  /** D_KL(q‖q_{x,τ}): how far it is from the minimizer. */
  readonly far: number;
  readonly excess: number;
}

interface Characterized {
  readonly name: string;
  readonly x: readonly number[];
  readonly minimum: number;
  /** The functional at q_{x,τ} less the minimum. */
  readonly atMinimizer: number;
  readonly trials: readonly Trial[];
}

/** Trial densities about x: normals of several means and variances, tempered and tilted q_{x,τ}, mixtures. */
function trialDensities(grid: Grid, { value, tau }: Surface, x: readonly number[]) {
  const prior = grid.points.map((point) =>
    logNormal(
      point,
      x,
      x.map(() => tau),
    ),
  );
  const tempered = (t: number) =>
    normalized(
      grid,
      prior.map((log, i) => log - t * value(grid.points[i])),
    );
  const exact = tempered(1);
  const { mean: middle } = localEntropy({ value }, x, tau);
  const normal = (shift: number, scale: number) =>
    normalized(
      grid,
      grid.points.map((point) =>
        logNormal(
          point,
          middle.map((m) => m + shift),
          x.map(() => scale * tau),
        ),
      ),
    );
  const trials: { family: string; logs: number[] }[] = [];
  for (const shift of [-0.6, -0.3, 0, 0.3, 0.6])
    for (const scale of [0.3, 0.6, 0.85, 1]) trials.push({ family: "normal", logs: normal(shift, scale) });
  for (const t of [0, 0.5, 0.8, 0.95, 1.05, 1.25, 2]) trials.push({ family: "tempered", logs: tempered(t) });
  for (const tilt of [-0.5, -0.2, 0.2, 0.5]) {
    const logs = normalized(
      grid,
      exact.map((log, i) => log + tilt * grid.points[i][0]),
    );
    trials.push({ family: "tilted", logs });
  }
  for (const share of [0.05, 0.3, 0.6]) {
    const other = normal(0.3, 0.6);
    const logs = exact.map((log, i) => Math.log((1 - share) * Math.exp(log) + share * Math.exp(other[i])));
    trials.push({ family: "mixture", logs });
  }
  return { prior, exact, trials };
}

function characterize(which: 1 | 3): Characterized[] {
  return SURFACES.flatMap((surface) =>
    surface.starts.map((x) => {
      const { value, tau, dimension } = surface;
      const grid = gridAround(x, dimension === 1 ? 5 : 3.4, dimension === 1 ? 1601 : 121);
      const { prior, exact, trials } = trialDensities(grid, surface, x);
      const f = grid.points.map((point) => value(point));
      const functional = (q: readonly number[]) =>
        which === 1
          ? expectation(grid, q, (i) => f[i]) + divergence(grid, q, prior)
          : Math.log(expectation(grid, q, (i) => Math.exp(f[i]))) + divergence(grid, prior, q);
      const minimum = which === 1 ? localEntropy(surface, x, tau).energy : heat(surface, x, tau).energy;
      return {
        ...{ name: surface.name, x, minimum, atMinimizer: functional(exact) - minimum },
        trials: trials.map(({ family, logs }) => ({
          family,
          far: divergence(grid, logs, exact),
          excess: functional(logs) - minimum,
        })),
      };
    }),
  );
}

function characterization(which: 1 | 3): Task<Characterized[]> {
  return here(`theorem ${which}`, { theorem: which, grid: "trapezoidal" }, () => characterize(which));
}

function variational(which: 1 | 3, title: string, paper: string, note: string): Experiment {
  return {
    ...{ id: `theorem-${which}`, title, paper, note, mnist: false },
    tasks: () => [characterization(which)],
    show(_scale, results) {
      const cases = results(characterization(which));
      const trials = cases.flatMap(({ name, x, trials: all }) => all.map((trial) => ({ name, x, ...trial })));
      const families = [...new Set(trials.map(({ family }) => family))];
      const shown = trials.filter(({ far, excess }) => far > 1e-6 && excess > 1e-9);
      const svg = linePlot({
        label: "excess of trial densities over their distance",
        x: { label: "D_KL(q‖q_{x,τ}) (nats)", log: true },
        y: { label: "functional at q less its minimum (nats)", log: true },
        series: families.map((name) => ({
          ...{ name, scatter: true },
          points: shown
            .filter(({ family }) => family === name)
            .map(({ far, excess }) => ({ x: far, y: excess })),
        })),
      });
      const table: Part = {
        kind: "table",
        title: "The minimum, at q_{x,τ} and over the trial densities",
        columns: [
          "loss (ours)",
          "x",
          "minimum",
          "at q_{x,τ}, less that",
          "least of the trials, less that",
          "trials below it",
        ],
        rows: cases.map(({ name, x, minimum, atMinimizer, trials: all }) => [
          name,
          x.join(", "),
          minimum.toFixed(6),
          atMinimizer.toExponential(1),
          Math.min(...all.map(({ excess }) => excess)).toExponential(2),
          `${all.filter(({ excess }) => excess < -1e-9).length} of ${all.length}`,
        ]),
      };
      const caption =
        which === 1
          ? "Each dot a trial density: by eq. 9 its excess is its divergence from q_{x,τ}, so the dots lie on the diagonal."
          : "Each dot a trial density; the excess is D_KL(φ‖q) + log E_q e^f − F^H, zero at q_{x,τ} alone.";
      return {
        parts: [table, { kind: "plot", title: "No density does better", caption, svg }],
        rows: trials.map(({ name, x, family, far, excess }) => ({
          loss: name,
          x: x.join(" "),
          family,
          far,
          excess,
        })),
      };
    },
  };
}

interface Path {
  readonly name: string;
  readonly x: readonly number[];
  readonly energies: readonly number[];
  /** Least of: fall of the energy less |x_{k+1} − x_k|²/2τ. */
  readonly spare: number;
  /** |x_{k+1} − x_k| at the end. */
  readonly still: number;
}

/** How often the energy rises along estimated iterates, by samples. */
interface Noisy {
  readonly name: string;
  readonly samples: number;
  /** Share of the steps, mean over seeds. */
  readonly rises: number;
  readonly end: number;
}

const ITERATES = 40;

function paths(which: 2 | 4): Path[] {
  const exact = which === 2 ? localEntropy : heat;
  return SURFACES.flatMap((surface) =>
    surface.starts.map((start) => {
      const { tau, name } = surface;
      const count = which === 2 ? ITERATES : 12;
      let x: readonly number[] = start;
      const energies = [exact(surface, x, tau).energy];
      let [spare, still] = [Number.POSITIVE_INFINITY, 0];
      for (let k = 0; k < count; k++) {
        const next: readonly number[] =
          which === 2 ? localEntropy(surface, x, tau).mean : proximalPoint(surface, x);
        energies.push(exact(surface, next, tau).energy);
        const moved = squared(next, x);
        spare = Math.min(spare, energies[k] - energies[k + 1] - moved / (2 * tau));
        still = Math.sqrt(moved);
        x = next;
      }
      return { name, x: start, energies, spare, still };
    }),
  );
}

const SAMPLES = [3, 10, 31, 100, 316, 1000];

/** The estimators' own iterates, their energy by quadrature. */
async function noisy(which: 2 | 4, seeds: number): Promise<Noisy[]> {
  const exact = which === 2 ? localEntropy : heat;
  const out: Noisy[] = [];
  for (const surface of SURFACES) {
    const { tau, name, starts, dimension, value, gradient } = surface;
    for (const samples of SAMPLES) {
      const rises: number[] = [];
      const ends: number[] = [];
      for (let seed = 1; seed <= seeds; seed++) {
        let x: readonly number[] = starts[0];
        let energy = exact(surface, x, tau).energy;
        let count = 0;
        for (let k = 0; k < ITERATES; k++) {
          const objective =
            which === 2
              ? ({
                  kind: "local-entropy",
                  tau,
                  estimator: {
                    kind: "importance-sampling",
                    coupling: { kind: "independent", samples, complement: "sample", centred: false },
                  },
                } as const)
              : ({
                  kind: "heat",
                  tau,
                  estimator: {
                    kind: "robbins-monro",
                    samples: Math.floor(Math.sqrt(samples)),
                    steps: Math.floor(Math.sqrt(samples)),
                    stepSize: (j: number) => 0.5 * j ** -0.7,
                  },
                } as const);
          const run = minimize({
            loss: { dimension, value, gradient },
            start: x,
            objective,
            updates: 1,
            seed: 1000 * seed + k,
          });
          x = [...(await run.result).parameters];
          const next = exact(surface, x, tau).energy;
          if (next > energy + 1e-12) count++;
          energy = next;
        }
        rises.push(count / ITERATES);
        ends.push(energy);
      }
      out.push({ name, samples, rises: mean(rises), end: mean(ends) });
    }
  }
  return out;
}

function monotone(which: 2 | 4, title: string, paper: string, note: string): Experiment {
  const exact = here(`theorem ${which}, exact iterates`, { theorem: which, iterates: ITERATES }, () =>
    paths(which),
  );
  const seedsOf = (quick: boolean) => (quick ? 3 : 20);
  const sampled = (quick: boolean): Task<Noisy[]> => ({
    name: `theorem ${which}, sampled iterates`,
    options: { theorem: which, samples: SAMPLES, seeds: seedsOf(quick), iterates: ITERATES },
    onBackend: false,
    compute: () => noisy(which, seedsOf(quick)),
  });
  const symbol = which === 2 ? "F_τ" : "F^H_τ";
  return {
    ...{ id: `theorem-${which}`, title, paper, note, mnist: false },
    tasks: ({ quick }) => [exact, sampled(quick)],
    show({ quick }, results) {
      const all = results(exact);
      const errors = results(sampled(quick));
      const names = [...new Set(errors.map(({ name }) => name))];
      const svg = panels(title, [
        {
          heading: "Exact iterates",
          label: `${symbol} over iterates`,
          x: { label: "iterates" },
          y: { label: `${symbol} less its last value (nats)` },
          series: all.map(({ name, x, energies }) => ({
            name: `${name.slice(0, 3)} from ${x.join(", ")}`,
            points: energies.map((energy, k) => ({ x: k, y: energy - energies[energies.length - 1] })),
          })),
        },
        {
          heading: "Estimated iterates",
          label: "share of rises over samples",
          x: { label: which === 2 ? "samples J" : "gradients M·J", log: true },
          y: { label: `steps in which ${symbol} rises (%)`, domain: [0, 60] },
          series: names.map((name) => ({
            ...{ name, dots: true },
            points: errors
              .filter((one) => one.name === name)
              .map(({ samples, rises }) => ({ x: samples, y: 100 * rises })),
          })),
        },
      ]);
      const rows = all.map(({ name, x, energies, spare, still }) => {
        const rises = energies.slice(1).filter((energy, k) => energy > energies[k] + 1e-12).length;
        return [
          name,
          x.join(", "),
          energies[0].toFixed(4),
          energies[energies.length - 1].toFixed(4),
          `${rises} of ${energies.length - 1}`,
          spare.toExponential(1),
          still.toExponential(1),
        ];
      });
      return {
        parts: [
          {
            kind: "table",
            title: `${symbol} along exact iterates`,
            columns: [
              "loss (ours)",
              "start",
              "first",
              "last",
              "rises",
              "least fall beyond |step|²/2τ",
              "last step",
            ],
            rows,
          },
          {
            kind: "plot",
            title: "Monotone if exact, and how sampling breaks it",
            caption:
              `Left: by quadrature, no rise. Right: the same steps estimated, ${symbol} at each iterate by quadrature; ` +
              `near the minimum, where steps are smaller than their error, it rises (mean of ${seedsOf(quick)} seeds).`,
            svg,
          },
          {
            kind: "table",
            title: "Steps that rise, by the number of samples (%)",
            columns: ["loss (ours)", ...SAMPLES.map(String)],
            rows: names.map((name) => [
              name,
              ...errors.filter((one) => one.name === name).map(({ rises }) => short(100 * rises)),
            ]),
          },
        ],
        rows: [
          ...all.flatMap(({ name, x, energies }) =>
            energies.map((energy, k) => ({
              what: "exact",
              loss: name,
              start: x.join(" "),
              iterate: k,
              energy,
            })),
          ),
          ...errors.map(({ name, samples, rises, end }) => ({
            what: "sampled",
            loss: name,
            samples,
            rises,
            energy: end,
          })),
        ],
      };
    },
  };
}

const TOY = "The losses are ours: the paper proves this and prints no example.";

export const THEOREMS: readonly Experiment[] = [
  variational(
    1,
    "Theorem 1: local entropy as a minimum over densities",
    "F_τ(x) = min_q { ∫ f q + D_KL(q‖φ_{x,τ}) }, and q_{x,τ} of eq. 6 achieves the minimum (eq. 8).",
    `${TOY} Trial densities: normals, q_{x,τ} tempered and tilted, mixtures. As printed, eq. 6's constant Z lacks φ's (2πτ)^{d/2}: ` +
      "F_τ = −log Z holds once q is written with φ_{x,τ} in place of the bare exponential (see the checks).",
  ),
  monotone(
    2,
    "Theorem 2: local entropy falls along exact iterates",
    "F_τ(x_k) ≤ F_τ(x_{k−1}) along Algorithm 1; equality holds only at a critical point.",
    `${TOY} Majorization gives more than the theorem says: each step falls by at least |x_{k+1} − x_k|²/2τ, which is shown too.`,
  ),
  variational(
    3,
    "Theorem 3: heat regularization as a minimum over densities",
    "F^H_τ(x) = min_q { log ∫ e^f q + D_KL(φ_{x,τ}‖q) }, and the same q_{x,τ} achieves the minimum (eq. 13).",
    `${TOY} The paper omits the proof; at q_{x,τ} both sides are equal by inserting it.`,
  ),
  monotone(
    4,
    "Theorem 4: heat falls along exact iterates",
    "F^H_τ(x_k) ≤ F^H_τ(x_{k−1}) along Algorithm 2.",
    `${TOY} Algorithm 2 is the proximal point method on F^H. The theorem needs the global minimizer of each step, or any point not ` +
      "above x_k; Robbins–Monro goes to a stationary point. Its step sizes here are 0.5·j^−0.7, M = J = ⌊√samples⌋.",
  ),
];
