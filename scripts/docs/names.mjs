/**
 * The public names of the package and their pages in TypeDoc's reference, from the compiler's own list of exports. The
 * check of links sees each page there.
 */
import ts from "typescript";

/** What can be imported, and the file that says what is in it. */
export const ENTRIES = {
  "local-entropy": "docs/reference/local-entropy.ts",
  "local-entropy/report": "docs/reference/report.ts",
};

/** TypeDoc's folder of what a name is. */
function folderOf({ flags }) {
  if (flags & ts.SymbolFlags.Class) return "classes";
  if (flags & ts.SymbolFlags.Function) return "functions";
  if (flags & ts.SymbolFlags.Interface) return "interfaces";
  if (flags & ts.SymbolFlags.TypeAlias) return "types";
  return "variables";
}

function namesOf() {
  const { config } = ts.readConfigFile("tsconfig.json", ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ".");
  const program = ts.createProgram(Object.values(ENTRIES), {
    ...options,
    rootDir: ".",
    noLib: true,
    types: [],
    noEmit: true,
  });
  const checker = program.getTypeChecker();
  const names = new Map();
  for (const [module, file] of Object.entries(ENTRIES)) {
    const symbol = checker.getSymbolAtLocation(program.getSourceFile(file));
    for (const one of checker.getExportsOfModule(symbol)) {
      const target = one.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(one) : one;
      const file = `${module.replaceAll("/", "_")}.${one.name}.html`;
      if (!names.has(one.name)) names.set(one.name, `reference/${folderOf(target)}/${file}`);
    }
  }
  return names;
}

/** Public names, each with its page. */
export const NAMES = namesOf();

/** The page of `train`, `train()` or `train({ … })`; undefined for what is no public name. */
export function hrefOfName(code) {
  const name = /^(\w+)(?:\(.*\))?$/s.exec(code)?.[1];
  return name && NAMES.get(name);
}
