/**
 * The results as one self-contained page: goals, a plot and a table of each benchmark, floors, sweeps, whole runs.
 */
import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { KINDS } from "./goals.mjs";
import { duration } from "./harness.mjs";

const { document } = parseHTML("<html><body></body></html>");
const PEER = /^(PyTorch|JAX|tfjs)/;
const STYLE = { background: "white", color: "#222", fontSize: "12px", overflow: "visible" };

const escapeHtml = (text) =>
  String(text).replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);

function table(head, rows) {
  const cells = (tag, values) => values.map((value) => `<${tag}>${escapeHtml(value)}</${tag}>`).join("");
  const body = rows.map((row) => `<tr>${cells("td", row)}</tr>`).join("\n");
  return `<div class="wide"><table><thead><tr>${cells("th", head)}</tr></thead><tbody>\n${body}\n</tbody></table></div>`;
}

/** A plot as text. */
function figure(options) {
  const plot = Plot.plot({ document, width: 860, style: STYLE, ...options });
  return `<figure>${plot.outerHTML}</figure>`;
}

/** Seconds as a tick: 1 µs, 10 ms. */
const tick = (seconds) => {
  const decade = Math.round(Math.log10(seconds));
  return Math.abs(Math.log10(seconds) - decade) < 1e-6 ? duration(seconds).replace(/\.0+ /, " ") : "";
};

const each = (unit) => `${/^[aeiou]/.test(unit) ? "an" : "a"} ${unit}`;

/** Medians as dots on a logarithmic axis, quartiles as lines. */
function comparison({ title, unit, rows }) {
  const times = rows.flatMap(({ low, high }) => [low, high]);
  const domain = [
    10 ** Math.floor(Math.log10(Math.min(...times))),
    10 ** Math.ceil(Math.log10(Math.max(...times))),
  ];
  const fill = ({ name }) => (PEER.test(name) ? "#b4552d" : "#2563a8");
  const plot = figure({
    height: 64 + 22 * rows.length,
    marginLeft: 290,
    marginBottom: 44,
    marginRight: 60,
    x: { type: "log", domain, grid: true, tickFormat: tick, label: `time ${each(unit)} →`, labelOffset: 38 },
    y: { domain: rows.map(({ name }) => name), label: null },
    marks: [
      Plot.ruleY(rows, {
        y: "name",
        x1: "low",
        x2: "high",
        stroke: fill,
        strokeWidth: 3,
        strokeOpacity: 0.5,
      }),
      Plot.dot(rows, { y: "name", x: "median", fill, r: 4 }),
      Plot.text(rows, {
        y: "name",
        x: "high",
        text: ({ median }) => duration(median),
        dx: 8,
        textAnchor: "start",
      }),
    ],
  });
  const erring = rows.some(({ error }) => error !== undefined);
  const head = [
    "",
    `median, ${each(unit)}`,
    "quartiles",
    "ratio",
    "processor time",
    ...(erring ? ["relative error²", "error² × ms"] : []),
  ];
  const body = rows.map(({ name, median, low, high, ratio, processor, error, errorSeconds }) => [
    ...[
      name,
      duration(median),
      `${duration(low)} … ${duration(high)}`,
      ratio.toPrecision(3),
      duration(processor),
    ],
    ...(erring
      ? [error?.toPrecision(2) ?? "–", errorSeconds ? (1e3 * errorSeconds).toPrecision(2) : "–"]
      : []),
  ]);
  return `<h3>${escapeHtml(title)}</h3>${plot}${table(head, body)}`;
}

/** Time against each axis, projected and direct. */
function sweeps({ points, slopes, backend }) {
  const base = { B: 20, width: 200, J: 1000 };
  const plots = Object.keys(base).map((axis) => {
    const others = Object.keys(base).filter((name) => name !== axis);
    const line = points
      .filter((point) => others.every((name) => point[name] === base[name]))
      .flatMap((point) =>
        ["projected", "direct"].map((form) => ({
          x: point[axis],
          seconds: point[form],
          form,
          kind: KINDS[point.kind],
        })),
      );
    if (line.length === 0) return "";
    const fixed = others.map((name) => `${name} = ${base[name]}`).join(", ");
    return `<h3>Processor time of an update against ${axis}, ${fixed}</h3>${figure({
      ...{ height: 300, marginLeft: 60, marginRight: 30 },
      x: {
        type: "log",
        label: null,
        ticks: [...new Set(line.map(({ x }) => x))],
        tickFormat: (x) => (x < 1000 ? String(x) : `${x / 1000}k`),
      },
      y: { type: "log", label: null, grid: true, tickFormat: tick },
      fx: { label: null },
      color: { domain: ["projected", "direct"], range: ["#2563a8", "#b4552d"], legend: false },
      marks: ["projected", "direct"].map((form) => {
        const mine = line.filter((point) => point.form === form);
        return [
          Plot.lineY(mine, { x: "x", y: "seconds", stroke: "form", fx: "kind", marker: "circle" }),
          Plot.text(
            mine,
            Plot.selectFirst({
              x: "x",
              y: "seconds",
              text: "form",
              fx: "kind",
              z: "kind",
              dx: 4,
              dy: -18,
              textAnchor: "start",
            }),
          ),
        ];
      }),
    })}`;
  });
  const head = ["", "axis", "form", "slope of the time", "of the operations", "deviation"];
  const rows = slopes.map(({ kind, axis, form, time, operations, deviation }) => [
    ...[KINDS[kind], axis, form, time.toFixed(2), operations.toFixed(2)],
    `${deviation.toFixed(2)}${Math.abs(deviation) > 0.3 ? " !" : ""}`,
  ]);
  return `<h2>Sweeps</h2><p>${escapeHtml(backend)}.</p>${plots.join("")}${table(head, rows)}`;
}

