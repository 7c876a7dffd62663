/**
 * Every public name has a doc comment: what the package exports, the types that these speak of, their fields and
 * methods, and the parameters of functions. The compiler's syntax trees are walked, so a new name is found by itself.
 */
import { fileURLToPath } from "node:url";
import { expect, test } from "@jest/globals";
import ts from "typescript";

/** Nothing outside the package is looked at, so neither are the types of the language and of Node. */
const OPTIONS: ts.CompilerOptions = {
  module: ts.ModuleKind.NodeNext,
  allowImportingTsExtensions: true,
  noEmit: true,
  noLib: true,
  types: [],
};

/** The comments before a name; not the file's own, which has that name after it by chance. */
function comments(node: ts.Node): string {
  const holder = ts.isVariableDeclaration(node) ? node.parent.parent : node;
  const all = ts.getJSDocCommentsAndTags(holder).filter((comment) => ts.isJSDoc(comment) && comment.pos > 0);
  return all.map((comment) => comment.getText()).join("\n");
}

const mentions = (text: string, name: string) => new RegExp(`(^|[^\\w])${name}($|[^\\w])`).test(text);

/** `kind: "adam"`, `override name` of an error and `[Symbol.dispose]()` say all themselves; what is private says nothing. */
function saysItself(member: ts.TypeElement | ts.ClassElement): boolean {
  if (ts.isPropertySignature(member)) return member.type !== undefined && ts.isLiteralTypeNode(member.type);
  if (member.name && (ts.isComputedPropertyName(member.name) || ts.isPrivateIdentifier(member.name)))
    return true;
  const kept = ts.ModifierFlags.Override | ts.ModifierFlags.Private;
  return ts.isClassElement(member) && (ts.getCombinedModifierFlags(member) & kept) !== 0;
}

/** What lacks a comment among the exports of these files and all that they speak of, as "TrainOptions.network". */
function undocumented(files: readonly string[], host = ts.createCompilerHost(OPTIONS)): string[] {
  const program = ts.createProgram(files, OPTIONS, host);
  const checker = program.getTypeChecker();
  const found = new Set<string>();
  const seen = new Set<ts.Symbol>();

  /** What a name stands for, where the package itself declares it. */
  function declarationsOf(symbol: ts.Symbol): readonly ts.Declaration[] {
    const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
    if (target.flags & ts.SymbolFlags.TypeParameter || seen.has(target)) return [];
    seen.add(target);
    return (target.declarations ?? []).filter((node) => isOwn(node));
  }
  function isOwn(node: ts.Node): boolean {
    return !node.getSourceFile().fileName.includes("/node_modules/");
  }

  function visitName(symbol: ts.Symbol): void {
    for (const node of declarationsOf(symbol)) {
      const path = (ts.getNameOfDeclaration(node) as ts.Node).getText();
      if (comments(node) === "") found.add(path);
      visit(node, path, comments(node));
    }
  }

  function visitMember(member: ts.Node & { readonly name?: ts.Node }, path: string, told: string): void {
    if (member.name && ts.isPrivateIdentifier(member.name)) return;
    const own = comments(member);
    const name = member.name?.getText() ?? "()";
    const known = own !== "" || saysItself(member as ts.TypeElement) || mentions(told, name);
    if (!known) found.add(`${path}.${name}`);
    visit(member, `${path}.${name}`, own || told);
  }

  /**
   * Goes into a declaration or a type. `told` is the comment around it: it may speak for the fields of a type that is
   * written out in place, such as a promise's, by their names.
   */
  function visit(node: ts.Node, path: string, told: string): void {
    if (ts.isInterfaceDeclaration(node) || ts.isClassDeclaration(node)) {
      for (const clause of node.heritageClauses ?? []) visit(clause, path, "");
      for (const member of node.members) visitMember(member, path, "");
    } else if (ts.isTypeLiteralNode(node)) {
      for (const member of node.members) visitMember(member, path, told);
    } else if (ts.isObjectLiteralExpression(node)) {
      for (const member of node.properties) visitMember(member, path, "");
    } else if (ts.isParameter(node)) {
      visitParameter(node, path, told);
    } else if (!ts.isBlock(node) && !(ts.isExpression(node) && !ts.isExpressionWithTypeArguments(node))) {
      const name = ts.isTypeReferenceNode(node) ? node.typeName : undefined;
      const base = ts.isExpressionWithTypeArguments(node) ? node.expression : undefined;
      const symbol = checker.getSymbolAtLocation(name ?? base ?? node);
      if (symbol && (name || base)) visitName(symbol);
      ts.forEachChild(node, (child) => visit(child, path, told));
    }
  }

  /** Told by `@param`, or by the comment of the package's own type that it has. */
  function visitParameter(node: ts.ParameterDeclaration, path: string, told: string): void {
    const { type } = node;
    const symbol =
      type && ts.isTypeReferenceNode(type) ? checker.getSymbolAtLocation(type.typeName) : undefined;
    const alias = symbol !== undefined && (symbol.flags & ts.SymbolFlags.Alias) !== 0;
    const named = (alias ? checker.getAliasedSymbol(symbol) : symbol)?.declarations?.some(isOwn);
    if (!named && !mentions(told, node.name.getText())) found.add(`${path}(${node.name.getText()})`);
    if (type) visit(type, path, told);
  }

  for (const file of files) {
    const module = checker.getSymbolAtLocation(program.getSourceFile(file)!)!;
    checker.getExportsOfModule(module).forEach(visitName);
  }
  return [...found].sort();
}

/** Compiles one text. */
function undocumentedIn(text: string): string[] {
  const host = ts.createCompilerHost(OPTIONS);
  const path = "/example.ts";
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  return undocumented([path], {
    ...host,
    fileExists: (name) => name === path,
    getSourceFile: (name) => (name === path ? file : undefined),
  });
}

test("every public name, field and parameter has a doc comment", () => {
  const entries = ["index.ts", "formats/index.ts", "runs/report.ts", "table/table.ts"]; // package.json's `exports`
  const files = entries.map((name) => fileURLToPath(new URL(`../../src/${name}`, import.meta.url)));
  expect(undocumented(files)).toEqual([]);
});

test("what lacks one is found: a name, a field, a parameter, a field written out in place, a type spoken of", () => {
  const text = `/** The file's. */
export interface Options extends Base {
  /** Told. */
  readonly told: number;
  readonly untold: number;
  readonly kind: "one";
}
interface Base { readonly inherited: number }
/** Told; \`gradient\` too. @param first told */
export function run(first: number, second: string, options: Options): Promise<{ gradient: number; loss: number }>;
/** Told. */
export class Fault { readonly code = 1; override readonly name = "Fault"; #hidden = 1; }
/** Told. */
export const paper = { untoldToo() { return 1; } };
export type Inner = { readonly deep: { readonly deeper: number } };
`;
  expect(undocumentedIn(text)).toEqual(
    [
      "Base",
      "Base.inherited",
      "Fault.code",
      "Inner",
      "Inner.deep",
      "Inner.deep.deeper",
      "Options",
      "Options.untold",
      "paper.untoldToo",
      "run(second)",
      "run.loss",
    ].sort(),
  );
});
