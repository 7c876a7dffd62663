/** The check of a site's links: each address and each anchor of each page must be there, and none leads elsewhere. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";

/** Addresses on other sites that a page may link to: nothing is fetched from them, a reader may go there. */
const OUTSIDE = /^https:\/\/(doi\.org|www\.npmjs\.com|nodejs\.org|developer\.mozilla\.org|typedoc\.org)\//;

const decoded = (text) => text.replaceAll("&amp;", "&").replaceAll("&quot;", '"');

/** Files of a folder by their paths in it; the text of pages and styles, null of others. */
export function readSite(folder) {
  const files = new Map();
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const name = path.slice(folder.length + 1).replaceAll("\\", "/");
    files.set(name, /\.(html|css)$/.test(name) ? readFileSync(path, "utf8") : null);
  }
  return files;
}

/** What pages fetch or lead to. */
function* addresses(html) {
  for (const [, tag, attributes] of html.matchAll(/<(\w+)((?:\s+[\w:-]+(?:="[^"]*")?)*)\s*\/?>/g)) {
    for (const [, name, value] of attributes.matchAll(/\s(href|src|xlink:href)="([^"]*)"/g)) {
      yield { href: decoded(value), fetched: tag !== "a" || name === "src" };
    }
  }
}

/** @returns one sentence for each link that leads nowhere, and for each request to elsewhere */
export function brokenLinks(files, known = () => false) {
  const complaints = new Set();
  const anchors = new Map();
  const anchorsOf = (path) => {
    if (!anchors.has(path)) {
      anchors.set(
        path,
        new Set([...(files.get(path) ?? "").matchAll(/\sid="([^"]+)"/g)].map(([, id]) => decoded(id))),
      );
    }
    return anchors.get(path);
  };
  for (const [page, text] of files) {
    if (page.endsWith(".css")) {
      for (const [, url] of text.matchAll(/url\(["']?([^)"']+)/g)) {
        if (/^(data:|#)/.test(url)) continue;
        const target = posix.normalize(posix.join(posix.dirname(page), url));
        if (!files.has(target)) complaints.add(`${page}: url(${url}) leads to nothing`);
      }
    }
    if (!page.endsWith(".html")) continue;
    for (const { href, fetched } of addresses(text)) {
      if (/^(data:|mailto:)/.test(href)) continue;
      if (/^[a-z]+:/.test(href)) {
        if (fetched || !OUTSIDE.test(href)) complaints.add(`${page}: ${href} is on another site`);
        continue;
      }
      const [file, anchor] = href.split("#");
      const target = file === "" ? page : posix.normalize(posix.join(posix.dirname(page), file));
      if (known(target)) continue;
      if (!files.has(target)) complaints.add(`${page}: ${href} leads to nothing`);
      else if (anchor && target.endsWith(".html") && !anchorsOf(target).has(decodeURIComponent(anchor))) {
        complaints.add(`${page}: ${href} has no such part`);
      }
    }
  }
  return [...complaints];
}

/** @returns one sentence for each link of a markdown document to a file of the repository that is not there */
export function missingFiles(documents) {
  return documents.flatMap((path) =>
    [...readFileSync(path, "utf8").matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
      .map(([, target]) => target)
      .filter((target) => !/^[a-z]+:/.test(target) && !existsSync(join(dirname(path), target)))
      .map((target) => `${path}: ${target} is not there`),
  );
}
