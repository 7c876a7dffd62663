/**
 * Draws the guides' pictures into docs/figures/ (`node scripts/docs/figures.mjs`, after `npm run build`): what the package
 * computes at once, and what bench/studies/guides.mjs has measured.
 *
 * In a page of the site they take its colours; alone, as on a page of markdown, those that stand after a comma.
 */
import { readFileSync, writeFileSync } from "node:fs";
import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { loadMnist, minimize, openBackend, subset, train } from "../../dist/index.js";

const folder = new URL("../../docs/figures/", import.meta.url);
const measured = JSON.parse(readFileSync(new URL("measured.json", folder), "utf8"));
const { document } = parseHTML("<!doctype html><html><body></body></html>");

const FIRST = "var(--first, #3b6ed9)";
const SECOND = "var(--second, #c9571a)";
const QUIET = "var(--quiet, #5f6671)";
const ALONE = `<style data-alone>svg { background: #fbfaf8; color: #1d2127; } @media (prefers-color-scheme: dark) { svg { background: #1a1d21; color: #e8e6e2; --first: #7fa6ff; --second: #f08a4b; --quiet: #9aa1ab; } }</style>`;

/** Writes a plot; numbers of four digits are finer than a pixel. */
function write(name, options) {
  const svg = Plot.plot({
    document,
    width: 720,
    height: 330,
    marginLeft: 56,
    marginBottom: 44,
    marginTop: 28,
    style: { fontSize: "13px", background: "none", overflow: "visible" },
    ...options,
  });
  svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  const text = svg.outerHTML
    .replace(/>/, `>${ALONE}`)
    .replace(/="[^"]*\.\d{3}[^"]*"/g, (attribute) =>
      attribute.replace(/\d+\.\d{3,}/g, (number) => String(Number(Number(number).toFixed(2)))),
    )
    .replace(/plot-[0-9a-f]{6}/g, `figure-${name}`)
    .replaceAll("plot-clip-", `${name}-clip-`);
  writeFileSync(new URL(`${name}.svg`, folder), `${text}\n`);
  console.log(name);
}

const range = (count, from, to) =>
  Array.from({ length: count }, (_, i) => from + ((to - from) * i) / (count - 1));

// The method: one dimension, where everything can be seen.

const rugged = (x) => 0.6 * (x + 0.5) ** 2 + 0.25 * Math.sin(18 * x);
const function1d = {
  dimension: 1,
  value: ([x]) => rugged(x),
  gradient: ([x]) => [1.2 * (x + 0.5) + 4.5 * Math.cos(18 * x)],
};
const FROM = -2.1;
const TO = 1.6;
const HEIGHT = { label: null, domain: [-0.4, 2.6] };

/** One update at x: F_τ as its free energy and F^H_τ as the mean loss of its samples. */
async function smoothedAt(x, tau) {
  const run = minimize({
    loss: function1d,
    start: [x],
    updates: 1,
    recordEvery: 1,
    objective: {
      kind: "local-entropy",
      tau,
      estimator: {
        kind: "importance-sampling",
        temperature: 0.2,
        coupling: { kind: "antithetic", samples: 6_000 },
      },
    },
  });
  for await (const { freeEnergy, loss } of run) return { x, entropy: freeEnergy, heat: loss };
}

async function drawSmoothing() {
  const curve = range(500, FROM, TO).map((x) => ({ x, y: rugged(x) }));
  const smooth = [];
  for (const x of range(61, FROM, TO)) smooth.push(await smoothedAt(x, 0.03));
  const last = smooth.at(-1);
  write("smoothing", {
    marginRight: 118,
    x: { label: "x", ticks: 7 },
    y: HEIGHT,
    marks: [
      Plot.ruleY([0], { stroke: "currentColor", strokeOpacity: 0.15 }),
      Plot.line(curve, { x: "x", y: "y", stroke: QUIET, strokeWidth: 1.4 }),
      Plot.line(smooth, { x: "x", y: "entropy", stroke: FIRST, strokeWidth: 2.6, clip: true }),
      Plot.line(smooth, {
        x: "x",
        y: "heat",
        stroke: SECOND,
        strokeWidth: 2.6,
        strokeDasharray: "7 4",
        clip: true,
      }),
      Plot.text(
        [
          { y: rugged(TO), text: "f", fill: QUIET },
          { y: last.heat + 0.06, text: "heat", fill: SECOND },
          { y: last.entropy - 0.06, text: "local entropy", fill: FIRST },
        ],
        { x: () => TO, y: "y", text: "text", fill: "fill", textAnchor: "start", dx: 8 },
      ),
    ],
  });
}

/** x_0 … x_k: a run of fewer updates is the beginning of a longer one. */
async function path(count, settings) {
  const points = [settings.start[0]];
  for (let updates = 1; updates <= count; updates++) {
    points.push((await minimize({ loss: function1d, updates, ...settings }).result).parameters[0]);
  }
  return points.map((x, k) => ({ x, y: rugged(x), k }));
}

