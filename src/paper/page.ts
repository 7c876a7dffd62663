/** The report: one HTML file that needs nothing else, no script and no network. */

import { STYLE } from "../runs/report-style.ts";
import type { Cell, Part, Shown } from "./experiment.ts";
import { PLOT_STYLE } from "./plots.ts";

/** An experiment that has run, as its JSON file holds it. */
export interface Finished {
  readonly id: string;
  readonly title: string;
  readonly paper: string;
  readonly note?: string;
  readonly mnist: boolean;
  readonly quick: boolean;
  /** Name and instruction set. */
  readonly backend: string;
  readonly versions: {
    readonly package: string;
    readonly node: string;
    readonly platform: string;
    readonly processor: string;
  };
  readonly shown: Shown;
  readonly tasks: readonly {
    readonly key: string;
    readonly name: string;
    readonly options: object;
    readonly seconds: number;
    readonly backend: string;
  }[];
}

const OWN_STYLE = `
main { max-width: 1080px; }
nav { display: flex; flex-wrap: wrap; gap: 4px 14px; margin: 0 0 32px; font-size: 14px; }
a { color: var(--first); }
section.experiment { margin: 0 0 52px; }
section.experiment > h2 { font-size: 22px; margin: 0 0 12px; display: block; }
blockquote { margin: 0 0 10px; padding: 2px 0 2px 14px; border-left: 3px solid var(--line); color: var(--quiet); }
blockquote p, .note { margin: 0 0 6px; max-width: 54em; }
.note { margin-bottom: 14px; }
figure, .wide { margin: 0 0 16px; }
.wide { padding: 18px 18px 14px; background: var(--card); border: 1px solid var(--line); border-radius: 10px; overflow-x: auto; }
.wide h3, figure h3 { margin: 0 0 10px; font-size: 15px; font-weight: 600; }
.wide table { width: auto; min-width: 100%; }
.wide th, .wide td { padding: 5px 14px 5px 0; overflow-wrap: normal; }
.wide thead th { border-top: 0; border-bottom: 1px solid var(--line); vertical-align: bottom; }
.wide td.number { white-space: nowrap; }
figure svg { width: auto; max-width: 100%; }
details { font-size: 13px; color: var(--quiet); }
details table { margin-top: 8px; }
`;

/** The page of these experiments, in their order. */
export function pageOf(experiments: readonly Finished[]): string {
  const links = experiments.map(({ id }) => `<a href="#${id}">${id}</a>`).join("\n");
  const quick = experiments.some((experiment) => experiment.quick);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>The paper again · local-entropy</title>
<style>${STYLE}${PLOT_STYLE}${OWN_STYLE}</style>
</head>
<body>
<main>
<header>
<p class="eyebrow">local-entropy</p>
<h1>The paper again</h1>
<p class="summary">García Trillos, Kaplan, Sanz-Alonso, <em>Variational Characterizations of Local Entropy and Heat
Regularization in Deep Learning</em>, Entropy 2019, 21(5), 511: what it prints beside what is found here. Numbers of the
paper stand in columns or rows named “printed”; all others come from runs that <code>local-entropy paper</code> repeats from
their seeds.${quick ? " Some experiments below were run with <code>--quick</code>: few seeds, short runs." : ""}</p>
</header>
<nav>${links}</nav>
${experiments.map(section).join("\n")}
</main>
</body>
</html>
`;
}

function section({ id, title, paper, note, quick, backend, versions, shown, tasks }: Finished): string {
  const seconds = tasks.reduce((sum, task) => sum + task.seconds, 0);
  const what = `${versions.package}, ${backend}, Node ${versions.node}, ${versions.platform}, ${versions.processor}`;
  return `<section class="experiment" id="${id}">
<h2>${escaped(title)}</h2>
<blockquote>${paragraphs(paper)}</blockquote>
${note === undefined ? "" : `<p class="note">${escaped(note)}</p>`}
${shown.parts.map(partOf).join("\n")}
<details><summary>${tasks.length} ${tasks.length === 1 ? "result" : "results"}, ${Math.round(seconds)} s of work${quick ? ", with --quick" : ""}; local-entropy ${escaped(what)}</summary>
<table>${tasks.map(({ name, options, backend: by }) => row([name, by, JSON.stringify(options)])).join("")}</table>
</details>
</section>`;
}

function paragraphs(text: string): string {
  return text
    .split("\n\n")
    .map((paragraph) => `<p>${escaped(paragraph)}</p>`)
    .join("");
}

function partOf(part: Part): string {
  switch (part.kind) {
    case "text":
      return `<p class="note">${escaped(part.text)}</p>`;
    case "plot":
      return `<figure><h3>${escaped(part.title)}</h3>${part.svg}<figcaption>${escaped(part.caption)}</figcaption></figure>`;
    case "table": {
      const head = part.columns.map((column) => `<th scope="col">${escaped(column)}</th>`).join("");
      return `<div class="wide"><h3>${escaped(part.title)}</h3><table><thead><tr>${head}</tr></thead><tbody>${part.rows.map(row).join("")}</tbody></table></div>`;
    }
    default:
      return part satisfies never;
  }
}

function row(cells: readonly Cell[]): string {
  const [first, ...rest] = cells.map((cell) => (cell === null ? "" : String(cell)));
  const numeric = (text: string) => /^[−\-\d.% ±e+·/]*$/.test(text);
  return `<tr><th scope="row">${escaped(first)}</th>${rest.map((text) => `<td${numeric(text) ? ' class="number"' : ""}>${escaped(text)}</td>`).join("")}</tr>`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
