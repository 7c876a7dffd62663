/**
 * Markdown to HTML: headings with GitHub's anchors, code in colours, formulas by KaTeX, pictures put into the page so
 * that they take its colours, names of the package linked to the reference.
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, extname, join, posix } from "node:path";
import {
  bundledLanguages,
  bundledThemes,
  codeToTokensWithThemes,
  createOnigurumaEngine,
  createShikiInternal,
  loadBuiltinWasm,
} from "@gerrit0/mini-shiki";
import katex from "katex";
import MarkdownIt from "markdown-it";
import { hrefOfName } from "./names.mjs";
import { PAGES } from "./pages.mjs";

const LANGUAGES = { ts: "typescript", js: "javascript", sh: "shellscript", json: "json", html: "html" };
const THEMES = { light: "github-light", dark: "github-dark" };

await loadBuiltinWasm();
const shiki = await createShikiInternal({
  themes: Object.values(THEMES).map((name) => bundledThemes[name]),
  langs: Object.values(LANGUAGES).map((name) => bundledLanguages[name]),
  engine: await createOnigurumaEngine(),
});

export const escapeHtml = (text) =>
  text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);

/** As GitHub makes it of a heading's text: "Save, load" → "save-load". */
export const slugOf = (text) =>
  text
    .toLowerCase()
    .replace(/[^\p{Letter}\p{Mark}\p{Number}\p{Connector_Punctuation} -]/gu, "")
    .replaceAll(" ", "-");

/** Code in colours for light and dark: each piece has both, as variables of CSS. */
function highlighted(code, language) {
  const lang = LANGUAGES[language];
  if (!lang) return escapeHtml(code);
  const lines = codeToTokensWithThemes(shiki, code.trimEnd(), { lang, themes: THEMES });
  const span = ({ content, variants }) => {
    const text = escapeHtml(content);
    if (content.trim() === "") return text;
    return `<span style="--l:${variants.light.color};--d:${variants.dark.color}">${text}</span>`;
  };
  return lines.map((tokens) => tokens.map(span).join("")).join("\n");
}

const formula = (text, displayMode) =>
  katex.renderToString(text, { displayMode, throwOnError: true, strict: "error" });

/** `$…$` within a line and `$$…$$` as a paragraph. */
function formulas(md) {
  md.inline.ruler.before("escape", "formula", (state, silent) => {
    const match = /^\$(?![\s$])((?:[^$\\]|\\.)*[^\s$\\])\$(?!\d)/.exec(state.src.slice(state.pos));
    if (!match) return false;
    if (!silent) state.push("html_inline", "", 0).content = formula(match[1], false);
    state.pos += match[0].length;
    return true;
  });
  md.block.ruler.before("fence", "formula", (state, line, end, silent) => {
    const text = (at) => state.src.slice(state.bMarks[at] + state.tShift[at], state.eMarks[at]);
    if (text(line) !== "$$") return false;
    let last = line + 1;
    while (last < end && text(last) !== "$$") last++;
    if (silent) return true;
    const body = state.getLines(line + 1, last, 0, false);
    state.push("html_block", "", 0).content = `<div class="formula">${formula(body, true)}</div>\n`;
    state.line = last + 1;
    return true;
  });
}

/** A picture as it stands in a page: without what it needs to stand alone. */
function picture(path, alt) {
  const svg = readFileSync(path, "utf8").trim();
  const inPage = svg
    .replace(
      /^(<svg [^>]*?)style="([^"]*)"/,
      (_, before, style) => `${before}font-size="${/font-size: ?([\d.]+)/.exec(style)?.[1] ?? 12}"`,
    )
    .replace(/^(<svg [^>]*?) font-size="10"/, "$1")
    .replace(/<style data-alone>[\s\S]*?<\/style>/, "")
    .replace(/^<svg /, `<svg role="img" aria-label="${escapeHtml(alt)}" `)
    .replace(/( width="(\d+)")/, '$1 style="max-width:$2px"');

  return `<figure>${inPage}<figcaption>${escapeHtml(alt)}</figcaption></figure>`;
}

/**
 * Where a link of a document leads on the site: a page's own address, or null for a file that is no page, which is then
 * no link. One to a file that is not there stays, for the check of links to find.
 */
