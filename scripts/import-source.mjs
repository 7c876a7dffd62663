/**
 * Imports a TypeScript source that imports nothing itself, as it stands: what was built may be of an older one.
 */
import { fileURLToPath } from "node:url";
import { transformFileSync } from "@swc/core";

/** @param path from the repository's root */
export function importSource(path) {
  const { code } = transformFileSync(path, {
    cwd: fileURLToPath(new URL("..", import.meta.url)),
    jsc: { parser: { syntax: "typescript" }, target: "es2022" },
  });
  return import(`data:text/javascript,${encodeURIComponent(code)}`);
}
