/** What `flatness.ts` found, in tables and plots. */
import type { Cell, Part, Results, Scale, Shown } from "../experiment.ts";
import { around } from "../flatness.ts";
import { mapPlots, panels } from "../plots.ts";
import { correlation, fisherInterval, mean, short, spread } from "../statistics.ts";
import {
  FLATNESS_METHODS,
  type FlatNetwork,
  flatNetworks,
  flatnessSettings,
  MAPPED,
  RESCALED,
} from "./flatness.ts";

const METHODS = Object.keys(FLATNESS_METHODS);

/** A network that reached the loss. */
type Reached = FlatNetwork & {
  readonly flatness: NonNullable<FlatNetwork["flatness"]>;
  readonly testAccuracy: number;
};

interface Measure {
  readonly name: string;
  readonly unit?: string;
  readonly value: (network: Reached) => number;
}

function measuresOf(taus: readonly number[]): Measure[] {
  return [
    { name: "largest eigenvalue of ∇²f", unit: "nats/unit²", value: ({ flatness }) => flatness.largest[0] },
    {
      name: "sum of the five largest",
      value: ({ flatness }) => flatness.largest.reduce((sum, v) => sum + v, 0),
    },
    ...taus.map((tau, i) => ({
      name: `F_τ − f, τ = ${tau}`,
      value: ({ flatness }: Reached) => flatness.smoothed[i].localEntropy,
    })),
    { name: "relative curvature", unit: "nats", value: ({ flatness }) => flatness.relative },
  ];
}

export function flatnessShown(scale: Scale, results: Results): Shown {
  const settings = flatnessSettings(scale);
  const networks = flatNetworks(scale).map((task) => results(task));
  const reached = networks.filter((network): network is Reached => network.flatness !== null);
  const measures = measuresOf(settings.taus);
  const seeds = networks.length / METHODS.length;
  const of = (method: string) => reached.filter((network) => network.method === method);
  const parts: Part[] = [
    {
      kind: "text",
      text:
        `Flatness. “A possible explanation is that parameters in flat local minima of the loss give better generalization.” Six methods train 784-200-10 from the ` +
        `same starts until the loss on the first ${settings.rows} training images, looked at every ${settings.every} updates, is at most ${settings.target}: networks that ` +
        "are not finished look flat. Everything is measured on those images: the largest eigenvalues of ∇²f by Lanczos' method on exact products; how far F_τ, the local " +
        "entropy, lies above f (1,024 samples in two Walsh blocks); and the largest eigenvalue of D ∇²f D, D = diag(|x|), the curvature under relative changes of the parameters, " +
        "which stays the same when a hidden unit's incoming weights are multiplied and its outgoing ones divided by a number.",
    },
    {
      kind: "table",
      title: `At a training loss of ${settings.target}${seeds > 1 ? `, mean ± standard deviation over ${seeds} seeds` : ", one seed"}`,
      columns: [
        ...["", "reached", "updates", "loss", "test accuracy (%)", "|x|", "smallest eigenvalue"],
        ...measures.map(({ name }) => name),
      ],
      rows: METHODS.map((method): Cell[] => {
        const all = of(method);
        const count = `${all.length} of ${seeds}`;
        if (all.length === 0) return [method, count, ...new Array(5 + measures.length).fill("–")];
        const cell = (value: (network: Reached) => number, digits: number) => spread(all.map(value), digits);
        return [
          ...[method, count, Math.round(mean(all.map(({ updates }) => updates!)))],
          cell(({ flatness }) => flatness.loss, 4),
          cell(({ testAccuracy }) => 100 * testAccuracy, 2),
          cell(({ flatness }) => flatness.norm, 2),
          short(mean(all.map(({ flatness }) => flatness.smallest))),
          ...measures.map(({ value }) => measured(all.map(value))),
        ];
      }),
    },
    {
      kind: "table",
      title: "Correlation of test accuracy with the logarithm of a measure, 95 % intervals by Fisher's z",
      columns: ["", "within a method", "between methods", "over all networks"],
      rows: measures.map(({ name, value }) => [name, ...correlationsOf(reached, value)]),
    },
    {
      kind: "text",
      text:
        "Within a method: each network's deviations from the mean of its method, all methods together, so n is the number of networks less the number of methods, plus one. Between methods: " +
        "the methods' means, so n is the number of methods, few, and their intervals are wide. Below zero means that flatter is better. A correlation over all networks mixes the two, and " +
        "its interval, which takes networks of one method for independent of each other, is too narrow.",
    },
    ...rescaledPart(reached),
    ...scatterPart(reached, measures),
    ...linesPart(reached, settings),
    ...planesPart(reached, settings),
  ];
  return { parts, rows: reached.map(rowOf) };
}

/** Three digits, with the standard deviation over seeds. */
function measured(values: readonly number[]): string {
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(mean(values)))));
  return spread(values, Math.min(8, digits));
}

function correlationsOf(all: readonly Reached[], value: Measure["value"]): string[] {
  const points = all
    .map((network) => ({ method: network.method, x: Math.log(value(network)), y: network.testAccuracy }))
    .filter(({ x }) => Number.isFinite(x)); // a measure that is not above zero has no logarithm
  const methods = [...new Set(points.map(({ method }) => method))];
  const means = methods.map((method) => {
    const own = points.filter((point) => point.method === method);
    return { method, x: mean(own.map(({ x }) => x)), y: mean(own.map(({ y }) => y)) };
  });
  const within = points.map(({ method, x, y }) => {
    const center = means.find((one) => one.method === method)!;
    return { x: x - center.x, y: y - center.y };
  });
  const told = (pairs: readonly { x: number; y: number }[], n: number) => {
    const r = correlation(
      pairs.map(({ x }) => x),
      pairs.map(({ y }) => y),
    );
    const interval = fisherInterval(r, n);
    if (interval === null || !Number.isFinite(r)) return `– (n = ${n})`;
    return `${r.toFixed(2)} (${interval[0].toFixed(2)} … ${interval[1].toFixed(2)}; n = ${n})`;
  };
  return [
    told(within, points.length - methods.length + 1),
    told(means, means.length),
    told(points, points.length),
  ];
}

