/** Each client installs the package into an empty project, with its optional dependencies and without. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { run, Skipped } from "./support/commands.mjs";
import { checkTold, newProject, told } from "./support/project.mjs";
import { bun, tool } from "./support/tools.mjs";

/** Settings of yarn's newer versions; `others` is added. */
const berry =
  (linker) =>
  ({ registry }, without) => ({
    "yarn.lock": "",
    ".yarnrc.yml": JSON.stringify({
      nodeLinker: linker,
      npmRegistryServer: registry,
      unsafeHttpWhitelist: ["127.0.0.1"],
      npmMinimalAgeGate: 0,
      enableTelemetry: false,
      enableImmutableInstalls: false,
      // It has no other way to leave optional dependencies out.
      ...(without && { supportedArchitectures: { os: ["none"], cpu: ["none"], libc: ["none"] } }),
    }),
  });
const yarn = () => [process.execPath, tool("@yarnpkg", "cli-dist", "bin", "yarn.js")];

/**
 * @typedef {object} Client
 * @property {(context: object, without: boolean) => Record<string, string>} [files] what its projects have
 * @property {() => string[]} command how it is called
 * @property {string[]} install arguments that install the package
 * @property {string[]} [omit] arguments that leave optional dependencies out
 * @property {() => string[]} [node] what runs a program in its project (default: this Node)
 */

/** @type {Record<string, Client>} */
const CLIENTS = {
  npm: {
    command: () => ["npm"],
    install: ["install", "--no-audit", "--no-fund", "local-entropy"],
    omit: ["--omit=optional"],
  },
  pnpm: {
    files: () => ({ "pnpm-workspace.yaml": "minimumReleaseAge: 0\n" }),
    command: () => [process.execPath, tool("pnpm", "bin", "pnpm.mjs")],
    install: ["add", "local-entropy"],
    omit: ["--no-optional"],
  },
  yarn1: {
    command: () => [process.execPath, tool("yarn", "bin", "yarn.js")],
    install: ["add", "--non-interactive", "local-entropy"],
    omit: ["--ignore-optional"],
  },
  "yarn-node-modules": {
    files: berry("node-modules"),
    command: yarn,
    install: ["add", "local-entropy"],
    omit: [],
  },
  "yarn-pnp": {
    files: berry("pnp"),
    command: yarn,
    install: ["add", "local-entropy"],
    omit: [],
    node: () => [...yarn(), "node"],
  },
  bun: {
    command: () => [bun()],
    install: ["add", "local-entropy"],
    omit: ["--omit=optional"],
    node: () => [bun()],
  },
  deno: {
    command: () => [process.execPath, tool("deno", "bin.cjs")],
    install: ["add", "--minimum-dependency-age=0", "npm:local-entropy"],
    node: () => [process.execPath, tool("deno", "bin.cjs"), "run", "--allow-all"],
  },
};

async function use(context, name, client, without, step) {
  const project = newProject(context, name, client.files?.(context, without));
  const options = { cwd: project, env: context.env };
  const what = without ? "optional dependencies left out" : "install";
  await step(what, async () => {
    if (without && client.omit === undefined) throw new Skipped("it cannot leave them out");
    const start = performance.now();
    await run([...client.command(), ...client.install, ...(without ? client.omit : [])], options);
    return `${((performance.now() - start) / 1000).toFixed(1)} s`;
  });
  const expected = { backend: without ? "wasm" : "native", version: context.version };
  const node = client.node?.() ?? [process.execPath];
  await step(without ? "ten updates on WASM" : "ten updates natively", async () =>
    checkTold(await told([...node, "train.mjs"], options), expected),
  );
  return project;
}

const parts = Object.entries(CLIENTS).map(([name, client]) => ({
  name,
  async run(context, step) {
    await use(context, name, client, false, step);
    await use(context, name, client, true, step);
  },
}));
export default parts;
