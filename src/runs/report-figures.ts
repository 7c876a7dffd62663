/**
 * The figures of a report: curves of a run, the first layer's weights, the confusion matrix.
 *
 * Each is a piece of HTML that needs no script; its colours are the page's CSS variables, so that one picture serves
 * light and dark. A figure for which there is nothing to show is null.
 */
import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import type { Vector } from "../backends/backend.ts";
import { layerShapes, type Network } from "../network.ts";
import type { TrainRecord } from "../run.ts";
import { encodePng } from "./png.ts";

/** A figure of the page: its heading, what stands under it, and the picture. */
export interface Figure {
  readonly title: string;
  readonly caption: string;
  readonly body: string;
  /** Names of the series, in the order of the page's colours; none if there is only one. */
  readonly legend?: readonly string[];
}

interface Point {
  readonly update: number;
  readonly value: number;
}

interface Series {
  readonly name: string;
  readonly points: readonly Point[];
}

const { document } = parseHTML("<!doctype html><html><body></body></html>");
const COLOURS = ["var(--first)", "var(--second)"];
const WIDTH = 460;
const HEIGHT = 250;
/** Points of a curve at most: more than one a pixel only make it ragged. */
const POINTS = 400;

const integers = new Intl.NumberFormat("en-US");
const shortNumbers = new Intl.NumberFormat("en-US", { notation: "compact", maximumSignificantDigits: 3 });

function draw(options: Plot.PlotOptions, label: string): string {
  const svg = Plot.plot({ document, ...options });
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  return svg.outerHTML;
}

/** Records that have the quantity, as points; many are joined by their means. */
function pointsOf(
  records: readonly TrainRecord[],
  quantity: (record: TrainRecord) => number | undefined,
): Point[] {
  const points = records.flatMap((record) => {
    const value = quantity(record);
    return value !== undefined && Number.isFinite(value) ? [{ update: record.update, value }] : [];
  });
  const size = Math.ceil(points.length / POINTS);
  if (size <= 1) return points;
  return Array.from({ length: Math.ceil(points.length / size) }, (_, index) => {
    const part = points.slice(index * size, (index + 1) * size);
    return {
      update: part[part.length - 1].update,
      value: part.reduce((sum, p) => sum + p.value, 0) / part.length,
    };
  });
}

/** Linear, but logarithmic where the values are positive and span more than a factor of 20. */
function scaleOf(series: readonly Series[]): "log" | "linear" {
  const values = series.flatMap(({ points }) => points.map(({ value }) => value));
  const least = Math.min(...values);
  return least > 0 && Math.max(...values) > 20 * least ? "log" : "linear";
}

/** Labels for the powers of ten among a logarithmic axis's ticks. */
function decade(value: number): string {
  return Number.isInteger(Math.round(1e6 * Math.log10(value)) / 1e6) ? String(value) : "";
}

function curves(
  series: readonly Series[],
  label: string,
  y: Plot.ScaleOptions,
  dots: boolean,
): string | null {
  const drawn = series.filter(({ points }) => points.length > 0);
  if (drawn.length === 0) return null;
  const last = Math.max(...drawn.map(({ points }) => points[points.length - 1].update));
  const marks = drawn.flatMap(({ points }, index) => {
    const at = { x: "update", y: "value" } as const;
    const line = Plot.line(points, {
      ...at,
      stroke: COLOURS[index],
      strokeWidth: 1.8,
      strokeLinejoin: "round",
    });
    const shown =
      dots || points.length === 1 ? [Plot.dot(points, { ...at, fill: COLOURS[index], r: 3 })] : [];
    return [line, ...shown];
  });
  return draw(
    {
      width: WIDTH,
      height: HEIGHT,
      marginTop: 30,
      marginLeft: 52,
      marginRight: 18,
      marginBottom: 38,
      style: { fontSize: "12px", overflow: "visible" },
      x: { label: "updates", domain: [0, last], ticks: 5, tickFormat: (d: number) => shortNumbers.format(d) },
      y: {
        label,
        grid: true,
        ticks: 5,
        nice: true,
        ...(y.type === "log" ? { tickFormat: decade } : {}),
        ...y,
      },
      marks,
    },
    `${label} over updates`,
  );
}