function rescaledPart(all: readonly Reached[]): Part[] {
  return all
    .filter(({ rescaled }) => rescaled !== null)
    .map(({ method, flatness, rescaled }) => ({
      kind: "table",
      title: `The same function by other parameters: hidden units of “${method}” rescaled by 1/${RESCALED} … ${RESCALED}`,
      columns: ["", "loss", "largest eigenvalue of ∇²f", "relative curvature"],
      rows: [
        ["as trained", short(flatness.loss, 5), short(flatness.largest[0], 4), short(flatness.relative, 4)],
        ["rescaled", short(rescaled!.loss, 5), short(rescaled!.largest, 4), short(rescaled!.relative, 4)],
      ],
    }));
}

function scatterPart(all: readonly Reached[], measures: readonly Measure[]): Part[] {
  const shown = [measures[0], measures[measures.length - 1]];
  return [
    {
      kind: "plot",
      title: "Test accuracy over flatness, at equal training loss",
      caption: "One dot a network.",
      svg: panels(
        "test accuracy over flatness",
        shown.map(({ name, unit, value }) => ({
          label: `test accuracy over ${name}`,
          x: { label: unit === undefined ? name : `${name} (${unit})`, log: true },
          y: { label: "test accuracy (%)" },
          series: METHODS.map((method) => ({
            ...{ name: method, scatter: true },
            points: all
              .filter((network) => network.method === method)
              .map((network) => ({ x: value(network), y: 100 * network.testAccuracy })),
          })),
        })),
      ),
    },
  ];
}

type Settings = ReturnType<typeof flatnessSettings>;

function linesPart(all: readonly Reached[], { line, along, across }: Settings): Part[] {
  const drawn = all.filter(({ lines }) => lines !== null);
  const panel = (kind: "eigenvector" | "filter", half: number, label: string) => ({
    label: `loss along ${label}`,
    x: { label },
    y: { label: "loss (nats)" },
    series: drawn.map(({ method, lines }) => ({
      name: method,
      points: around(half, line).map((x, i) => ({ x, y: lines![kind][i] })),
    })),
  });
  return [
    {
      kind: "plot",
      title: "Landscapes in one dimension",
      caption:
        "One network of each method. Left: along the eigenvector of the largest eigenvalue, of length 1. Right: along a random direction with the size of each unit's weights.",
      svg: panels("loss along lines", [
        panel("eigenvector", along, "along the first eigenvector (units of x)"),
        panel("filter", across, "along a filter-normalized direction (its length)"),
      ]),
    },
  ];
}

function planesPart(all: readonly Reached[], { plane, planeRows, across }: Settings): Part[] {
  const drawn = MAPPED.flatMap((method) => all.filter((one) => one.method === method && one.plane !== null));
  if (drawn.length === 0) return [];
  const highest = Math.max(...drawn.map(({ plane: losses }) => Math.max(...losses!)));
  return [
    {
      kind: "plot",
      title: "Landscapes in two dimensions",
      caption: `The loss on ${planeRows} of the images over the plane of two random filter-normalized directions, the trained network in the middle.`,
      svg: mapPlots(
        "loss over planes",
        "loss (nats)",
        drawn.map(({ method, plane: losses }) => ({
          heading: method,
          range: [-across, across] as const,
          value: between(losses!, plane, across),
          domain: [0, highest] as const,
          marked: [{ x: 0, y: 0, text: "" }],
        })),
      ),
    },
  ];
}

/** Bilinear in between the points of a grid on −half … half of `count` points a side, row after row. */
function between(values: readonly number[], count: number, half: number): (x: number, y: number) => number {
  const place = (t: number) => {
    const at = Math.min(count - 1, Math.max(0, ((t / half + 1) / 2) * (count - 1)));
    const low = Math.min(count - 2, Math.floor(at));
    return [low, at - low] as const;
  };
  return (x, y) => {
    const [[column, right], [row, down]] = [place(x), place(y)];
    const at = (r: number, c: number) => values[r * count + c];
    const upper = at(row, column) * (1 - right) + at(row, column + 1) * right;
    const lower = at(row + 1, column) * (1 - right) + at(row + 1, column + 1) * right;
    return upper * (1 - down) + lower * down;
  };
}

function rowOf({ method, seed, updates, testAccuracy, flatness }: Reached): Record<string, Cell> {
  const { loss, norm, smallest, relative, products, converged } = flatness;
  const eigenvalues = flatness.largest.map((value, i) => [`eigenvalue${i + 1}`, value]);
  const smoothed = flatness.smoothed.flatMap(({ tau, localEntropy, heat }) => [
    [`localEntropyAbove, τ = ${tau}`, localEntropy],
    [`heatAbove, τ = ${tau}`, heat],
  ]);
  return {
    ...{ series: `flatness: ${method}`, seed, update: updates, accuracy: testAccuracy, loss, norm, smallest },
    ...Object.fromEntries([...eigenvalues, ...smoothed]),
    ...{ relative, products, converged: String(converged) },
  };
}
