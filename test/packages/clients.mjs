/** Each client installs the package into an empty project, with its optional dependencies and without. */
import { run } from "./support/commands.mjs";
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
 * @property {() => string[]} [refusing] the same, where it loads no addon
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
    // It cannot leave optional dependencies out, but refuse what they are for.
    refusing: () => [
      ...[process.execPath, tool("deno", "bin.cjs"), "run", "--no-prompt"],
      ...["--allow-read", "--allow-write", "--allow-env", "--allow-sys", "--allow-import"],
    ],
  },
};

async function use(context, name, client, without, step) {
  const project = newProject(context, name, client.files?.(context, without));
  const options = { cwd: project, env: context.env };
  const what = without ? "optional dependencies left out" : "install";
  await step(what, async () => {
    await run([...client.command(), ...client.install, ...(without ? client.omit : [])], options);
    return "installed";
  });
  const expected = { backend: without ? "wasm" : "native", version: context.version };
  const node = client.node?.() ?? [process.execPath];
  await step(without ? "ten updates on WASM" : "ten updates natively", async () =>
    checkTold(await told([...node, "train.mjs"], options), expected),
  );
  if (client.refusing === undefined) return;
  await step("no addon allowed: on WASM", async () =>
    checkTold(await told([...client.refusing(), "train.mjs"], options), { ...expected, backend: "wasm" }),
  );
}

const parts = Object.entries(CLIENTS).map(([name, client]) => ({
  name,
  async run(context, step) {
    await use(context, name, client, false, step);
    if (client.omit !== undefined) await use(context, name, client, true, step);
  },
}));
export default parts;
