/**
 * The public names of the package and their pages in TypeDoc's reference, read from the files that say what is exported.
 * The check of links sees each page there.
 */
import { readFileSync } from "node:fs";
import { posix } from "node:path";
import ts from "typescript";

/** What can be imported, and the file that says what is in it. */
export const ENTRIES = {
  "local-entropy": "docs/reference/local-entropy.ts",
  "local-entropy/formats": "docs/reference/formats.ts",
  "local-entropy/report": "docs/reference/report.ts",
  "local-entropy/table": "docs/reference/table.ts",
};

/** TypeDoc's folder of what a statement declares. */
function folderOf(statement) {
  if (ts.isClassDeclaration(statement)) return "classes";
  if (ts.isFunctionDeclaration(statement)) return "functions";
  if (ts.isInterfaceDeclaration(statement)) return "interfaces";
  if (ts.isTypeAliasDeclaration(statement)) return "types";
  return ts.isVariableStatement(statement) ? "variables" : null;
}

const isExported = ({ modifiers = [] }) => modifiers.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword);

/** Exported names of a file, each with the folder of what it is. */
function exportsOf(file) {
  const tree = ts.createSourceFile(file, readFileSync(file, "utf8"), ts.ScriptTarget.Latest, true);
  const names = new Map();
  for (const statement of tree.statements) {
    const folder = folderOf(statement);
    if (folder && isExported(statement)) {
      const declared = statement.declarationList?.declarations ?? [statement];
      for (const { name } of declared) names.set(name.text, folder);
    }
    if (!ts.isExportDeclaration(statement) || !statement.moduleSpecifier) continue;
    const there = exportsOf(posix.join(posix.dirname(file), statement.moduleSpecifier.text));
    const some = statement.exportClause?.elements;
    for (const name of some ? some.map((one) => one.name.text) : there.keys())
      names.set(name, there.get(name));
  }
  return names;
}

/** Public names, each with its page. */
export const NAMES = new Map();
for (const [module, file] of Object.entries(ENTRIES)) {
  for (const [name, folder] of exportsOf(file)) {
    const page = `reference/${folder}/${module.replaceAll("/", "_")}.${name}.html`;
    if (!NAMES.has(name)) NAMES.set(name, page);
  }
}

/** The page of `train`, `train()` or `train({ … })`; undefined for what is no public name. */
export function hrefOfName(code) {
  const name = /^(\w+)(?:\(.*\))?$/s.exec(code)?.[1];
  return name && NAMES.get(name);
}