/** Mean loss that the updates saw and, with importance sampling, the estimate of F_τ. */
export function lossFigure(records: readonly TrainRecord[]): Figure | null {
  const loss = { name: "loss", points: pointsOf(records, (record) => record.loss) };
  const free = { name: "local entropy F", points: pointsOf(records, (record) => record.freeEnergy) };
  const series = free.points.length > 0 ? [loss, free] : [loss];
  const body = curves(series, "nats", { type: scaleOf(series) }, false);
  if (body === null) return null;
  return {
    title: "Loss",
    caption:
      series.length > 1
        ? "Mean loss of the sampled networks on their minibatches, and the estimate of the local entropy."
        : "Mean loss on the minibatches.",
    body,
    legend: series.length > 1 ? series.map(({ name }) => name) : undefined,
  };
}

export function accuracyFigure(records: readonly TrainRecord[]): Figure | null {
  const test = { name: "test", points: pointsOf(records, ({ testAccuracy: a }) => a && 100 * a) };
  const held = { name: "validation", points: pointsOf(records, ({ validationAccuracy: a }) => a && 100 * a) };
  const series = [test, held].filter(({ points }) => points.length > 0);
  const values = series.flatMap(({ points }) => points.map(({ value }) => value));
  const least = Math.floor(Math.min(...values) / 5) * 5;
  const body = curves(series, "% right", { domain: [Math.min(least, 95), 100] }, true);
  if (body === null) return null;
  const last = series[0].points[series[0].points.length - 1];
  return {
    title: "Accuracy",
    caption: `Share of the ${series[0].name} images that are recognized: ${last.value.toFixed(2)} % at the end.`,
    body,
    legend: series.length > 1 ? series.map(({ name }) => name) : undefined,
  };
}

/** Of a regression, in the accuracy's place. */
export function errorFigure(records: readonly TrainRecord[]): Figure | null {
  const test = {
    name: "test",
    points: pointsOf(records, (record) => record.testErrors?.rootMeanSquareError),
  };
  const held = {
    name: "validation",
    points: pointsOf(records, (record) => record.validationErrors?.rootMeanSquareError),
  };
  const series = [test, held].filter(({ points }) => points.length > 0);
  const body = curves(series, "error", { type: scaleOf(series) }, true);
  if (body === null) return null;
  const last = series[0].points[series[0].points.length - 1];
  return {
    title: "Error",
    caption: `Root mean square error of the ${series[0].name} rows, in the targets' unit: ${Number(last.value.toPrecision(4))} at the end.`,
    body,
    legend: series.length > 1 ? series.map(({ name }) => name) : undefined,
  };
}

export function sampleSizeFigure(
  records: readonly TrainRecord[],
  samples: number | undefined,
): Figure | null {
  const points = pointsOf(records, (record) => record.effectiveSampleSize);
  const most = samples ?? Math.max(...points.map(({ value }) => value));
  const body = curves([{ name: "effective sample size", points }], "samples", { domain: [0, most] }, false);
  if (body === null) return null;
  const of = samples === undefined ? "" : `, of ${integers.format(samples)}`;
  return {
    title: "Effective sample size",
    caption: `How evenly the weights are spread${of}: (Σw)²/Σw². Coupled samples depend on each other, so this is no measure of the error.`,
    body,
  };
}

export function gradientFigure(records: readonly TrainRecord[]): Figure | null {
  const series = [{ name: "gradient", points: pointsOf(records, (record) => record.gradientNorm) }];
  const body = curves(series, "norm", { type: scaleOf(series) }, false);
  if (body === null) return null;
  return { title: "Gradient", caption: "Euclidean norm of the objective's estimated gradient.", body };
}

