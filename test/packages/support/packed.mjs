/** The packages as they would be published. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PLATFORMS, packageOf } from "../../../scripts/release/platforms.mjs";
import { run } from "./commands.mjs";
import { ROOT } from "./tools.mjs";

/** "linux-x64-musl", as the packages are named. */
function thisPlatform() {
  const name = `${process.platform}-${process.arch}`;
  if (process.platform !== "linux") return name;
  return process.report.getReport().header.glibcVersionRuntime ? name : `${name}-musl`;
}

/**
 * Packs the main package and this platform's. Those of other platforms are what `npm run pack:all` has left of the same
 * version; for one that is not there an empty package stands, as clients ask for each before they choose.
 *
 * @param work where the empty ones are made
 * @returns the version, and each package's name and the path of its file
 */
export async function pack(work, env) {
  const only = ["main", thisPlatform()].flatMap((name) => ["--only", name]);
  await run(["npm", "run", "pack:all", "--", ...only], { cwd: ROOT, env: process.env, seconds: 1800 });
  const folder = join(ROOT, "build", "packages");
  const { version, packages } = JSON.parse(readFileSync(join(folder, "packages.json"), "utf8"));
  const packed = packages.map(({ name, file }) => ({ name, file: join(folder, file) }));
  const known = new Set(packed.map(({ name }) => name));
  for (const [platform, { os, cpu, libc }] of Object.entries(PLATFORMS)) {
    const name = packageOf(platform);
    if (known.has(name)) continue;
    const empty = join(work, "empty", platform);
    mkdirSync(empty, { recursive: true });
    const manifest = { name, version, os: [os], cpu: [cpu], ...(libc && { libc: [libc] }) };
    writeFileSync(join(empty, "package.json"), JSON.stringify(manifest));
    const [{ filename }] = JSON.parse(await run(["npm", "pack", "--json"], { cwd: empty, env }));
    packed.push({ name, file: join(empty, filename) });
  }
  return { version, packages: packed };
}
