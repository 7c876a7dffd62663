/** Figures 1 to 3, which need no data: toy losses of our own. */
import { type Experiment, here } from "../experiment.ts";
import { linePlot, mapPlots } from "../plots.ts";
import { divergence, gridAround, logNormal, normalized } from "../quadrature.ts";
import { short } from "../statistics.ts";
import { PITS, pitted, rippled } from "../surfaces.ts";

const TAU = 0.09;
const RANGE = [-2.4, 2.4] as const;
/** Points of a map in each direction. */
const SIDE = 81;

type Values = readonly number[];

/** A loss on SIDE × SIDE points of the range, x₂ in the outer loop, and its two regularizations. */
interface Maps {
  readonly f: Values;
  readonly entropy: Values;
  readonly heat: Values;
}

/**
 * The trapezoidal rule on the map's own points, a fifth of √τ apart, continued for eight √τ on each side; a normal's weights
 * are a product, so one direction is summed after the other.
 */
function mapsOf(loss: (x: Float64Array) => number): Maps {
  const step = (RANGE[1] - RANGE[0]) / (SIDE - 1);
  const reach = Math.ceil((8 * Math.sqrt(TAU)) / step);
  const whole = SIDE + 2 * reach;
  const at = (i: number) => RANGE[0] + (i - reach) * step;
  const f = Array.from({ length: whole * whole }, (_, i) =>
    loss(Float64Array.of(at(i % whole), at(Math.floor(i / whole)))),
  );
  const weights = Array.from({ length: 2 * reach + 1 }, (_, i) => {
    const z = ((i - reach) * step) / Math.sqrt(TAU);
    return (step / Math.sqrt(2 * Math.PI * TAU)) * Math.exp((-z * z) / 2);
  });
  const smooth = (values: Values) => {
    const rows = Array.from({ length: whole * SIDE }, (_, i) =>
      weights.reduce((sum, w, t) => sum + w * values[Math.floor(i / SIDE) * whole + (i % SIDE) + t], 0),
    );
    return Array.from({ length: SIDE * SIDE }, (_, i) =>
      weights.reduce((sum, w, t) => sum + w * rows[(Math.floor(i / SIDE) + t) * SIDE + (i % SIDE)], 0),
    );
  };
  const inner = Array.from(
    { length: SIDE * SIDE },
    (_, i) => f[(Math.floor(i / SIDE) + reach) * whole + (i % SIDE) + reach],
  );
  return {
    f: inner,
    entropy: smooth(f.map((value) => Math.exp(-value))).map((value) => -Math.log(value)),
    heat: smooth(f),
  };
}

/** Between the points by bilinear interpolation: what a map draws. */
function interpolated(values: Values): (x: number, y: number) => number {
  return (x, y) => {
    const place = (v: number) =>
      Math.min(SIDE - 1.001, ((v - RANGE[0]) / (RANGE[1] - RANGE[0])) * (SIDE - 1));
    const [a, b] = [place(x), place(y)];
    const [i, k] = [Math.floor(a), Math.floor(b)];
    const [u, v] = [a - i, b - k];
    const at = (p: number, q: number) => values[q * SIDE + p];
    const low = (1 - u) * at(i, k) + u * at(i + 1, k);
    return (1 - v) * low + v * ((1 - u) * at(i, k + 1) + u * at(i + 1, k + 1));
  };
}

/** Number of points below all eight neighbours. */
function minima(values: Values): number {
  let count = 0;
  for (let k = 1; k < SIDE - 1; k++)
    for (let i = 1; i < SIDE - 1; i++) {
      const own = values[k * SIDE + i];
      const around = [-1, 0, 1].flatMap((b) => [-1, 0, 1].map((a) => values[(k + b) * SIDE + i + a]));
      if (around.filter((value) => value <= own).length === 1) count++;
    }
  return count;
}

function lowest(values: Values): [number, number] {
  const index = values.indexOf(Math.min(...values));
  const at = (i: number) => RANGE[0] + ((RANGE[1] - RANGE[0]) * i) / (SIDE - 1);
  return [at(index % SIDE), at(Math.floor(index / SIDE))];
}

const MAPS = {
  pitted: here("figure 1, maps", { loss: "pitted", tau: TAU, side: SIDE, pits: PITS }, () => mapsOf(pitted)),
  rippled: here("figure 2, maps", { loss: "rippled", tau: TAU, side: SIDE }, () => mapsOf(rippled)),
};

const rounded = (value: number) => Number(value.toPrecision(7));

function csv({ f, entropy, heat: smooth }: Maps) {
  const at = (i: number) => RANGE[0] + ((RANGE[1] - RANGE[0]) * i) / (SIDE - 1);
  return f.map((value, i) => ({
    ...{ x1: rounded(at(i % SIDE)), x2: rounded(at(Math.floor(i / SIDE))) },
    ...{ f: rounded(value), local_entropy: rounded(entropy[i]), heat: rounded(smooth[i]) },
  }));
}

