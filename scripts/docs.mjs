/**
 * Makes the documentation's site in build/site (`npm run docs`, after `npm run build`): the guides and documents of docs/,
 * the page of all error messages, and TypeDoc's reference of every public name. Static pages, no request to elsewhere.
 *
 * Then every link and anchor of every page is followed, and each public name looked for; what is missing is told, and
 * the status is 1.
 */
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brokenLinks, readSite } from "./docs/links.mjs";
import { buildReference } from "./docs/reference.mjs";
import { ASSETS, renderSite } from "./docs/site.mjs";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const SITE = join("build", "site");

const start = performance.now();
rmSync(SITE, { recursive: true, force: true });
for (const [from, to] of ASSETS) {
  mkdirSync(dirname(join(SITE, to)), { recursive: true });
  cpSync(from, join(SITE, to), { recursive: true });
}
for (const [path, html] of await renderSite()) {
  mkdirSync(dirname(join(SITE, path)), { recursive: true });
  writeFileSync(join(SITE, path), html);
}
const complaints = await buildReference(join(SITE, "reference"));
const pages = readSite(SITE);
complaints.push(...brokenLinks(pages));
for (const complaint of complaints) console.error(complaint);
const seconds = ((performance.now() - start) / 1000).toFixed(1);
const htmlCount = [...pages.keys()].filter((path) => path.endsWith(".html")).length;
console.log(`${SITE}: ${htmlCount} pages in ${seconds} s, ${complaints.length} complaints`);
process.exitCode = complaints.length > 0 ? 1 : 0;
