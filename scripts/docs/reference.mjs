/** TypeDoc's reference of every public name, in the site's colours and linked with its other pages. */
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { Application, Converter, LiteralType, LogLevel, ReflectionKind, UnionType } from "typedoc";
import { readSite } from "./links.mjs";
import { ENTRIES, NAMES } from "./names.mjs";

/** Types that public ones are made of and that nobody imports: told of beside them, so that no name leads nowhere. */
const LOCAL = {
  "src/options/operation-types.ts": ["Cancellable", "Located", "Position", "OneOrManyBatches"],
  "src/operations.ts": ["WithMean"],
};

/** Stands for the way from a page of the reference up to the site's pages. */
const SITE = "https://site.invalid/";

/**
 * @param out folder of the reference
 * @returns TypeDoc's complaints, one a line: a name that is spoken of and not there, a link that leads nowhere
 */
export async function buildReference(out) {
  const app = await Application.bootstrap({
    name: "local-entropy",
    entryPoints: Object.values(ENTRIES),
    tsconfig: "docs/reference/tsconfig.json",
    out,
    readme: frontPage(),
    customCss: "docs/site/reference.css",
    includeVersion: true,
    disableSources: true,
    hideGenerator: true,
    githubPages: false,
    titleLink: `${SITE}index.html`,
    navigationLinks: { Guides: `${SITE}index.html#guides`, Errors: `${SITE}errors.html` },
    lightHighlightTheme: "github-light",
    darkHighlightTheme: "github-dark",
    visibilityFilters: {},
    sort: ["kind", "source-order"],
    navigation: { includeGroups: true },
    excludeExternals: true,
    logLevel: LogLevel.Warn,
  });
  const complaints = [];
  app.logger = new (class extends app.logger.constructor {
    log(message, level) {
      if (level >= LogLevel.Warn) complaints.push(`reference: ${message}`);
    }
  })();
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, (context) => {
    addLocalTypes(context, app);
    writeOutNames(context);
  });
  const project = await app.convert();
  if (!project) return [...complaints, "reference: TypeDoc could not read the sources"];
  app.validate(project);
  await app.generateOutputs(project);
  linkToSite(out);
  return complaints;
}

/** TypeDoc writes addresses of other pages as they are, however deep a page of its own lies. */
function linkToSite(out) {
  for (const [path, text] of readSite(out)) {
    if (!path.endsWith(".html")) continue;
    const up = "../".repeat(path.split("/").length);
    writeFileSync(join(out, path), text.replaceAll(SITE, up));
  }
}

/** The front page's text, its names linked; a file, since TypeDoc reads one. */
function frontPage() {
  const path = "build/reference-front.md";
  const text = readFileSync("docs/reference/index.md", "utf8").replace(/`(\w+)`/g, (code, name) =>
    NAMES.has(name) ? `[${code}](${SITE}${NAMES.get(name)})` : code,
  );
  writeFileSync(path, text);
  return path;
}

function addLocalTypes(context, app) {
  const module = context.project.children.find(({ name }) => name === "local-entropy");
  for (const [file, names] of Object.entries(LOCAL)) {
    for (const program of context.programs) {
      const source = program.getSourceFile(resolve(file));
      if (!source) continue;
      context.setActiveProgram(program);
      for (const name of names)
        app.converter.convertSymbol(context.withScope(module), source.locals.get(name));
      break;
    }
  }
}

/** `(typeof BACKENDS)[number]` and `KindOf<"loss">` say nothing to a reader: they are written out. */
function writeOutNames(context) {
  for (const alias of context.project.getReflectionsByKind(ReflectionKind.TypeAlias)) {
    if (!["Activation", "BackendName", "LossOptions", "Predicts"].includes(alias.name)) continue;
    const symbol = context.getSymbolFromReflection(alias);
    const texts = context.checker
      .getDeclaredTypeOfSymbol(symbol)
      .types.filter((type) => type.isStringLiteral());
    const written = alias.type.type === "union" ? alias.type.types : [alias.type];
    const objects = written.filter(({ type }) => type === "reflection");
    alias.type = new UnionType([...texts.map(({ value }) => new LiteralType(value)), ...objects]);
  }
}
