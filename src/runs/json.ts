/**
 * JSON that others may have written: text of bounded depth, whose objects have no prototype that was read.
 */

/**
 * @param deepest how many objects and lists may stand in each other: what reads them is a recursion
 * @throws an Error that says what is wrong
 */
export function parseJson(bytes: Uint8Array, deepest: number): unknown {
  const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  if (depthOf(text) > deepest) throw new Error(`more than ${deepest} objects and lists stand in each other`);
  // To a reader that copies it, a key of this name would be where an object inherits from.
  return JSON.parse(text, (key, value) => (key === "__proto__" ? undefined : value));
}

function depthOf(json: string): number {
  let depth = 0;
  let deepest = 0;
  let text = false;
  for (let at = 0; at < json.length; at++) {
    const mark = json[at];
    if (mark === '"') text = !text;
    else if (text && mark === "\\") at++;
    else if (!text && (mark === "{" || mark === "[")) deepest = Math.max(deepest, ++depth);
    else if (!text && (mark === "}" || mark === "]")) depth--;
  }
  return deepest;
}