const figure1: Experiment = {
  id: "figure-1",
  title: "Figure 1: local entropy of a loss in two dimensions",
  paper:
    "“Toy example of local entropy regularization for a two-dimensional lost function. Note how the wider minima from the " +
    "left figure deepens on the right, while the sharp minima become relatively shallower.”",
  note:
    "The loss is ours: a wide pit and three sharp ones, two of them deeper. F_τ ≥ min f, and no minimum is lower under F_τ than " +
    "under f, so “deepens” is meant relative to the others: the wide pit becomes the lowest.",
  mnist: false,
  tasks: () => [MAPS.pitted],
  show(_scale, results) {
    const maps = results(MAPS.pitted);
    const [f, entropy] = [interpolated(maps.f), interpolated(maps.entropy)];
    const smooth = interpolated(maps.heat);
    const marked = PITS.map(({ at: [x, y], name }) => ({ x, y, text: name }));
    const domain = [0, 4.5] as const;
    const svg = mapPlots("The loss and its local entropy", "loss (nats)", [
      { heading: "f", range: RANGE, value: f, domain, marked },
      { heading: `local entropy F_τ, τ = ${TAU}`, range: RANGE, value: entropy, domain, marked },
      { heading: `heat F^H_τ, τ = ${TAU}`, range: RANGE, value: smooth, domain, marked },
    ]);
    const along = Array.from({ length: 161 }, (_, i) => RANGE[0] + ((RANGE[1] - RANGE[0]) * i) / 160);
    const line = (name: string, value: (x: number, y: number) => number) => ({
      name,
      points: along.map((x) => ({ x, y: value(x, 0.85) })),
    });
    const wide = (value: (x: number, y: number) => number) => value(PITS[0].at[0], PITS[0].at[1]);
    return {
      parts: [
        {
          kind: "plot",
          title: "The loss, its local entropy and its heat regularization",
          caption: "By quadrature on 81 × 81 points.",
          svg,
        },
        {
          kind: "plot",
          title: "A section through a sharp and the wide pit",
          caption: "x₂ = 0.85: smoothing fills the sharp pit and leaves the wide one.",
          svg: linePlot({
            label: "section at x₂ = 0.85",
            x: { label: "x₁" },
            y: { label: "loss (nats)" },
            series: [line("f", f), line("local entropy F_τ", entropy), line("heat F^H_τ", smooth)],
          }),
        },
        {
          kind: "table",
          title: "How low each pit is (nats), less the wide pit's value",
          columns: ["pit", "width", "f", "less wide", "F_τ", "less wide", "F^H_τ", "less wide"],
          rows: PITS.map(({ name, width, at: [x, y] }) => [
            ...[name, width],
            ...[f, entropy, smooth].flatMap((value) => [
              value(x, y).toFixed(2),
              (value(x, y) - wide(value)).toFixed(2),
            ]),
          ]),
        },
      ],
      rows: csv(maps),
    };
  },
};

const figure2: Experiment = {
  id: "figure-2",
  title: "Figure 2: heat regularization of a loss in two dimensions",
  paper:
    "“Toy example of heat regularization for a two-dimensional loss function. Here, the smoothing via convolution with a Gaussian " +
    "amounts to a blur, altering the texture of the landscape without changing the location of deep minima.”",
  note: "The loss is ours: two broad basins under fine ripples.",
  mnist: false,
  tasks: () => [MAPS.rippled],
  show(_scale, results) {
    const maps = results(MAPS.rippled);
    const domain = [0.4, 3.4] as const;
    const named = [
      ["f", maps.f],
      [`heat F^H_τ, τ = ${TAU}`, maps.heat],
      [`local entropy F_τ, τ = ${TAU}`, maps.entropy],
    ] as const;
    const svg = mapPlots(
      "The loss and its heat regularization",
      "loss (nats)",
      named.map(([heading, values]) => {
        const [x, y] = lowest(values);
        const marked = [{ x, y, text: "lowest" }];
        return { heading, range: RANGE, value: interpolated(values), domain, marked };
      }),
    );
    return {
      parts: [
        { kind: "plot", title: "A blur", caption: "By quadrature on 81 × 81 points.", svg },
        {
          kind: "table",
          title: "Minima",
          columns: ["", "local minima on the grid", "lowest at x₁", "x₂", "its value (nats)"],
          rows: named.map(([name, values]) => {
            const [x, y] = lowest(values);
            return [name, minima(values), x.toFixed(2), y.toFixed(2), Math.min(...values).toFixed(2)];
          }),
        },
      ],
      rows: csv(maps),
    };
  },
};

/** q of figure 3: two unequal modes. */
const MODES = [
  { weight: 0.62, mean: -1.6, deviation: 0.55 },
  { weight: 0.38, mean: 1.7, deviation: 0.75 },
];

interface Best {
  readonly mean: number;
  readonly deviation: number;
  readonly divergence: number;
}

interface Sought {
  /** Of fixed deviation, as the algorithms have it (√τ), and free. */
  readonly deviation: number | null;
  readonly meanSeeking: Best;
  /** Every local minimum, best first. */
  readonly modeSeeking: readonly Best[];
}

const density = (x: Float64Array) =>
  Math.log(
    MODES.reduce(
      (sum, { weight, mean, deviation }) => sum + weight * Math.exp(logNormal(x, [mean], [deviation ** 2])),
      0,
    ),
  );