function goalTable(goals) {
  const times = (ratio) => `${Number(ratio.toPrecision(3)).toLocaleString("en")} ×`;
  const verdict = ({ goal, missedBy, why }) =>
    goal === null ? "" : missedBy ? `missed by ${missedBy.toFixed(2)} ×${why ? `: ${why}` : ""}` : "holds";
  const rows = goals.map((row) => [
    ...[row.operation, row.rival ? `${row.how} (${row.rival})` : row.how],
    ...[row.goal?.toLocaleString("en") ?? "–", times(row.measured), verdict(row)],
    row.processor ? times(row.processor) : "",
  ]);
  const head = ["operation", "ratio", "goal", "measured", "", "by processor time"];
  return `<h2>Goals</h2>${table(head, rows)}`;
}

function floors({ floors: peaks, aboveFloors }) {
  if (!peaks?.one) return "";
  const giga = (value) => `${(value / 1e9).toFixed(1)}`;
  const peakRows = [peaks.one, peaks.two].map((peak) => [
    peak.threads,
    ...["multiplyAdds", "wideMultiplies", "exponentials", "near", "memory"].map((name) => giga(peak[name])),
  ]);
  const units = [
    "multiply-adds G/s",
    "32 × 32 bit products G/s",
    "exponentials G/s",
    "cache GB/s",
    "memory GB/s",
  ];
  const rows = aboveFloors.map(({ operation, floor, bound, measured, above }) => [
    ...[operation, duration(floor), bound, duration(measured), `${above.toFixed(2)} ×`],
  ]);
  const head = ["", "floor, one core", "bound by", "processor time", "above the floor"];
  return `<h2>Floors</h2>${table(["cores", ...units], peakRows)}${table(head, rows)}`;
}

function runs({ stated, rows }) {
  const body = rows.map(({ name, updates, seconds, accuracy }) => [
    ...[name, updates, `${seconds.toFixed(2)} s`, `${(100 * accuracy).toFixed(2)} %`],
    accuracy >= stated ? "reached" : "below",
  ]);
  return `<h2>Whole runs to ${100 * stated} % test accuracy</h2>${table(["", "updates", "time", "accuracy", ""], body)}`;
}

function memoryTable(memory) {
  const rows = memory.map(({ form, J, peak }) => [form, J, `${(peak / 2 ** 20).toFixed(1)} MB`]);
  return `<h2>Peak memory of the process</h2>${table(["", "J", "peak"], rows)}`;
}

const CSS = `body{font:15px/1.5 system-ui,sans-serif;color:#222;background:#fff;max-width:900px;margin:2rem auto;padding:0 1rem}
h2{margin-top:2.5rem;border-bottom:1px solid #ddd}h3{margin:1.8rem 0 .3rem}figure{margin:0}svg{max-width:100%;height:auto}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:13px;margin:.5rem 0}th,td{text-align:left;padding:.15rem .8rem .15rem 0;border-bottom:1px solid #eee;font-variant-numeric:tabular-nums}`;

/** @param content what run.mjs writes as JSON */
export function page(content) {
  const { date, machine, load, loadAtEnd, quick, data, peers, absentPeers, missing, results } = content;
  const said = [
    `${date.slice(0, 16).replace("T", " ")} UTC, ${machine.processor}, ${machine.cores} cores, Node ${machine.node}, ${data}.`,
    `Load average ${load.toFixed(1)} before, ${loadAtEnd.toFixed(1)} after: above ${machine.cores} another program took part of the machine.`,
    quick
      ? "A quick run: it shows that everything works, its numbers are not worth quoting, and rivals did a tenth of their samples."
      : "",
    `Rivals: ${peers.map(({ name, version }) => `${name} ${version}`).join(", ") || "none"}.`,
    ...absentPeers.map(({ name, setUp }) => `Absent: ${name}; ${setUp} sets it up.`),
    ...missing.map(({ name, reason }) => `Absent: backend ${name}, ${reason}.`),
  ];
  const parts = [
    ...[
      content.goals.length > 0 ? goalTable(content.goals) : "",
      content.wholeRuns ? runs(content.wholeRuns) : "",
    ],
    `<h2>Beside each other</h2><p>784-200-10, B = 20. Blue: this package, orange: others. Dots are medians, lines quartiles; processor time counts all threads and no other program.</p>`,
    ...results.map(comparison),
    ...[floors(content), content.sweep ? sweeps(content.sweep) : ""],
    content.memory ? memoryTable(content.memory) : "",
  ];
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>local-entropy: benchmarks</title><style>${CSS}</style></head><body>
<h1>Benchmarks</h1>${said.map((sentence) => (sentence ? `<p>${escapeHtml(sentence)}</p>` : "")).join("")}
${parts.join("\n")}
</body></html>\n`;
}
