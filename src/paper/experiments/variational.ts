import { type Experiment, here, type Part, type Task } from "../experiment.ts";
import { linePlot } from "../plots.ts";
import {
  divergence,
  expectation,
  type Grid,
  gridAround,
  heat,
  localEntropy,
  logExpectation,
  logNormal,
  normalized,
  type Surface,
} from "../quadrature.ts";
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
    // In logs, since far out both densities are below what a number holds.
    const logs = exact.map((log, i) => {
      const [own, more] = [log + Math.log(1 - share), other[i] + Math.log(share)];
      return Math.max(own, more) + Math.log1p(Math.exp(-Math.abs(own - more)));
    });
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
          : logExpectation(grid, q, f) + divergence(grid, prior, q);
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

export function variational(which: 1 | 3, title: string, paper: string, note: string): Experiment {
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
