/** The packages as they would be published. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./commands.mjs";
import { ROOT } from "./tools.mjs";

/** "linux-x64-musl", as the packages are named. */
export function thisPlatform() {
  const name = `${process.platform}-${process.arch}`;
  if (process.platform !== "linux") return name;
  return process.report.getReport().header.glibcVersionRuntime ? name : `${name}-musl`;
}

/**
 * Packs them.
 *
 * @param only "main", "linux-x64", …; all where it is left out
 * @returns the version, and each package's name, path of its file, and bytes packed and unpacked
 */
export async function pack(only = []) {
  const folder = process.env.DEV_PACKAGES ?? join(ROOT, "build", "packages");
  if (!process.env.DEV_PACKAGES) {
    const flags = only.flatMap((name) => ["--only", name]);
    await run(["npm", "run", "pack:all", "--", ...flags], { cwd: ROOT, env: process.env, seconds: 1800 });
  }
  const { version, packages } = JSON.parse(readFileSync(join(folder, "packages.json"), "utf8"));
  return { version, packages: packages.map((packed) => ({ ...packed, file: join(folder, packed.file) })) };
}
