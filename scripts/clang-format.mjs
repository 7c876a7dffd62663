/**
 * Checks that the C++ sources are formatted as `.clang-format` says; `--write` formats them.
 */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const sources = ["native", "bench/probes"]
  .flatMap((folder) => readdirSync(root + folder, { recursive: true }).map((file) => `${folder}/${file}`))
  .filter((file) => /\.(h|cc|cu)$/.test(file));
if (sources.length === 0) {
  console.error("Expected C++ sources in native/ but found none");
  process.exit(1);
}
const write = process.argv.includes("--write");
const binary = createRequire(import.meta.url).resolve("clang-format/index.js");
const mode = write ? ["-i"] : ["--dry-run", "-Werror"];
const { status } = spawnSync(process.execPath, [binary, ...mode, ...sources], {
  cwd: root,
  stdio: "inherit",
});
if (status === 0) console.log(`${sources.length} C++ sources ${write ? "formatted" : "are formatted"}`);
process.exit(status ?? 1);