async function drawDescent() {
  const curve = range(500, FROM, TO).map((x) => ({ x, y: rugged(x) }));
  const ours = await path(24, {
    start: [1.5],
    objective: {
      kind: "local-entropy",
      tau: 0.03,
      estimator: { kind: "importance-sampling", temperature: 0.2 },
    },
    optimizer: { kind: "shift" },
  });
  const slope = await path(24, {
    start: [1.5],
    objective: { kind: "loss" },
    optimizer: { kind: "gradient-descent", rate: 0.01 },
  });
  write("descent", {
    marginRight: 30,
    x: { label: "x" },
    y: HEIGHT,
    marks: [
      Plot.line(curve, { x: "x", y: "y", stroke: QUIET, strokeWidth: 1.4, clip: true }),
      Plot.line(ours, { x: "x", y: "y", stroke: FIRST, strokeOpacity: 0.35, clip: true }),
      Plot.dot(ours, { x: "x", y: "y", fill: FIRST, r: 4.5, clip: true }),
      Plot.dot(slope, { x: "x", y: "y", stroke: SECOND, strokeWidth: 2, r: 5.5, clip: true }),
      Plot.text([slope.at(-1)], {
        x: "x",
        y: "y",
        text: () => "gradient descent",
        fill: SECOND,
        dy: 20,
        dx: 10,
      }),
      Plot.text([ours.at(-1)], { x: "x", y: "y", text: () => "Algorithm 1", fill: FIRST, dy: 22 }),
    ],
  });
}

// The method on a network: the law of the samples, however they are drawn.

async function drawLaws() {
  const data = await loadMnist();
  const network = [784, 200, 10];
  const { parameters } = await train({ network, data, updates: 500, threads: 1 }).result;
  const rows = subset(data.train, 32);
  const backend = await openBackend("auto", { threads: 1 });
  const ways = [
    [
      "direct: 159,010 normals a sample",
      QUIET,
      { projection: "off", rowwise: false, coupling: { kind: "independent", samples: 2048 } },
    ],
    [
      "projected: 8,410 normals a sample",
      FIRST,
      { rowwise: false, coupling: { kind: "independent", samples: 2048 } },
    ],
    [
      "Walsh blocks: 16 normals a sample",
      SECOND,
      { rowwise: false, coupling: { kind: "walsh", blocks: 128 } },
    ],
  ];
  const curves = [];
  for (const [name, , options] of ways) {
    const { losses } = await backend.weights({
      network,
      parameters,
      batch: { inputs: rows.inputs, labels: rows.labels },
      tau: 0.01,
      ...options,
    });
    const sorted = Float64Array.from(losses).sort();
    const step = sorted.length / 256;
    for (let i = 0; i < sorted.length; i += step)
      curves.push({ name, loss: sorted[i], share: i / sorted.length });
  }
  backend.close();
  write("laws", {
    marginRight: 24,
    x: { label: "loss of a sample on the minibatch →" },
    y: { label: "↑ share of samples below", percent: true },
    marks: [
      Plot.ruleY([0], { stroke: "currentColor", strokeOpacity: 0.3 }),
      ...ways.map(([name, stroke], i) =>
        Plot.line(
          curves.filter((c) => c.name === name),
          {
            x: "loss",
            y: "share",
            stroke,
            strokeWidth: [7, 3, 1.6][i],
            strokeOpacity: [0.35, 1, 1][i],
          },
        ),
      ),
      Plot.text(
        ways.map(([text, fill], i) => ({ text, fill, i })),
        {
          text: "text",
          fill: "fill",
          frameAnchor: "bottom-right",

          textAnchor: "end",
          lineAnchor: "bottom",
          dx: -4,
          y: (d) => 0.24 - 0.075 * d.i,
          fontWeight: 600,
        },
      ),
    ],
  });
}

/** The signs of 32 samples on 32 hidden units: row i, column j is (−1)^(number of ones in i AND j). */
function drawSigns() {
  const ones = (n) => n.toString(2).replaceAll("0", "").length;
  const cells = Array.from({ length: 1024 }, (_, c) => ({
    i: c >> 5,
    j: c & 31,
    sign: ones((c >> 5) & c & 31) % 2 === 0 ? 1 : -1,
  }));
  write("signs", {
    width: 360,
    height: 360,
    marginLeft: 44,
    marginTop: 34,
    marginBottom: 10,
    marginRight: 10,
    x: { axis: "top", label: "hidden unit", ticks: [0, 8, 16, 24, 31], domain: range(32, 0, 31) },
    y: { label: "sample", ticks: [0, 8, 16, 24, 31], domain: range(32, 0, 31) },
    marks: [
      Plot.cell(
        cells.filter(({ sign }) => sign > 0),
        { x: "j", y: "i", fill: FIRST, inset: 0.5 },
      ),
      Plot.cell(
        cells.filter(({ sign }) => sign < 0),
        { x: "j", y: "i", fill: QUIET, fillOpacity: 0.18, inset: 0.5 },
      ),
    ],
  });
}

// Settings: what was measured.

const mean = (values) => values.reduce((sum, v) => sum + v, 0) / values.length;

