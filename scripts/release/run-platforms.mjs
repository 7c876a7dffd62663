/**
 * Trains from the packed packages (`npm run pack:all`) on every platform that can be had here (hosts.mjs), and prints a
 * table: platform, how it was run, what came out. Those that cannot be are checked by their files alone, and said to be.
 *
 *     node scripts/release/run-platforms.mjs [--only NAME …]
 *
 * Random numbers have to be the reference's to the bit, and what ten updates moved within the bound of `update` in
 * test/tolerances.ts. Exits 1 if some platform fails.
 */
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { HOSTS } from "./hosts.mjs";
import { bound, faultOf } from "./outcome.mjs";
import { PLATFORMS, packageOf } from "./platforms.mjs";

process.chdir(fileURLToPath(new URL("../..", import.meta.url)));
const PACKAGES = "build/packages";

/** Unpacks an archive of the release into a project's node_modules. */
function unpack(project, name) {
  const { packages } = JSON.parse(readFileSync(join(PACKAGES, "packages.json"), "utf8"));
  const found = packages.find((entry) => entry.name === name);
  if (!found) throw new Error(`not packed: npm run pack:all`);
  const folder = join(project, "node_modules", name);
  mkdirSync(folder, { recursive: true });
  const archive = resolve(PACKAGES, found.file);
  const { status } = spawnSync("tar", ["xzf", archive, "--strip-components=1"], {
    cwd: folder,
    stdio: "inherit",
  });
  if (status !== 0) throw new Error(`${archive} is no archive`);
  return folder;
}

/** A project with the two packages that npm would install there; what the main one depends on is this clone's. */
function newProject(platform) {
  const project = resolve(".platforms", "projects", platform);
  rmSync(project, { recursive: true, force: true });
  const main = unpack(project, "local-entropy");
  unpack(project, packageOf(platform));
  const { dependencies = {} } = JSON.parse(readFileSync(join(main, "package.json"), "utf8"));
  for (const name of Object.keys(dependencies)) {
    const link = join(project, "node_modules", name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(resolve("node_modules", name), link);
  }
  // Without one of its own the project would be part of this clone, and find the clone's build.
  writeFileSync(join(project, "package.json"), '{ "private": true, "type": "module" }\n');
  copyFileSync("scripts/release/trial.mjs", join(project, "trial.mjs"));
  return project;
}

/** Wine says that it is an older Windows than Node takes. */
const WINE = {
  WINEDEBUG: "-all",
  WINEPREFIX: resolve(".platforms", "wine"),
  NODE_SKIP_PLATFORM_CHECK: "1",
};

/** Runs the trial on a host: its outcome in words, and whether it is good (null: it could not be run). */
function outcomeOn({ platform, set, prepare }) {
  let command;
  let project;
  try {
    project = newProject(platform);
    command = prepare();
  } catch ({ message }) {
    return { good: null, text: message };
  }
  const output = join(project, "outcome.json");
  const [program, ...args] = [...command, "trial.mjs", "outcome.json"];
  const start = performance.now();
  const { status, signal, stderr } = spawnSync(program, args, {
    cwd: project,
    encoding: "utf8",
    stdio: ["ignore", "ignore", "pipe"],
    timeout: 600_000,
    env: { ...process.env, ...WINE },
  });
  if (status !== 0 || !existsSync(output)) {
    return { good: false, text: `ended with ${signal ?? status}: ${stderr?.trim().slice(0, 1500)}` };
  }
  const outcome = JSON.parse(readFileSync(output, "utf8"));
  const wrong = faultOf(outcome, set);
  if (wrong) return { good: false, text: wrong };
  const { ran, version, errors } = outcome;
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const worst = Math.max(...Object.values(errors)).toExponential(1);
  return { good: true, text: `${version}, ${ran.instructionSet}, worst ${worst} of ${bound}, ${seconds} s` };
}

const { only } = parseArgs({ options: { only: { type: "string", multiple: true } } }).values;
let failed = 0;
for (const platform of Object.keys(PLATFORMS).filter((name) => !only || only.includes(name))) {
  const hosts = HOSTS.filter((host) => host.platform === platform);
  if (hosts.length === 0) console.log(`| ${platform} | its file alone | not run: no such system here |`);
  for (const host of hosts) {
    const { good, text } = outcomeOn(host);
    if (good === false) failed++;
    const word = { true: "trained", false: "FAILED", null: "not run" }[good];
    console.log(`| ${platform} | ${host.how} | ${word}: ${text} |`);
  }
}
process.exitCode = failed > 0 ? 1 : 0;
