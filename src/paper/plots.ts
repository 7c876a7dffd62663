/**
 * The plots: curves with bands, and maps of functions of two variables, by Observable Plot without a browser.
 *
 * Colours are CSS variables --series-1 … --series-8, so that one picture serves light and dark; `standalone` gives a file of
 * its own the variables' values. The eight are Okabe and Ito's, which the colour-blind can tell apart, lighter in the
 * dark; curves differ by their dashes too.
 */
import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";

const { document } = parseHTML("<!doctype html><html><body></body></html>");

const SERIES = 8;
const LIGHT = ["#0072b2", "#d55e00", "#008a66", "#a8558a", "#b38600", "#3a9fd6", "#5b5b5b", "#7a3b00"];
const DARK = ["#5cb3ee", "#ff8a3d", "#2fd0a0", "#e79bcb", "#f0c33c", "#9adcff", "#bdbdbd", "#d9a06b"];
const DASHES = ["", "7 3", "2 3", "9 3 2 3", "", "7 3", "2 3", "9 3 2 3"];

const variables = (colours: readonly string[]) =>
  colours.map((colour, i) => `--series-${i + 1}:${colour};`).join("");
/** Style sheet of the variables, for a page or a picture. */
export const PLOT_STYLE = `:root{${variables(LIGHT)}}@media (prefers-color-scheme:dark){:root{${variables(DARK)}}}`;
const PAPER =
  ":root{color:#1d2127;background:#fff}@media (prefers-color-scheme:dark){:root{color:#e8e6e2;background:#1a1d21}}";

export interface Axis {
  /** With its unit. */
  readonly label: string;
  readonly log?: boolean;
  readonly domain?: readonly [number, number];
}

export interface Series {
  readonly name: string;
  readonly points: readonly {
    readonly x: number;
    readonly y: number;
    readonly low?: number;
    readonly high?: number;
  }[];
  /** Whether each point has a dot. */
  readonly dots?: boolean;
  /** Only dots. */
  readonly scatter?: boolean;
}

export interface LinePlot {
  readonly label: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
  readonly width?: number;
  readonly height?: number;
  /** Written above it, where a figure has several panels. */
  readonly heading?: string;
}

const FONT = 12;
const LETTER = 6.6;

/** Curves over one axis; the legend stands above, in as many lines as it takes. */
export function linePlot({ label, x, y, series, width = 460, height = 280, heading }: LinePlot): string {
  const marginLeft = 54;
  const marginRight = 16;
  const legend = legendOf(series, width - marginLeft - marginRight);
  const top = heading === undefined ? 0 : 20;
  const marginTop = 26 + top + legend.height;
  const marks = series.flatMap(({ points, dots, scatter }, index) => {
    const stroke = colour(index);
    const banded = points.filter(({ low }) => low !== undefined);
    const band = Plot.areaY(banded, { x: "x", y1: "low", y2: "high", fill: stroke, fillOpacity: 0.16 });
    const line = Plot.line(points, {
      ...{ x: "x", y: "y", stroke, strokeWidth: 1.9, strokeLinejoin: "round" },
      ...(DASHES[index % SERIES] ? { strokeDasharray: DASHES[index % SERIES] } : {}),
    });
    const dot = Plot.dot(points, { x: "x", y: "y", fill: stroke, r: scatter ? 3.4 : 2.6 });
    return [
      ...(banded.length > 0 ? [band] : []),
      ...(scatter ? [] : [line]),
      ...(scatter || dots || points.length === 1 ? [dot] : []),
    ];
  });
  const svg = Plot.plot({
    document,
    ...{ width, height: height + legend.height + top, marginTop, marginLeft, marginRight, marginBottom: 40 },
    style: { fontSize: `${FONT}px`, overflow: "visible" },
    x: axisOf(x),
    y: { ...axisOf(y), label: null, grid: true, ticks: 5 },
    marks,
  });
  // Plot would write it where the legend stands.
  const unit = `<text text-anchor="start" x="${marginLeft - 20}" y="${marginTop - 12}">↑ ${escaped(y.label)}</text>`;
  const above = legend.svg.replace(
    "<g>",
    `<g text-anchor="start" transform="translate(${marginLeft - 20},${top + 4})">`,
  );
  return named(svg, label, (heading === undefined ? "" : title(heading, marginLeft - 20)) + above + unit);
}

