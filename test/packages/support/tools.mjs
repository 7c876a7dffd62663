/**
 * Registry, clients, bundlers and Nodes of scripts/packages/package.json, put into the ignored folder .packages: they
 * are a gigabyte, so they are no dependencies of the repository.
 */
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { run, Skipped } from "./commands.mjs";

export const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const FOLDER = join(ROOT, ".packages");
const PINNED = join(ROOT, "scripts", "packages");

/** Installs them, unless they are what the lock file says. Their install scripts are not run. */
export async function prepareTools() {
  const lock = readFileSync(join(PINNED, "package-lock.json"), "utf8");
  const stamp = join(FOLDER, "installed-lock.json");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === lock) return;
  console.error("Installing registry, clients and bundlers into .packages (about a gigabyte, once)");
  mkdirSync(FOLDER, { recursive: true });
  for (const file of ["package.json", "package-lock.json"])
    copyFileSync(join(PINNED, file), join(FOLDER, file));
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund"];
  // `npm ci` refuses a lock file without pnpm's binaries for other platforms, which not every registry has.
  await run(["npm", "install", ...flags], { cwd: FOLDER, env: process.env, seconds: 1200 });
  writeFileSync(stamp, lock);
}

/** Gives what is installed there. */
export const toolsRequire = createRequire(join(FOLDER, "package.json"));

/** The same of a package that is a module. */
export function fromTools(name) {
  const folder = tool(name);
  const { exports, main } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  let entry = exports?.["."] ?? main;
  while (typeof entry === "object") entry = entry.import ?? entry.default;
  return import(pathToFileURL(join(folder, entry)).href);
}

/**
 * The path of a file below the tools' node_modules.
 *
 * @throws Skipped where it is not there, as a binary for another platform
 */
export function tool(...path) {
  const file = join(FOLDER, "node_modules", ...path);
  if (!existsSync(file)) throw new Skipped(`${path[0]} has no ${path.at(-1)} for this platform`);
  return file;
}

/** The Bun that fits this machine: its package's own script, which would put it in its place, is not run. */
export function bun() {
  const folder = tool("@oven");
  const name = readdirSync(folder).find((name) => existsSync(join(folder, name, "bin", "bun")));
  if (name === undefined) throw new Skipped("Bun has no binary for this platform");
  return join(folder, name, "bin", "bun");
}
