/**
 * The report of a run: one HTML file that needs nothing else, no script and no network.
 *
 * `local-entropy/report` in the package: `writeReport` for a run's folder, `renderReport` for the data itself.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Vector } from "../backends/backend.ts";
import { CheckpointError } from "../errors.ts";
import { nextTurn } from "../host.ts";
import type { Network } from "../network.ts";
import type { TrainRecord } from "../run.ts";
import { load } from "./checkpoint.ts";
import { CHECKPOINT_FILE, REPORT_FILE, RUN_FILE, writeAtomically, writing } from "./files.ts";
import { type RunFile, readRunFile } from "./folder.ts";
import { readMetrics } from "./metrics.ts";
import {
  accuracyFigure,
  confusionFigure,
  errorFigure,
  type Figure,
  gradientFigure,
  lossFigure,
  sampleSizeFigure,
  weightsFigure,
} from "./report-figures.ts";
import { STYLE } from "./report-style.ts";

/** What a report shows; a figure without data is left out. */
export interface ReportData {
  /** What `run.json` holds. */
  readonly run: RunFile;
  /** The run's records in order, for its curves. */
  readonly records: readonly TrainRecord[];
  /** With `parameters`: for the picture of the first layer's weights. */
  readonly network?: Network;
  /** n. */
  readonly parameters?: Vector;
}

/**
 * Writes `report.html` into a run's folder from its other files.
 *
 * @param directory with at least `run.json`
 * @returns the path of the report
 * @throws CheckpointError if the folder holds no run, or a file of it cannot be read or written
 */
export async function writeReport(directory: string): Promise<string> {
  const run = await readRunFile(directory);
  if (run === null) {
    throw new CheckpointError(`The folder ${directory} holds no ${RUN_FILE}. Name the folder of a run`);
  }
  const state = existsSync(join(directory, CHECKPOINT_FILE)) ? await load(directory) : {};
  const path = join(directory, REPORT_FILE);
  const data = { run, records: readMetrics(directory), ...state };
  const figures: (Figure | null)[] = [];
  for (const draw of drawings(data)) {
    figures.push(draw());
    await nextTurn(); // a figure takes some ten milliseconds
  }
  const page = pageOf(data, figures);
  await writing(`The report ${path}`, () => writeAtomically(path, page));
  return path;
}

/** The page as text, complete HTML. */
export function renderReport(data: ReportData): string {
  return pageOf(
    data,
    drawings(data).map((draw) => draw()),
  );
}

/** What draws each figure, in the order of the page. */
function drawings({ run, records, network, parameters }: ReportData): (() => Figure | null)[] {
  return [
    () => accuracyFigure(records),
    () => errorFigure(records),
    () => lossFigure(records),
    () => sampleSizeFigure(records, run.backend?.samples),
    () => gradientFigure(records),
    () => (network && parameters ? weightsFigure(network, parameters) : null),
    () => confusionFigure(run.confusion),
  ];
}

function pageOf({ run, network }: ReportData, figures: readonly (Figure | null)[]): string {
  const title = headline(run);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)} · local-entropy</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<header>
