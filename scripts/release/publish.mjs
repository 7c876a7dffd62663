/**
 * Publishes what `npm run pack:all` has made: the platforms' packages first, so that whoever installs the main package
 * finds them. What is there already in this version is left, so an interrupted release is finished by another call.
 *
 *     node scripts/release/publish.mjs [--registry ADDRESS] [-- OPTION …]     further options of npm publish
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

process.chdir(fileURLToPath(new URL("../..", import.meta.url)));
const PACKAGES = join("build", "packages");

const { values, positionals } = parseArgs({
  options: { registry: { type: "string" } },
  allowPositionals: true,
});
const registry = values.registry ? ["--registry", values.registry] : [];
const npm = (args, stdio) => spawnSync("npm", [...args, ...registry], { stdio }).status === 0;

const { version, packages } = JSON.parse(readFileSync(join(PACKAGES, "packages.json"), "utf8"));
const { optionalDependencies } = JSON.parse(
  spawnSync("tar", ["xzOf", join(PACKAGES, `local-entropy-${version}.tgz`), "package/package.json"], {
    encoding: "utf8",
  }).stdout,
);
const missing = Object.keys(optionalDependencies).filter(
  (name) => !packages.some((entry) => entry.name === name),
);
if (missing.length > 0) throw new Error(`not packed: ${missing.join(", ")}; run \`npm run pack:all\``);

const isMain = ({ name }) => name === "local-entropy";
for (const { name, file } of [...packages.filter((entry) => !isMain(entry)), ...packages.filter(isMain)]) {
  if (npm(["view", `${name}@${version}`, "version"], ["ignore", "ignore", "ignore"])) {
    console.log(`${name} ${version} is there already`);
    continue;
  }
  const archive = `./${join(PACKAGES, file)}`;
  if (!npm(["publish", archive, "--access", "public", ...positionals], ["ignore", 2, 2])) {
    throw new Error(`${name} was not published; what comes after it waits`);
  }
  console.log(`${name} ${version} is published`);
}
