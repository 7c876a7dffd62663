/**
 * A whole release without the world (`npm run release:dry-run`): packs everything, publishes it to a registry on loopback
 * as the workflow does, installs `local-entropy` from there into an empty project, and trains ten updates natively.
 *
 *     --packed     takes what is in build/packages already
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { cleanEnvironment } from "../../test/packages/support/commands.mjs";
import { startRegistry } from "../../test/packages/support/registry.mjs";
import { prepareTools } from "../../test/packages/support/tools.mjs";
import { faultOf } from "./outcome.mjs";

process.chdir(fileURLToPath(new URL("../..", import.meta.url)));
const { packed } = parseArgs({ options: { packed: { type: "boolean" } } }).values;

/** Runs a command with its output on stderr. */
function run(words, options = {}) {
  const { status, error } = spawnSync(words[0], words.slice(1), { stdio: ["ignore", 2, 2], ...options });
  if (status !== 0) throw new Error(`${words.join(" ")} failed${error ? `: ${error.message}` : ""}`);
}

/** A token of the registry on loopback, in the settings that npm reads. */
async function logIn(address, settings) {
  const user = "org.couchdb.user:releaser";
  const response = await fetch(`${address}-/user/${user}`, {
    method: "PUT",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ name: "releaser", password: "on loopback only" }),
  });
  const { token } = await response.json();
  writeFileSync(settings, `registry=${address}\n${address.replace(/^http:/, "")}:_authToken=${token}\n`);
}

if (!packed) run([process.execPath, "scripts/release/pack.mjs"]);
await prepareTools();
const folder = mkdtempSync(join(tmpdir(), "local-entropy-release-"));
const settings = join(folder, "npmrc");
const env = { ...cleanEnvironment(folder), npm_config_userconfig: settings };
const registry = await startRegistry(join(folder, "registry"), env);
try {
  await logIn(registry.address, settings);
  run([process.execPath, "scripts/release/publish.mjs", "--registry", registry.address], { env });
  const project = mkdtempSync(join(folder, "project-"));
  writeFileSync(join(project, "package.json"), '{ "private": true, "type": "module" }\n');
  const start = performance.now();
  run(["npm", "install", "local-entropy", "--no-audit", "--no-fund"], { cwd: project, env });
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const platforms = readdirSync(join(project, "node_modules", "@local-entropy"));
  if (platforms.length !== 1)
    throw new Error(`npm installed ${platforms.join(", ") || "no platform's package"}`);
  copyFileSync("scripts/release/trial.mjs", join(project, "trial.mjs"));
  run([process.execPath, "trial.mjs", "outcome.json"], { cwd: project, env });
  const outcome = JSON.parse(readFileSync(join(project, "outcome.json"), "utf8"));
  const fault = faultOf(outcome);
  if (fault) throw new Error(fault);
  console.log(
    `installed in ${seconds} s with @local-entropy/${platforms[0]}; trained on ${outcome.ran.instructionSet}`,
  );
} finally {
  await registry.close();
  rmSync(folder, { recursive: true, force: true });
}
