/**
 * Imports a TypeScript source that imports nothing itself, as it stands: what was built may be of an older one.
 */
import { fileURLToPath } from "node:url";
import { transformFileSync } from "@swc/core";

/** @param path from the repository's root */
export function importSource(path) {
  const source = fileURLToPath(new URL(`../${path}`, import.meta.url));
  const { code } = transformFileSync(source, { jsc: { parser: { syntax: "typescript" }, target: "es2022" } });
  return import(`data:text/javascript,${encodeURIComponent(code)}`);
}
