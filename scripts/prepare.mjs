/**
 * Run by npm after an install in this folder. A git dependency is built here, where it is fetched, since what is packed of
 * it is `dist`; a clone is built by what it is used for (`npm start`, `npm test`).
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

// npm sets the first for a git dependency; other clients take a checkout without its history.
if (process.env._PACOTE_NO_PREPARE_ !== undefined || !existsSync(".git")) {
  const { status } = spawnSync(
    process.execPath,
    ["scripts/build.mjs", "--only", "typescript", "--only", "wasm"],
    { stdio: ["ignore", 2, 2] },
  );
  process.exitCode = status ?? 1;
}