function axisOf({ label, log, domain }: Axis): Plot.ScaleOptions {
  return {
    label,
    ...(log ? { type: "log", tickFormat: decade } : { ticks: 5 }),
    ...(domain ? { domain: [...domain] } : { nice: true }),
  } as Plot.ScaleOptions;
}

/** Labels for the powers of ten among a logarithmic axis's ticks. */
function decade(value: number): string {
  return Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-6
    ? String(Number(value.toPrecision(1)))
    : "";
}

function colour(index: number): string {
  return `var(--series-${(index % SERIES) + 1})`;
}

function legendOf(series: readonly Series[], width: number): { svg: string; height: number } {
  if (series.length < 2) return { svg: "<g></g>", height: 0 };
  let [x, y] = [0, 0];
  const keys = series.map(({ name, scatter }, index) => {
    const long = 44 + LETTER * name.length;
    if (x > 0 && x + long > width) [x, y] = [0, y + 17];
    const dash = DASHES[index % SERIES] ? ` stroke-dasharray="${DASHES[index % SERIES]}"` : "";
    const shape = scatter
      ? `<circle cx="${x + 10}" cy="${y + 8}" r="3.4" fill="${colour(index)}"/>`
      : `<line x1="${x}" x2="${x + 20}" y1="${y + 8}" y2="${y + 8}" stroke="${colour(index)}" stroke-width="2.4"${dash}/>`;
    const key = `${shape}<text x="${x + 25}" y="${y + 12}">${escaped(name)}</text>`;
    x += long;
    return key;
  });
  return { svg: `<g>${keys.join("")}</g>`, height: y + 17 };
}

function title(text: string, x: number): string {
  return `<text text-anchor="start" x="${x}" y="14" font-weight="600">${escaped(text)}</text>`;
}

export interface MapPlot {
  readonly heading: string;
  /** Both axes. */
  readonly range: readonly [number, number];
  readonly value: (x: number, y: number) => number;
  /** Values at which the colour scale begins and ends. */
  readonly domain: readonly [number, number];
  /** Points that are marked, with what is written beside them. */
  readonly marked?: readonly { readonly x: number; readonly y: number; readonly text: string }[];
}

const MAP = 250;

/** A function of two variables by filled contours; the colours (cividis) are the same in light and dark. */
function mapPlot({ heading, range, value, domain, marked = [] }: MapPlot): string {
  const svg = Plot.plot({
    document,
    ...{ width: MAP, height: MAP + 22, marginTop: 30, marginLeft: 36, marginRight: 8, marginBottom: 34 },
    style: { fontSize: `${FONT}px`, overflow: "visible" },
    x: { domain: [...range], label: "x₁", ticks: 5 },
    y: { domain: [...range], label: "x₂", ticks: 5 },
    color: { type: "linear", scheme: "cividis", domain: [...domain], clamp: true },
    marks: [
      Plot.contour({
        fill: value,
        ...{ x1: range[0], x2: range[1], y1: range[0], y2: range[1], pixelSize: 3 },
        thresholds: Array.from({ length: 24 }, (_, i) => domain[0] + ((domain[1] - domain[0]) * i) / 24),
      }),
      Plot.dot(marked, { x: "x", y: "y", stroke: "#ffffff", fill: "#000000", r: 3.2 }),
      Plot.text(marked, {
        ...{ x: "x", y: "y", text: "text", dy: -10, fill: "#000000", stroke: "#ffffff", strokeWidth: 3 },
        fontWeight: 600,
      }),
    ],
  });
  return named(svg, heading, title(heading, 36));
}