function hrefOnSite(href, source, page) {
  if (/^([a-z]+:|#)/.test(href)) return href;
  const [file, anchor] = href.split("#");
  const target = posix.normalize(posix.join(dirname(source), file));
  const found = PAGES.find((one) => one.source === target);
  if (found) return relative(page, found.path) + (anchor ? `#${anchor}` : "");
  if (target.startsWith("build/site/"))
    return relative(page, target.slice("build/site/".length)) + (anchor ? `#${anchor}` : "");
  return extname(target) === ".svg" || !existsSync(target) ? target : null;
}

/** The address of a page of the site as seen from another. */
export const relative = (from, to) => posix.relative(dirname(from), to) || posix.basename(to);

/**
 * One document.
 *
 * @param text the markdown
 * @param source its path in the repository, from which its links count
 * @param page its place on the site
 * @returns its body, its title and its headings of the second level
 */
export function renderMarkdown(text, source, page) {
  const md = new MarkdownIt({ html: true });
  if (source.startsWith("docs/guides/")) formulas(md);
  const headings = [];
  const slugs = new Map();
  let title = "";
  let inLink = false;
  const { rules } = md.renderer;

  rules.heading_open = (tokens, i) => {
    const { tag } = tokens[i];
    const words = tokens[i + 1].children
      .filter(({ type }) => type === "text" || type === "code_inline")
      .map(({ content }) => content)
      .join("");
    const plain = slugOf(words);
    const count = slugs.get(plain) ?? 0;
    slugs.set(plain, count + 1);
    const slug = count === 0 ? plain : `${plain}-${count}`;
    if (tag === "h1") title ||= words;
    if (tag === "h2") headings.push({ slug, words });
    tokens[i].attrSet("id", slug);
    return `<${tag} id="${slug}">`;
  };
  rules.heading_close = (tokens, i) => {
    const { tag } = tokens[i];
    const slug = tokens[i - 2].attrGet("id");
    const anchor =
      tag === "h1" ? "" : `<a class="anchor" href="#${slug}" aria-label="Link to this part">#</a>`;
    return `${anchor}</${tag}>\n`;
  };
  rules.fence = (tokens, i) => {
    const { content, info } = tokens[i];
    const [language = ""] = info.split(" ");
    const name = language || "text";
    return `<pre class="code ${name}" tabindex="0"><code>${highlighted(content, language)}</code></pre>\n`;
  };
  rules.code_inline = (tokens, i) => {
    const { content } = tokens[i];
    const code = `<code>${escapeHtml(content)}</code>`;
    const href = inLink ? undefined : hrefOfName(content);
    return href ? `<a class="name" href="${relative(page, href)}">${code}</a>` : code;
  };
  rules.link_open = (tokens, i) => {
    const href = hrefOnSite(tokens[i].attrGet("href"), source, page);
    tokens[i].meta = { open: href !== null };
    inLink = true;
    return href === null ? '<span class="file">' : `<a href="${escapeHtml(href)}">`;
  };
  rules.link_close = (tokens, i) => {
    inLink = false;
    let at = i;
    while (tokens[at].type !== "link_open") at--;
    return tokens[at].meta.open ? "</a>" : "</span>";
  };
  // A number and its per cent stay in a line.
  rules.text = (tokens, i) => escapeHtml(tokens[i].content.replace(/(\d) %/g, "$1\u00a0%"));
  rules.html_block = (tokens, i) =>
    tokens[i].content.replace(
      /href="([^"]+)"/g,
      (_, href) => `href="${hrefOnSite(href, source, page) ?? ""}"`,
    );
  rules.image = (tokens, i) => picture(join(dirname(source), tokens[i].attrGet("src")), tokens[i].content);
  rules.table_open = () => '<div class="table" tabindex="0"><table>\n';
  rules.table_close = () => "</table></div>\n";
  // A picture alone in its paragraph is a figure, which no paragraph may hold.
  const alone = (tokens, at) => tokens[at]?.children?.length === 1 && tokens[at].children[0].type === "image";
  rules.paragraph_open = (tokens, i) => (tokens[i].hidden || alone(tokens, i + 1) ? "" : "<p>");
  rules.paragraph_close = (tokens, i) => (tokens[i].hidden || alone(tokens, i - 1) ? "" : "</p>\n");

  const body = md.render(text);
  return { body, title, headings };
}
