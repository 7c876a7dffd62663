/**
 * Installs the packages as users do (`npm run test:packages`, after `npm run build`): packs them, serves them from a
 * registry on loopback, and tries clients, Nodes, compilers and bundlers of scripts/packages/package.json on them.
 *
 *     npm run test:packages [-- --only NAME …]
 *
 * Prints a table client × what × outcome. What cannot be had here is a skip that says so; a failure is the exit status.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import browsers from "../test/packages/browsers.mjs";
import clients from "../test/packages/clients.mjs";
import command from "../test/packages/command.mjs";
import formats from "../test/packages/formats.mjs";
import git from "../test/packages/git.mjs";
import nodes from "../test/packages/nodes.mjs";
import publishing from "../test/packages/publishing.mjs";
import servers from "../test/packages/servers.mjs";
import { cleanEnvironment, Skipped } from "../test/packages/support/commands.mjs";
import { pack } from "../test/packages/support/packed.mjs";
import { startRegistry } from "../test/packages/support/registry.mjs";
import { prepareTools } from "../test/packages/support/tools.mjs";
import types from "../test/packages/types.mjs";

const PARTS = [
  ...publishing,
  ...clients,
  ...command,
  ...git,
  ...nodes,
  ...types,
  ...servers,
  ...browsers,
  ...formats,
];

const { only } = parseArgs({ options: { only: { type: "string", multiple: true } } }).values;
const names = [...new Set(PARTS.map(({ name }) => name))];
const unknown = (only ?? []).filter((name) => !names.includes(name));
if (unknown.length > 0) {
  console.error(`Expected one of ${names.join(", ")} for --only but received ${unknown.join(", ")}`);
  process.exit(2);
}

const table = [];
const counts = { passed: 0, failed: 0, skipped: 0 };
function record(client, what, outcome, kind) {
  const row = [client.padEnd(18), what.padEnd(34), `${kind === "passed" ? "" : `${kind}: `}${outcome}`];
  table.push(row.join(" ").split("\n")[0]);
  counts[kind]++;
  console.log(row.join(" "));
}

/** Of a part that failed or cannot be tried, what comes after is not tried. */
class Ended extends Error {}

async function runPart({ name, title = name, run }, context) {
  const step = async (what, work) => {
    const start = performance.now();
    try {
      const outcome = await work();
      record(title, what, `${outcome}, ${((performance.now() - start) / 1000).toFixed(1)} s`, "passed");
    } catch (error) {
      record(title, what, error.message, error instanceof Skipped ? "skipped" : "failed");
      throw new Ended();
    }
  };
  try {
    await run(context, step);
  } catch (error) {
    if (!(error instanceof Ended))
      record(title, "", error.stack, error instanceof Skipped ? "skipped" : "failed");
  }
}

for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(130));
const started = performance.now();
const work = mkdtempSync(join(tmpdir(), "local-entropy-packages-"));
const env = cleanEnvironment(join(work, "home"));
mkdirSync(env.HOME);
let registry;
try {
  await prepareTools();
  const { version, packages } = await pack(work, env);
  registry = await startRegistry(join(work, "registry"), env);
  writeFileSync(join(env.HOME, ".npmrc"), `registry=${registry.address}\n`);
  for (const { file } of packages) await registry.publish(file);
  const context = { work, env, version, packages, registry: registry.address };
  for (const part of PARTS) if (!only || only.includes(part.name)) await runPart(part, context);
} finally {
  await registry?.close();
  rmSync(work, { recursive: true, force: true, maxRetries: 5 });
}
console.log(`\n${table.join("\n")}\n`);
console.log(
  `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped, ` +
    `${((performance.now() - started) / 60_000).toFixed(1)} min`,
);
process.exitCode = counts.failed > 0 ? 1 : 0;
