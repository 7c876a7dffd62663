/**
 * Every sentence that the package may say when something is wrong, read from its sources: what each `new …Error(…)` is
 * given, and the pieces that such sentences are made of (a range in an option's schema, a reason why a backend was
 * declined, an advice). Strings of the addon's C++ are read as text.
 *
 * A sentence is a list of parts: fixed text, a slot for what is only known then, or one of several lists.
 */
import { readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import ts from "typescript";

/** Folders without sentences for users: the command's help and the report's words are no complaints. */
const LEFT_OUT =
  /^src\/(cli\/(bench|doctor|flags|main|progress|sentences|train|values)|runs\/report|version)/;
/** What a value is, or what the system says: as many answers as there are values. */
const NOT_FOLLOWED = /^(describe|plainReason)$/;
const FEWEST_WORDS = 4;
const DEPTH = 4;

const sources = (folder, ending) =>
  readdirSync(folder, { recursive: true })
    .map((name) => `${folder}/${name.replaceAll("\\", "/")}`)
    .filter((name) => name.endsWith(ending))
    .sort();

/** Calls that say the same as what they are called on, or called with. */
const SAME = /^(join|map|toExponential|toFixed|toPrecision|toString|slice|filter|split|trim)$/;
const SHOWING = /^(describe|listed|quoted|String|Number|typeName|plainReason|JSON\.stringify)$/;
/** Names that say little to a reader. */
const READABLE = {
  "issue message": "what is allowed",
  message: "reason",
  quoted: "names",
  string: "what is allowed",
  told: "reasons",
  "…": "…",
};

/** A slot's name for a reader: `object.camelCase` → "camel case". */
function slotName(node) {
  if (ts.isCallExpression(node)) {
    const { expression } = node;
    if (ts.isPropertyAccessExpression(expression) && SAME.test(expression.name.text))
      return slotName(expression.expression);
    if (SHOWING.test(expression.getText()) && node.arguments.length > 0) return slotName(node.arguments[0]);
    return words(ts.isPropertyAccessExpression(expression) ? expression.name.text : expression.getText());
  }
  if (ts.isPropertyAccessExpression(node)) {
    const name = node.name.text;
    return words(name === "length" || name === "message" ? `${slotName(node.expression)} ${name}` : name);
  }
  if (ts.isElementAccessExpression(node)) return slotName(node.expression);
  if (ts.isAsExpression(node) || ts.isParenthesizedExpression(node) || ts.isNonNullExpression(node))
    return slotName(node.expression);
  if (ts.isBinaryExpression(node)) return slotName(node.left);
  return ts.isIdentifier(node) ? words(node.text) : "…";
}

function words(name) {
  const text = name
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .replaceAll("_", " ")
    .toLowerCase();
  return READABLE[text] ?? (/^[\w ]+$/.test(text) ? text : "…");
}

/** Names at a file's top: constants and functions of its own, and what it imports from another file. */
function namesOf(source) {
  const names = new Map();
  for (const node of source.statements) {
    if (ts.isFunctionDeclaration(node) && node.name) names.set(node.name.text, { node });
    if (ts.isVariableStatement(node)) {
      for (const { name, initializer } of node.declarationList.declarations) {
        if (ts.isIdentifier(name) && initializer) names.set(name.text, { node: initializer });
      }
    }
    if (!ts.isImportDeclaration(node) || !node.moduleSpecifier.text.startsWith(".")) continue;
    const from = posix.join(posix.dirname(source.fileName), node.moduleSpecifier.text);
    for (const { name, propertyName } of node.importClause?.namedBindings?.elements ?? []) {
      names.set(name.text, { from, name: (propertyName ?? name).text });
    }
  }
  return names;
}

/** Reads expressions as parts; constants and functions of the package that give texts are followed by their names. */
function reader(names) {
  const seen = new Set();
  const joined = (lists) => lists.flat();
  const isText = (node) =>
    ts.isStringLiteralLike(node) ||
    ts.isTemplateExpression(node) ||
    ts.isConditionalExpression(node) ||
    isSum(node);

  /** What a name stands for: an expression or a function's declaration. */
  function meaning(name, file) {
    const found = names.get(file)?.get(name);
    return found?.from ? meaning(found.name, found.from) : found?.node;
  }

  /** A name's constant text: one at the file's top, or a `const` of the function that it stands in. */
  function constant(node, file, depth) {
    const { text } = node;
    for (let scope = node.parent; scope; scope = scope.parent) {
      for (const statement of scope.statements ?? []) {
        if (!ts.isVariableStatement(statement)) continue;
        const own = statement.declarationList.declarations.find(
          ({ name }) => name.text === text,
        )?.initializer;
        if (own) return isText(own) ? parts(own, depth + 1) : null;
      }
    }
    const value = meaning(text, file);
    return value && isText(value) ? parts(value, depth + 1) : null;
  }

  /** What a function of the package may return, where that is texts. */
  function returned(call, depth) {
    if (!ts.isIdentifier(call.expression) || depth >= DEPTH || NOT_FOLLOWED.test(call.expression.text))
      return null;
    const declaration = meaning(call.expression.text, call.getSourceFile().fileName);
    if (!declaration?.body) return null;
    const found = [];
    const visit = (node) => {
      if (ts.isReturnStatement(node) && node.expression) found.push(parts(node.expression, depth + 1));
      if (!ts.isFunctionLike(node)) ts.forEachChild(node, visit);
    };
    if (ts.isBlock(declaration.body)) ts.forEachChild(declaration.body, visit);
    else found.push(parts(declaration.body, depth + 1));
    return found.some((list) => fixedWords(list) > 1) ? [{ any: found }] : null;
  }

  function parts(node, depth = 0) {
    seen.add(node);
    if (ts.isStringLiteralLike(node)) return node.text === "" ? [] : [{ text: node.text }];
    if (ts.isTemplateExpression(node)) {
      const spans = node.templateSpans.map(({ expression, literal }) => [
        ...parts(expression, depth + 1),
        ...(literal.text === "" ? [] : [{ text: literal.text }]),
      ]);
      return joined([node.head.text === "" ? [] : [{ text: node.head.text }], ...spans]);
    }
    if (ts.isParenthesizedExpression(node) || ts.isAsExpression(node)) return parts(node.expression, depth);
    if (ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.PlusToken) {
      return joined([parts(node.left, depth), parts(node.right, depth)]);
    }
    if (ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.AmpersandAmpersandToken) {
      return [{ any: [parts(node.right, depth), []] }];
    }
    if (ts.isConditionalExpression(node)) {
      return [{ any: [parts(node.whenTrue, depth), parts(node.whenFalse, depth)] }];
    }
    if (ts.isCallExpression(node) && node.expression.getText() === "expected") {
      const [range, path, value, advice] = node.arguments;
      return joined([
        [{ text: "Expected " }],
        parts(range, depth),
        [{ text: " for " }],
        parts(path, depth),
        [{ text: " but received " }, { slot: slotName(value) }],
        advice ? optional([{ text: "; " }, ...parts(advice, depth)]) : [],
      ]);
    }
    if (depth < DEPTH && ts.isIdentifier(node)) {
      const found = constant(node, node.getSourceFile().fileName, depth);
      if (found) return found;
    }
    if (ts.isCallExpression(node) && !ts.isPropertyAccessExpression(node.expression)) {
      const found = returned(node, depth);
      if (found) return found;
    }
    return [{ slot: slotName(node) }];
  }
  /** An advice that may be empty takes its semicolon with it. */
  const optional = (list) =>
    list.slice(1).every(({ any }) => any?.some((one) => one.length === 0)) && list.length === 2
      ? [
          {
            any: [...list[1].any.filter((one) => one.length > 0).map((one) => [list[0], ...one]), []],
          },
        ]
      : list;
  return { parts, seen };
}

/** The fixed text of a sentence, slots as "…", the first of several. */
export const plain = (parts) =>
  parts.map(({ text, any }) => text ?? (any ? plain(any[0] ?? []) : "…")).join("");

/** All its fixed text, for looking a stem up. */
export const everyForm = (parts) =>
  parts.map(({ text, any }) => text ?? (any ? any.map(everyForm).join("\n") : "…")).join("");

const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&").replace(/\s+/g, "\\s+");

/** What matches the sentence with anything in its slots. */
export const patternOf = (parts) =>
  parts
    .map(({ text, any }) => {
      if (text !== undefined) return escaped(text);
      return any ? `(?:${any.map(patternOf).join("|")})` : "[\\s\\S]*?";
    })
    .join("");

const wordsIn = (text) => text.split(/[^\p{L}’']+/u).filter((word) => word.length > 1).length;

/** Words that stand fixed in a sentence, in its longest form. */
export const fixedWords = (parts) =>
  parts.reduce(
    (sum, { text, any }) =>
      sum + (text !== undefined ? wordsIn(text) : any ? Math.max(0, ...any.map(fixedWords)) : 0),
    0,
  );

/** Sentences and pieces of TypeScript sources: what class they are given to (null for a piece), and where. */
function typescriptSentences() {
  const trees = sources("src", ".ts").map((file) =>
    ts.createSourceFile(file, readFileSync(file, "utf8"), ts.ScriptTarget.Latest, true),
  );
  const { parts, seen } = reader(new Map(trees.map((tree) => [tree.fileName, namesOf(tree)])));
  const sentences = [];
  const pieces = [];
  for (const source of trees) {
    const file = source.fileName;
    const line = (node) => source.getLineAndCharacterOfPosition(node.getStart()).line + 1;
    const visit = (node) => {
      if (ts.isNewExpression(node) && /(Error|Thread)$/.test(node.expression.getText())) {
        const [message] = node.arguments ?? [];
        const list = message ? parts(message) : [];
        sentences.push({ kind: node.expression.getText(), parts: list, file, line: line(node) });
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  for (const source of trees) {
    const file = source.fileName;
    if (LEFT_OUT.test(file)) continue;
    const visit = (node) => {
      if (ts.isImportDeclaration(node) || ts.isTypeNode(node)) return;
      const isText =
        (ts.isStringLiteralLike(node) || ts.isTemplateExpression(node) || isSum(node)) && !seen.has(node);
      const list = isText ? parts(node) : [];
      if (isText && isSentence(list)) {
        pieces.push({ kind: null, parts: list, file });
        return;
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  return [...sentences, ...pieces];
}

/** Words with spaces between them: no path, no command, no table of help. */
const isSentence = (list) =>
  fixedWords(list) >= FEWEST_WORDS &&
  plain(list).split(" ").length >= FEWEST_WORDS &&
  !/^(npm |\n)/.test(plain(list));

const isSum = (node) =>
  ts.isBinaryExpression(node) &&
  node.operatorToken.kind === ts.SyntaxKind.PlusToken &&
  (ts.isStringLiteralLike(node.right) || ts.isTemplateExpression(node.right));

/** Sentences of the addons' C++: strings in a line, joined by what stands between them. */
function nativeSentences() {
  const files = ["native/node", "native/cpu", "native/cuda"]
    .flatMap((folder) => [".cc", ".h", ".cu"].flatMap((ending) => sources(folder, ending)))
    .filter((file) => !/\/(shim|test)\//.test(file));
  return files.flatMap((file) => {
    const text = readFileSync(file, "utf8").replace(/^\s*(\/\/|#).*$|^\s*static_assert[\s\S]*?;$/gm, "");
    return [...text.matchAll(/"(?:[^"\\\n]|\\.)*"(?:(?:[^;"]|\n)*?"(?:[^"\\\n]|\\.)*")*/g)]
      .map(([run]) => {
        const parts = [];
        let last = 0;
        for (const match of run.matchAll(/"((?:[^"\\\n]|\\.)*)"/g)) {
          if (parts.length > 0 && run.slice(last, match.index).trim() !== "") parts.push({ slot: "…" });
          if (match[1]) parts.push({ text: match[1].replace(/\\(.)/g, "$1") });
          last = match.index + match[0].length;
        }
        return { kind: "native", parts, file };
      })
      .map((one) => ({ ...one, parts: withoutCode(one.parts) }))
      .filter(({ parts }) => isSentence(parts));
  });
}

/** "CLOSED", …: an error's code stands before its sentence. */
function withoutCode(parts) {
  const first = parts.findIndex(({ text }) => text !== undefined && !/^[A-Z_]+$/.test(text));
  return first < 0 ? [] : parts.slice(first);
}

/** Every sentence once, in the order of the sources, with all `places` that say it ("src/disk.ts:30"). */
export function allSentences() {
  const found = new Map();
  for (const one of [...typescriptSentences(), ...nativeSentences()]) {
    const key = `${one.kind} ${JSON.stringify(one.parts)}`;
    if (!found.has(key)) found.set(key, { ...one, places: [] });
    found.get(key).places.push(`${one.file}:${one.line}`);
  }
  return [...found.values()];
}