function seek(deviation: number | null): Sought {
  const grid = gridAround([0], 9, 721);
  const q = normalized(grid, grid.points.map(density));
  const means = Array.from({ length: 121 }, (_, i) => -3 + i * 0.05);
  const deviations = deviation === null ? Array.from({ length: 45 }, (_, i) => 0.3 + i * 0.05) : [deviation];
  const of = (m: number, s: number) =>
    normalized(
      grid,
      grid.points.map((x) => logNormal(x, [m], [s * s])),
    );
  const table = means.map((m) =>
    deviations.map((s) => {
      const phi = of(m, s);
      return { mean: m, deviation: s, forward: divergence(grid, q, phi), backward: divergence(grid, phi, q) };
    }),
  );
  const flat = table.flat();
  const least = flat.reduce((best, one) => (one.forward < best.forward ? one : best));
  const local = table.flatMap((row, i) =>
    row.filter((one, k) => {
      const around = [-1, 0, 1].flatMap((a) =>
        [-1, 0, 1].map((b) => table[i + a]?.[k + b]?.backward ?? Number.POSITIVE_INFINITY),
      );
      return i > 0 && i < table.length - 1 && around.every((value) => value >= one.backward);
    }),
  );
  return {
    deviation,
    meanSeeking: { mean: least.mean, deviation: least.deviation, divergence: least.forward },
    modeSeeking: local
      .map(({ mean, deviation: s, backward }) => ({ mean, deviation: s, divergence: backward }))
      .sort((a, b) => a.divergence - b.divergence),
  };
}

const SOUGHT = [null, 0.5].map((deviation) =>
  here(`figure 3, ${deviation ?? "free"}`, { figure: 3, modes: MODES, deviation }, () => seek(deviation)),
);

const figure3: Experiment = {
  id: "figure-3",
  title: "Figure 3: mode seeking and mean seeking",
  paper:
    "“Cartoon representation of the mode seeking (left) and mean seeking (right) Kullback–Leibler minimization. Mean seeking " +
    "minimization is employed within local-entropy optimization; mode seeking minimization is employed within optimization of the " +
    "heat-regularized loss.”",
  note:
    "The density is ours: two modes, 62 % and 38 % of the mass. The Gaussian's variance is free, as the cartoon suggests, and fixed, as " +
    "both algorithms have it (√τ = 0.5). Divergences on a grid of means (0.05) and deviations (0.05).",
  mnist: false,
  tasks: () => SOUGHT,
  show(_scale, results) {
    const found = SOUGHT.map((task) => results(task));
    const along = Array.from({ length: 181 }, (_, i) => -4.5 + i * 0.05);
    const curve = (name: string, log: (x: Float64Array) => number) => ({
      name,
      points: along.map((x) => ({ x, y: Math.exp(log(Float64Array.of(x))) })),
    });
    const normal = (name: string, { mean, deviation }: Best) =>
      curve(name, (x) => logNormal(x, [mean], [deviation ** 2]));
    const truth = MODES.reduce((sum, { weight, mean }) => sum + weight * mean, 0);
    return {
      parts: [
        ...found.map(({ deviation, meanSeeking, modeSeeking }) => ({
          kind: "plot" as const,
          title: deviation === null ? "Free variance" : `Variance fixed at ${deviation ** 2}`,
          caption: `q and its best Gaussians: mean seeking at ${short(meanSeeking.mean)}, the mean of q (${short(truth)}); mode seeking at one mode, with ${modeSeeking.length} local minima.`,
          svg: linePlot({
            label: "q and its best Gaussians",
            x: { label: "x" },
            y: { label: "density" },
            series: [
              curve("q", density),
              normal("mean seeking, D(q‖φ)", meanSeeking),
              normal("mode seeking, D(φ‖q)", modeSeeking[0]),
              ...modeSeeking.slice(1, 2).map((other) => normal("its other minimum", other)),
            ],
          }),
        })),
        {
          kind: "table",
          title: "Best Gaussians",
          columns: ["variance", "divergence", "mean", "deviation", "nats"],
          rows: found.flatMap(({ deviation, meanSeeking, modeSeeking }) => [
            row(deviation, "D(q‖φ), mean seeking", meanSeeking),
            ...modeSeeking.map((one, i) =>
              row(deviation, i === 0 ? "D(φ‖q), mode seeking" : "a local minimum of it", one),
            ),
          ]),
        },
      ],
      rows: found.flatMap(({ deviation, meanSeeking, modeSeeking }) => [
        { variance: deviation === null ? "free" : deviation ** 2, seeking: "mean", ...meanSeeking },
        ...modeSeeking.map((one) => ({
          variance: deviation === null ? "free" : deviation ** 2,
          seeking: "mode",
          ...one,
        })),
      ]),
    };
  },
};

function row(fixed: number | null, name: string, { mean, deviation, divergence: nats }: Best) {
  return [fixed === null ? "free" : short(fixed ** 2), name, short(mean), short(deviation), short(nats)];
}

export const TOYS: readonly Experiment[] = [figure1, figure2, figure3];
