/** Theorems 2 and 4: energies along exact iterates, by quadrature, and along estimated ones. */
import { minimize } from "../../minimize.ts";
import { type Experiment, here, type Task } from "../experiment.ts";
import { panels } from "../plots.ts";
import { heat, localEntropy, proximalPoint, squared } from "../quadrature.ts";
import { mean, short } from "../statistics.ts";
import { SURFACES } from "../surfaces.ts";

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

export function monotone(which: 2 | 4, title: string, paper: string, note: string): Experiment {
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
