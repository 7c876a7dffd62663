/**
 * The pages of the site in the order of its menu. A new page is a line here and a markdown file; its title is the file's
 * first heading.
 */

/** Of each: where it stands on the site, what it is made of, and its short name in the menu. */
export const GROUPS = [
  {
    name: "Guides",
    pages: [
      ["guides/get-started.html", "docs/guides/get-started.md", "Get started"],
      ["guides/your-data.html", "docs/guides/your-data.md", "Your own data"],
      ["guides/your-table.html", "docs/guides/your-table.md", "Your own table"],
      ["guides/choosing.html", "docs/guides/choosing.md", "Choosing settings"],
      ["guides/save-load-serve.html", "docs/guides/save-load-serve.md", "Save, load, serve"],
      ["guides/browsers.html", "docs/guides/browsers.md", "Browsers and bundlers"],
      ["guides/reproduce.html", "docs/guides/reproduce.md", "Reproduce a run"],
      ["guides/troubleshooting.html", "docs/guides/troubleshooting.md", "Backends and troubleshooting"],
      ["guides/not-for.html", "docs/guides/not-for.md", "What it is not for"],
      ["guides/method.html", "docs/guides/method.md", "The method in ten minutes"],
    ],
  },
  {
    name: "Look up",
    pages: [
      ["guides/options.html", "docs/guides/options.md", "All options"],
      ["errors.html", "docs/guides/errors.md", "All error messages"],
    ],
  },
  {
    name: "Behind it",
    pages: [
      ["gradient-free.html", "docs/gradient-free.md", "Beside backpropagation"],
      ["paper.html", "docs/paper/README.md", "The paper again"],
      ["performance.html", "docs/performance.md", "Performance"],
      ["random-numbers.html", "docs/random-numbers.md", "Random numbers"],
      ["reliability.html", "docs/reliability.md", "What was tried to break it"],
      ["threat-model.html", "docs/threat-model.md", "Threat model"],
      ["changelog.html", "CHANGELOG.md", "Changelog"],
    ],
  },
];

/** The index page; it is in no group. */
export const INDEX = ["index.html", "docs/guides/index.md", "local-entropy"];

/** Every page in the order of reading. */
export const PAGES = [INDEX, ...GROUPS.flatMap(({ pages }) => pages)].map(([path, source, name]) => ({
  path,
  source,
  name,
}));
