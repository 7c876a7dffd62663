/**
 * The package in a server's bundle: beside its node_modules it trains natively, and where the bundle is copied somewhere
 * else alone, on WebAssembly.
 */
import { cpSync, mkdirSync, mkdtempSync, renameSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { checkTold, installedProject, told } from "./support/project.mjs";
import { fromTools, toolsRequire } from "./support/tools.mjs";

/** Bundles `server.mjs` of a project into a folder; gives the file to run. */
const BUNDLERS = {
  "esbuild ESM": (project, out) => esbuild(project, join(out, "server.mjs"), { format: "esm" }),
  "esbuild CommonJS": (project, out) => esbuild(project, join(out, "server.cjs"), { format: "cjs" }),
  "esbuild external": (project, out) =>
    esbuild(project, join(out, "server.mjs"), { format: "esm", packages: "external" }),
  "webpack CommonJS": (project, out) => webpack(project, out, "server.cjs", {}),
  "webpack ESM": (project, out) =>
    webpack(project, out, "server.mjs", {
      experiments: { outputModule: true },
      output: { module: true, chunkFormat: "module", library: { type: "module" } },
    }),
  "rollup ESM": (project, out) => rollup(project, out, "es", "server.mjs"),
  "rollup CommonJS": (project, out) => rollup(project, out, "cjs", "server.cjs"),
};

async function esbuild(project, outfile, options) {
  await toolsRequire("esbuild").build({
    absWorkingDir: project,
    entryPoints: ["server.mjs"],
    outfile,
    bundle: true,
    platform: "node",
    logLevel: "silent",
    ...options,
  });
  return outfile;
}

/** Runs webpack, and fails on its errors and on its warnings. */
export function runWebpack(config) {
  return new Promise((resolve, reject) => {
    toolsRequire("webpack")(config, (error, stats) => {
      const told = stats?.toJson({ all: false, errors: true, warnings: true });
      const wrong = [error, ...(told?.errors ?? []), ...(told?.warnings ?? [])].filter(Boolean);
      if (wrong.length === 0) resolve();
      else reject(new Error(wrong.map(({ message }) => message).join("\n")));
    });
  });
}

async function webpack(project, path, filename, { output, ...options }) {
  await runWebpack({
    mode: "production",
    target: "node20",
    context: project,
    entry: "./server.mjs",
    output: { path, filename, ...output },
    ...options,
  });
  return join(path, filename);
}

async function rollup(project, dir, format, entryFileNames) {
  const { rollup: start } = await fromTools("rollup");
  const { nodeResolve } = await fromTools("@rollup/plugin-node-resolve");
  const bundle = await start({
    input: join(project, "server.mjs"),
    plugins: [nodeResolve({ exportConditions: ["node"], preferBuiltins: true })],
    external: /^node:/,
    onwarn: ({ code, message }) => {
      if (code !== "CIRCULAR_DEPENDENCY") throw new Error(message);
    },
  });
  const ending = entryFileNames.slice(-4);
  await bundle.write({ dir, format, entryFileNames, chunkFileNames: `[name]-[hash]${ending}` });
  await bundle.close();
  return join(dir, entryFileNames);
}

const parts = Object.entries(BUNDLERS).map(([name, bundle]) => ({
  name: name.split(" ")[0],
  title: name,
  async run(context, step) {
    const project = await installedProject(context);
    const out = join(mkdtempSync(join(project, "out-")), "server");
    mkdirSync(out);
    let file;
    await step("bundle for a server", async () => {
      file = await bundle(project, out);
      return basename(file);
    });
    const { version, env } = context;
    await step("beside node_modules", async () =>
      checkTold(await told([process.execPath, file], { cwd: dirname(file), env }), {
        backend: "native",
        version,
      }),
    );
    if (name === "esbuild external") return;
    await step("alone in another folder", async () => {
      const elsewhere = mkdtempSync(join(context.work, "alone-"));
      cpSync(out, join(elsewhere, "app"), { recursive: true });
      // An application's own package.json, whose version is not ours.
      writeFileSync(
        join(elsewhere, "package.json"),
        JSON.stringify({ name: "an-application", version: "9.9.9" }),
      );
      const options = { cwd: elsewhere, env };
      const words = [process.execPath, join(elsewhere, "app", basename(file))];
      // A bundler may have kept where the sources were.
      renameSync(project, `${project}-away`);
      try {
        return checkTold(await told(words, options), { backend: "wasm", version });
      } finally {
        renameSync(`${project}-away`, project);
      }
    });
  },
}));
export default parts;
