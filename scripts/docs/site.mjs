/** The site's own pages, each as text: the guides and documents in one frame, with the menu of all. */
import { readFileSync } from "node:fs";
import { errorList } from "./errors.mjs";
import { escapeHtml, relative, renderMarkdown } from "./markdown.mjs";
import { GROUPS, PAGES } from "./pages.mjs";

/** Files that are copied as they are, and where they go. */
export const ASSETS = [
  ["docs/site/style.css", "style.css"],
  ["node_modules/katex/dist/katex.min.css", "katex/katex.min.css"],
  ["node_modules/katex/dist/fonts", "katex/fonts"],
];

const { version } = JSON.parse(readFileSync("package.json", "utf8"));

/** What a document asks for by a comment of its own: `<!-- all-errors -->`. */
const GENERATED = { "<!-- all-errors -->": errorList };

/** Every page by its path on the site, as text. */
export async function renderSite() {
  const pages = new Map();
  for (const [index, { path, source }] of PAGES.entries()) {
    const { body, title, headings } = renderMarkdown(readFileSync(source, "utf8"), source, path);
    let whole = body;
    for (const [mark, make] of Object.entries(GENERATED)) {
      if (whole.includes(mark)) whole = whole.replace(mark, make());
    }
    pages.set(
      path,
      frame({ path, title, headings, body: whole, before: PAGES[index - 1], after: PAGES[index + 1] }),
    );
  }
  return pages;
}

function frame({ path, title, headings, body, before, after }) {
  const to = (target) => relative(path, target);
  const item = ([target, , name]) => {
    const here = target === path;
    return `<li><a href="${to(target)}"${here ? ' aria-current="page"' : ""}>${escapeHtml(name)}</a></li>`;
  };
  const menu = GROUPS.map(({ name, pages }) => `<h2>${name}</h2><ul>${pages.map(item).join("")}</ul>`).join(
    "\n",
  );
  const reference = `<h2>Reference</h2><ul><li><a href="${to("reference/index.html")}">Every public name</a></li></ul>`;
  const parts = headings
    .map(({ slug, words }) => `<li><a href="#${slug}">${escapeHtml(words)}</a></li>`)
    .join("");
  const step = (page, word) =>
    page
      ? `<a class="${word.toLowerCase()}" href="${to(page.path)}"><small>${word}</small>${escapeHtml(page.name)}</a>`
      : "<span></span>";
  const isIndex = path === "index.html";
  const katex = body.includes('class="katex"')
    ? `<link rel="stylesheet" href="${to("katex/katex.min.css")}">\n`
    : "";
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(isIndex ? title : `${title} · local-entropy`)}</title>
<link rel="icon" href="data:,">
${katex}<link rel="stylesheet" href="${to("style.css")}">
</head>
<body${isIndex ? ' class="index"' : ""}>
<a class="skip" href="#content">To the content</a>
<header class="top">
<a class="brand" href="${to("index.html")}"><b>local-entropy</b> <span>${version}</span></a>
<nav aria-label="Main"><a href="${to("index.html")}#guides">Guides</a><a href="${to("errors.html")}">Errors</a><a href="${to("reference/index.html")}">Reference</a></nav>
</header>
<div class="columns">
<nav class="menu" aria-label="All pages"><details><summary>All pages</summary>${menu}${reference}</details>
<div class="wide">${menu}${reference}</div></nav>
<main id="content">
${body}
<footer class="steps">${step(before, "Before")}${step(after, "Next")}</footer>
</main>
${parts && !isIndex ? `<nav class="parts" aria-label="On this page"><h2>On this page</h2><ul>${parts}</ul></nav>` : ""}
</div>
</body>
</html>
`;
}