<p class="eyebrow">local-entropy</p>
<h1>${escapeHtml(title)}</h1>
<p class="summary">${escapeHtml(summary(run, network))}</p>
</header>
<section class="figures">${figures.filter(isFigure).map(figure).join("\n")}</section>
<section class="facts">
${table("What ran", whatRan(run))}
${table("Options", flatten(run.options ?? run.command ?? {}))}
</section>
</main>
</body>
</html>
`;
}

const integers = new Intl.NumberFormat("en-US");

function headline({ testAccuracy, testErrors, completed, updates }: RunFile): string {
  if (typeof testAccuracy === "number") return `${(100 * testAccuracy).toFixed(2)} % test accuracy`;
  if (testErrors) return `Root mean square error ${digits(testErrors.rootMeanSquareError)} on the test rows`;
  if (updates === undefined) return "A run that has just begun";
  return completed
    ? `${integers.format(updates)} updates`
    : `Stopped after ${integers.format(updates)} updates`;
}

const ESTIMATORS: Record<string, string> = {
  "importance-sampling": "importance sampling",
  "evolution-strategies": "evolution strategies",
  sgld: "stochastic gradient Langevin dynamics",
  "robbins-monro": "Robbins–Monro",
};
const OBJECTIVES: Record<string, string> = {
  "local-entropy": "local entropy",
  heat: "heat regularization",
  loss: "stochastic gradient descent on the loss",
};

/** One sentence: which network was trained how, how long, on what. */
function summary(
  { options, backend, updates, seconds, completed }: RunFile,
  network: Network | undefined,
): string {
  const objective = (options?.objective ?? {}) as { kind?: string; estimator?: { kind?: string } };
  const kind = objective.kind ?? "local-entropy";
  const parts = [
    network ? `A ${network.layers.join("–")} network` : "A network",
    `trained by ${OBJECTIVES[kind] ?? kind}`,
  ];
  const estimator =
    objective.estimator?.kind ?? (kind === "local-entropy" ? "importance-sampling" : undefined);
  if (estimator) parts.push(`with ${ESTIMATORS[estimator] ?? estimator}`);
  if (estimator && backend?.samples) {
    const what = estimator === "sgld" ? "chain steps" : "samples";
    const coupling = backend.coupling && backend.coupling !== "independent" ? `${backend.coupling} ` : "";
    parts.push(`of ${integers.format(backend.samples)} ${coupling}${what} an update`);
  }
  if (updates !== undefined)
    parts.push(`${completed ? "for" : "stopped after"} ${integers.format(updates)} updates`);
  if (seconds !== undefined) parts.push(`in ${duration(seconds)}`);
  if (backend)
    parts.push(`on the ${backend.name} backend (${backend.instructionSet}, ${threads(backend.threads)})`);
  return `${parts.join(" ")}.`;
}

function whatRan({
  backend,
  versions,
  started,
  seconds,
  updates,
  completed,
  validationAccuracy,
  testErrors,
  validationErrors,
}: RunFile): Row[] {
  const rows: Row[] = [];
  if (backend) {
    rows.push(["backend", `${backend.name}, ${backend.instructionSet}, ${threads(backend.threads)}`]);
    for (const { name, reason } of backend.declined) rows.push([`not ${name}`, reason]);
    rows.push(["first layer", backend.form]);
    if (backend.coupling) rows.push(["coupling", backend.coupling]);
    if (backend.samples) rows.push(["samples an update", integers.format(backend.samples)]);
  }
  if (updates !== undefined)
    rows.push(["updates", `${integers.format(updates)}${completed ? "" : ", stopped"}`]);
  if (seconds !== undefined) rows.push(["time", duration(seconds)]);
  if (updates && seconds)
    rows.push(["updates a second", integers.format(Number((updates / seconds).toPrecision(3)))]);
  if (typeof validationAccuracy === "number")
    rows.push(["validation", `${(100 * validationAccuracy).toFixed(2)} %`]);
  for (const [split, errors] of Object.entries({ test: testErrors, validation: validationErrors })) {
    if (!errors) continue;
    const { rootMeanSquareError, meanAbsoluteError, rSquared } = errors;
    rows.push([`${split}, root mean square error`, digits(rootMeanSquareError)]);
    rows.push([`${split}, mean absolute error`, digits(meanAbsoluteError)]);
    rows.push([`${split}, R²`, digits(rSquared)]);
  }
  rows.push(["started", started.replace("T", " ").replace(/\.\d+Z$/, " UTC")]);
  rows.push(["versions", `local-entropy ${versions.package}, Node ${versions.node}, ${versions.platform}`]);
  return rows;
}

/** Null where it was not finite. */
function digits(value: number | null): string {
  return value === null ? "not a number" : String(Number(value.toPrecision(4)));
}

type Row = readonly [name: string, value: string];

/** Options as rows "objective.estimator.kind" → value; a schedule's description as `cosine(0.001, 0)`. */
function flatten(value: unknown, path = ""): Row[] {
  if (typeof value !== "object" || value === null) return [[path, String(value)]];
  if (Array.isArray(value)) return [[path, value.map((item) => text(item)).join(" ")]];
  if (isSchedule(value)) return [[path, text(value)]];
  return Object.entries(value).flatMap(([key, inner]) => flatten(inner, path ? `${path}.${key}` : key));
}

function isSchedule(value: unknown): value is { name: string; arguments: unknown[] } {
  const { name, arguments: args } = (value ?? {}) as Record<string, unknown>;
  return typeof name === "string" && Array.isArray(args);
}

function text(value: unknown): string {
  if (isSchedule(value)) return `${value.name}(${value.arguments.map(text).join(", ")})`;
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function isFigure(value: Figure | null): value is Figure {
  return value !== null;
}

function figure({ title, caption, body, legend = [] }: Figure): string {
  const keys = legend
    .map((name, index) => `<span class="key key-${index + 1}">${escapeHtml(name)}</span>`)
    .join("");
  return `<figure>
<h2>${escapeHtml(title)}${keys}</h2>
${body}
<figcaption>${escapeHtml(caption)}</figcaption>
</figure>`;
}

function table(title: string, rows: readonly Row[]): string {
  if (rows.length === 0) return "";
  const body = rows.map(
    ([name, value]) => `<tr><th scope="row">${escapeHtml(name)}</th><td>${escapeHtml(value)}</td></tr>`,
  );
  return `<div>\n<h2>${escapeHtml(title)}</h2>\n<table>${body.join("\n")}</table>\n</div>`;
}

function threads(count: number): string {
  return count === 1 ? "1 thread" : `${count} threads`;
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Number(seconds.toPrecision(3))} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 90) return `${minutes} min ${Math.round(seconds - 60 * minutes)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function escapeHtml(value: string): string {
  return value.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