/** Maps side by side with one colour scale, whose ramp stands below. */
export function mapPlots(label: string, unit: string, maps: readonly MapPlot[]): string {
  const { domain } = maps[0];
  const ramp = Plot.plot({
    document,
    ...{ width: 340, height: 54, marginTop: 2, marginBottom: 34, marginLeft: 20, marginRight: 20 },
    style: { fontSize: `${FONT}px`, overflow: "visible" },
    x: { domain: [...domain], label: unit, ticks: 5 },
    y: { axis: null },
    color: { type: "linear", scheme: "cividis", domain: [...domain] },
    marks: [
      Plot.rectX(
        Array.from({ length: 100 }, (_, i) => domain[0] + ((domain[1] - domain[0]) * i) / 100),
        {
          x1: (v: number) => v,
          x2: (v: number) => v + (domain[1] - domain[0]) / 100,
          fill: (v: number) => v,
        },
      ),
    ],
  });
  const below = named(ramp, `Colours: ${unit}`, "");
  const panels = sideBySide(
    maps.map(mapPlot),
    maps.map(() => [MAP, MAP + 22]),
  );
  return framed(
    label,
    [
      [panels.svg, 0, 0, panels.width, panels.height],
      [below, Math.max(0, (panels.width - 340) / 2), panels.height + 8, 340, 54],
    ],
    panels.width,
    panels.height + 66,
  );
}

/** Line plots in rows of `columns`. */
export function panels(label: string, plots: readonly LinePlot[], columns = 2): string {
  const [width, gap] = [440, 14];
  const height = 270;
  const drawn = plots.map((plot) => linePlot({ ...plot, width, height }));
  const heights = drawn.map((svg) => Number(/height="(\d+)"/.exec(svg)![1]));
  const placed: Placed[] = [];
  let y = 0;
  for (let first = 0; first < drawn.length; first += columns) {
    const row = heights.slice(first, first + columns);
    row.forEach((own, i) => {
      placed.push([drawn[first + i], i * (width + gap), y, width, own]);
    });
    y += Math.max(...row) + gap;
  }
  const across = Math.min(columns, drawn.length);
  return framed(label, placed, across * (width + gap) - gap, y - gap);
}

type Placed = [svg: string, x: number, y: number, width: number, height: number];

function sideBySide(svgs: readonly string[], sizes: readonly (readonly number[])[]) {
  let x = 0;
  const placed = svgs.map((svg, i): Placed => {
    const at = x;
    x += sizes[i][0] + 12;
    return [svg, at, 0, sizes[i][0], sizes[i][1]];
  });
  const height = Math.max(...sizes.map(([, own]) => own));
  return { svg: framed("", placed, x - 12, height), width: x - 12, height };
}

/** Pictures at their places in a larger one. */
function framed(label: string, placed: readonly Placed[], width: number, height: number): string {
  const inner = placed.map(([svg, x, y, w, h]) => {
    const bare = svg.replace(/^<svg([^>]*)>/, (_, attributes: string) => {
      const kept = attributes.replace(/ (?:x|y|width|height|role|aria-label)="[^"]*"/g, "");
      return `<svg x="${x}" y="${y}" width="${w}" height="${h}" overflow="visible"${kept}>`;
    });
    return bare;
  });
  const named = label === "" ? "" : ` role="img" aria-label="${escaped(label)}"`;
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" ` +
    `fill="currentColor" font-family="system-ui, sans-serif" font-size="${FONT}"${named}>${inner.join("")}</svg>`
  );
}

/** A plot's text with its name for readers who do not see it, and more drawn into it. */
function named(svg: ReturnType<typeof Plot.plot>, label: string, more: string): string {
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  svg.setAttribute("font-family", "system-ui, sans-serif");
  // Plot's style sheet would stand once in each picture; all that is needed of it here is said in attributes.
  return svg.outerHTML
    .replace(/<style>[\s\S]*?<\/style>/, "")
    .replace(/<\/svg>$/, `${more}</svg>`)
    .replaceAll("&nbsp;", " ");
}

/** The picture as a file of its own, light or dark as its reader's system. */
export function standalone(svg: string): string {
  return svg.replace(/^<svg([^>]*)>/, `<svg$1><style>${PLOT_STYLE}${PAPER}</style>`);
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