/** Counts of the test set: rows labels, columns predictions. Errors are shaded by the root of their share. */
export function confusionFigure(counts: readonly (readonly number[])[] | undefined): Figure | null {
  const all = counts?.flat().reduce((sum, count) => sum + count, 0) ?? 0;
  if (!counts || all === 0) return null;
  const cells = counts.flatMap((row, label) => {
    const total = Math.max(
      1,
      row.reduce((sum, count) => sum + count, 0),
    );
    return row.map((count, predicted) => {
      const share = count / total;
      const right = label === predicted;
      return {
        label,
        predicted,
        count,
        right,
        strength: right ? 0.8 + 0.2 * share : Math.min(0.9, 2.2 * Math.sqrt(share)),
      };
    });
  });
  const at = { x: "predicted", y: "label" } as const;
  const size = WIDTH;
  const fontSize = counts.length > 12 ? 8 : 12;
  const body = draw(
    {
      width: size,
      height: size,
      marginLeft: 44,
      marginTop: 44,
      marginRight: 4,
      marginBottom: 4,
      style: { fontSize: "12px" },
      x: { axis: "top", label: "recognized as", tickSize: 0, padding: 0.06 },
      y: { label: "label", tickSize: 0, padding: 0.06 },
      marks: [
        Plot.cell(cells, { ...at, fill: "var(--cell)", rx: 3 }),
        Plot.cell(
          cells.filter((c) => c.right),
          { ...at, fill: COLOURS[0], fillOpacity: "strength", rx: 3 },
        ),
        Plot.cell(
          cells.filter((c) => !c.right && c.count > 0),
          { ...at, fill: COLOURS[1], fillOpacity: "strength", rx: 3 },
        ),
        Plot.text(
          cells.filter((c) => !c.right && c.count > 0),
          { ...at, text: "count", fill: "currentColor", fontSize },
        ),
        Plot.text(
          cells.filter((c) => c.right),
          { ...at, text: "count", fill: "var(--on-first)", fontSize, fontWeight: 600 },
        ),
      ],
      opacity: { type: "identity" },
    },
    "confusion matrix",
  );
  const wrong = cells.reduce((sum, { right, count }) => sum + (right ? 0 : count), 0);
  return {
    title: "Confusion",
    caption: `${integers.format(wrong)} of ${integers.format(all)} test images are taken for another class.`,
    body,
  };
}

const LARGEST_GRID = 10;
const GAP = 2;
/** Blue for positive, orange for negative weights; opacity is the size, so zero is the page itself. */
const POSITIVE = [59, 110, 217];
const NEGATIVE = [222, 104, 36];

/** What the first layer's units look for, where an input is a square picture: one tile a unit, at most 100. */
export function weightsFigure(network: Network, parameters: Vector): Figure | null {
  const [{ offset, rows, columns }] = layerShapes(network);
  const side = Math.sqrt(rows - 1);
  if (!Number.isInteger(side) || side < 2) return null;
  const units = Math.min(columns, LARGEST_GRID ** 2);
  const across = Math.min(LARGEST_GRID, Math.ceil(Math.sqrt(units)));
  const down = Math.ceil(units / across);
  const weight = (pixel: number, unit: number) => parameters[offset + pixel * columns + unit];
  const sizes = new Float64Array((rows - 1) * units);
  for (let i = 0; i < sizes.length; i++) sizes[i] = Math.abs(weight(Math.floor(i / units), i % units));
  const scale = sizes.sort()[Math.floor(0.995 * (sizes.length - 1))] || 1;

  const width = across * (side + GAP) - GAP;
  const height = down * (side + GAP) - GAP;
  const pixels = new Uint8Array(4 * width * height);
  for (let unit = 0; unit < units; unit++) {
    const left = (unit % across) * (side + GAP);
    const top = Math.floor(unit / across) * (side + GAP);
    for (let pixel = 0; pixel < rows - 1; pixel++) {
      const value = weight(pixel, unit);
      const at = 4 * ((top + Math.floor(pixel / side)) * width + left + (pixel % side));
      pixels.set(value > 0 ? POSITIVE : NEGATIVE, at);
      pixels[at + 3] = Math.round(255 * Math.min(1, Math.abs(value) / scale));
    }
  }
  const png = Buffer.from(encodePng(width, height, pixels)).toString("base64");
  const which =
    units < columns ? `the first ${units} of ${integers.format(columns)} units` : `the ${units} units`;
  return {
    title: "First layer",
    caption:
      `Weights of ${which}, one tile each of ${side} × ${side} inputs. Blue is positive, orange negative; ` +
      `full colour from ${scale.toPrecision(2)}.`,
    body: `<img class="weights" alt="weights of the first layer" src="data:image/png;base64,${png}">`,
  };
}
