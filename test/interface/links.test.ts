/**
 * Every link of the documents that points into the repository points at something.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "@jest/globals";

const root = fileURLToPath(new URL("../..", import.meta.url));
const markdown = (folder: string) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith(".md"))
    .map((name) => join(folder, name));
const documents = [...markdown("."), ...markdown("docs"), ...markdown("native/cuda")];

/** Targets of links and pictures that name no host, without what follows `#`. */
function targets(text: string): string[] {
  const prose = text.replace(/^```[\s\S]*?^```/gm, "").replace(/`[^`\n]*`/g, "");
  const links = [
    ...prose.matchAll(/\]\(([^()\s]+)(?: "[^"]*")?\)/g),
    ...prose.matchAll(/(?:href|src)="([^"]+)"/g),
  ];
  return links
    .map(([, target]) => target)
    .filter((target) => !/^([a-z]+:|#)/i.test(target))
    .map((target) => target.split("#")[0]);
}

test("links are found where they are", () => {
  const text =
    '[a](docs/a.md#part) ![b](b.svg "B") `[c](c.md)` [d](https://host/d) [e](#e) <img src="f.png">';
  expect(targets(text)).toEqual(["docs/a.md", "b.svg", "f.png"]);
});

test.each(documents)("%s", (document) => {
  const text = readFileSync(join(root, document), "utf8");
  const lost = targets(text).filter((target) => !existsSync(join(root, dirname(document), target)));
  expect(lost).toEqual([]);
});
