/** Empty projects of users, each in a folder of its own outside the repository. */
import { cpSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "./commands.mjs";

const PROGRAMS = fileURLToPath(new URL("../programs/", import.meta.url));

/** An application with a version of its own, the programs, and the registry set for every client. */
export function newProject({ work, registry }, name, files = {}) {
  const folder = mkdtempSync(join(work, `${name}-`));
  cpSync(PROGRAMS, folder, { recursive: true });
  const application = { name: "an-application", version: "9.9.9", private: true, type: "module" };
  for (const [path, text] of Object.entries({
    "package.json": JSON.stringify(application),
    ".npmrc": `registry=${registry}\n`,
    ...files,
  })) {
    mkdirSync(join(folder, path, ".."), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

/** Installs with npm, quietly. */
export function npmInstall({ env, seconds }, cwd, ...words) {
  return run(["npm", "install", "--no-audit", "--no-fund", ...words], { cwd, env, seconds });
}

/** Calls a program that tells what it did in one line of JSON, the last that it writes. */
export async function told(words, options) {
  const lines = (await run(words, options)).trim().split("\n");
  return JSON.parse(lines.at(-1));
}

/**
 * What a run of a program must come to.
 *
 * @returns a few words for the table
 */
export function checkTold(answer, { backend, version }) {
  const wrong = [
    answer.name !== backend && `ran on ${answer.name}, not ${backend}: ${JSON.stringify(answer.declined)}`,
    answer.updates !== 10 && `${answer.updates} updates in place of 10`,
    answer.same !== true && "load gives other parameters than were saved",
    answer.version !== version && `run.json says version ${answer.version} in place of ${version}`,
    answer.report !== "</html>" && `the report ends in ${answer.report}`,
  ].filter((text) => text !== false);
  if (wrong.length > 0) throw new Error(wrong.join("; "));
  return `${answer.name} (${answer.instructionSet}), saved, loaded, report`;
}

const installed = new WeakMap();

/** One project with what npm installs, for all that only read it. */
export function installedProject(context) {
  if (!installed.has(context)) {
    const project = newProject(context, "installed");
    installed.set(
      context,
      npmInstall(context, project, "local-entropy").then(() => project),
    );
  }
  return installed.get(context);
}