function drawSetting(name, label, series, options = {}) {
  const rows = measured[name].filter(({ accuracy }) => accuracy !== undefined);
  const marks = series.flatMap(({ keep = () => true, stroke, text, dy = -14, at = 3 }) => {
    const kept = rows.filter(keep);
    const values = [...new Set(kept.map((row) => row[name]))];
    const means = values.map((value) => ({
      value,
      accuracy: mean(kept.filter((row) => row[name] === value).map(({ accuracy }) => accuracy)),
    }));
    return [
      Plot.line(means, { x: "value", y: "accuracy", stroke, strokeWidth: 2.4, clip: true }),
      Plot.dot(kept, { x: name, y: "accuracy", fill: stroke, r: 3.5, fillOpacity: 0.75, clip: true }),
      ...(text
        ? [
            Plot.text([means[at]], {
              x: "value",
              y: "accuracy",
              text: () => text,
              fill: stroke,
              dy,
              fontWeight: 600,
            }),
          ]
        : []),
    ];
  });
  write(name, {
    marginRight: 30,
    insetLeft: 10,
    insetRight: 10,
    insetTop: 10,
    x: {
      type: "log",
      label,
      tickFormat: (v) => (v < 0.001 ? v.toExponential(0) : String(v)),
      ticks: [...new Set(rows.map((r) => r[name]))],
    },
    y: { label: "↑ test accuracy, %", grid: true, ...options },
    marks,
  });
}

// Tables: written into the guides between two comments.

function writeTable(name, text) {
  for (const guide of ["choosing", "not-for"]) {
    const path = new URL(`../../docs/guides/${guide}.md`, import.meta.url);
    const old = readFileSync(path, "utf8");
    const mark = new RegExp(`<!-- ${name} -->[\\s\\S]*?<!-- /${name} -->`);
    if (mark.test(old))
      writeFileSync(
        path,
        old.replace(mark, () => `<!-- ${name} -->\n${text}\n<!-- /${name} -->`),
      );
  }
  console.log(name);
}

const integers = new Intl.NumberFormat("en-US");
const milliseconds = (seconds, updates) => `${Number(((1000 * seconds) / updates).toPrecision(2))} ms`;

function tabulateEstimators() {
  const rows = measured.estimators.map(
    ({ name, accuracy, processorSeconds, samples }) =>
      `| ${name} | ${samples ? integers.format(samples) : "–"} | ${milliseconds(processorSeconds, 500)} | ${accuracy.toFixed(1)} % |`,
  );
  writeTable(
    "estimators",
    `| | samples or steps an update | processor time an update | test accuracy |\n| --- | --- | --- | --- |\n${rows.join("\n")}`,
  );
}

function tabulateDeep() {
  const rows = measured.deep.map(
    ({ name, updates, accuracy, processorSeconds }) =>
      `| ${name} | ${integers.format(updates)} | ${Number(processorSeconds.toPrecision(2))} s | ${accuracy.toFixed(2)} % |`,
  );
  writeTable(
    "deep",
    `| 784-200-200-10 on MNIST, one thread | updates | processor time | test accuracy |\n| --- | --- | --- | --- |\n${rows.join("\n")}`,
  );
}

function tellFunctions() {
  const { nelderMead, minimize: ours } = measured.smooth;
  writeTable(
    "smooth",
    `On Rosenbrock's function of two variables, from the usual start (−1.2, 1), Nelder and Mead's simplex is within ${nelderMead.goal} of the minimum after **${nelderMead.evaluations} evaluations**. \`minimize\` had ${integers.format(ours.evaluations)}, and was at ${ours.value.toPrecision(2)}. A simplex, or a quasi-Newton method where there is a gradient, is the tool for that.`,
  );
  const { starts, simplex, restarted, entropy, calls } = measured.dented;
  writeTable(
    "dented",
    `| Rastrigin's function of two variables, ${starts} starts, ${integers.format(calls)} evaluations each | found the deepest dent |\n| --- | --- |\n| Nelder and Mead, once | ${simplex} of ${starts} |\n| Nelder and Mead, begun anew at a random place every ${measured.dented.each} evaluations | ${restarted} of ${starts} |\n| \`minimize\` (the settings below) | ${entropy} of ${starts} |`,
  );
}

const DRAWINGS = {
  estimators: tabulateEstimators,
  deep: tabulateDeep,
  functions: tellFunctions,
  smoothing: drawSmoothing,
  descent: drawDescent,
  laws: drawLaws,
  signs: drawSigns,
  tau: () => drawSetting("tau", "τ →", [{ stroke: FIRST }], { domain: [82, 98] }),
  temperature: () => drawSetting("temperature", "temperature δ →", [{ stroke: FIRST }]),
  rate: () =>
    drawSetting("rate", "rate →", [
      { keep: (row) => !row.averaging, stroke: FIRST, text: "falls by cosine", dy: 24, at: 1 },
      { keep: (row) => row.averaging, stroke: SECOND, text: "constant, iterates averaged", dy: -22, at: 1 },
    ]),
};

const wanted = process.argv.slice(2);
for (const [name, draw] of Object.entries(DRAWINGS)) {
  if (wanted.length === 0 || wanted.includes(name)) await draw();
}
