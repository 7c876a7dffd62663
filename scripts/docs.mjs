/**
 * Makes the documentation's site in build/site (`npm run docs`, after `npm run build`): the guides and documents of docs/,
 * the page of all error messages, and TypeDoc's reference of every public name. Static pages, no request to elsewhere.
 *
 * Then every link and anchor of every page is followed, and each public name looked for; what is missing is told, and
 * the status is 1. `-- --check` does that with the site's own pages alone, and writes nothing.
 */
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { brokenLinks, missingFiles, readSite } from "./docs/links.mjs";
import { NAMES } from "./docs/names.mjs";
import { ASSETS, renderSite } from "./docs/site.mjs";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const SITE = join("build", "site");

/** Makes everything in build/site; what is wrong with it. */
async function build() {
  rmSync(SITE, { recursive: true, force: true });
  for (const [from, to] of ASSETS) {
    mkdirSync(dirname(join(SITE, to)), { recursive: true });
    cpSync(from, join(SITE, to), { recursive: true });
  }
  for (const [path, html] of await renderSite()) {
    mkdirSync(dirname(join(SITE, path)), { recursive: true });
    writeFileSync(join(SITE, path), html);
  }
  const { buildReference } = await import("./docs/reference.mjs"); // TypeDoc takes a while to load
  const complaints = await buildReference(join(SITE, "reference"));
  const files = readSite(SITE);
  console.log(`${SITE}: ${[...files.keys()].filter((path) => path.endsWith(".html")).length} pages`);
  return [...complaints, ...brokenLinks(files)];
}

/** Makes the site's own pages and writes none; what is wrong with their links. */
async function check() {
  const there = new Set(["reference/index.html", ...NAMES.values(), ...ASSETS.map(([, to]) => to)]);
  return brokenLinks(await renderSite(), (path) => there.has(path));
}

/** Documents that are no pages of the site. */
const OTHERS = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "docs/release.md"];

const { values } = parseArgs({ options: { check: { type: "boolean" } } });
const complaints = values.check ? await check() : await build();
complaints.push(...missingFiles(OTHERS));
for (const complaint of complaints) console.error(complaint);
process.exitCode = complaints.length > 0 ? 1 : 0;
