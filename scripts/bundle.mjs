/**
 * Makes `dist`, what is published, of `src`, `bench` and the packages that they use, so that whoever installs this
 * package installs no other:
 *
 *     dist/index.js, formats/index.js, runs/report.js, table/table.js, cli/main.js   what is imported or run
 *     dist/chunk-….js                   what those share: one copy of each class, and what is loaded on demand
 *     dist/backends/wasm/worker.js      one script without imports, so that whoever copies it alone has it whole
 *     dist/….d.ts                       the declarations that the public ones reach, from `lib`
 *     dist/THIRD-PARTY-LICENSES.txt     of every package of which a part is in there
 *
 * Names are kept, and nothing is written shorter, so that an error's stack can be read.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const ENTRIES = ["index", "formats/index", "runs/report", "table/table", "cli/main"];
const DECLARED = ["index", "formats/index", "runs/report", "table/table"];

/** Chunks lie at the top, where src/places.ts is right about where the package's files are. */
const OPTIONS = {
  entryPoints: Object.fromEntries(ENTRIES.map((name) => [name, `src/${name}.ts`])),
  outdir: "dist",
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  mainFields: ["module", "main"],
  // Papa Parse leaves its streams of Node out then, which no browser or bundler has.
  define: { PAPA_BROWSER_CONTEXT: "true" },
  target: "es2022",
  chunkNames: "chunk-[hash]",
  legalComments: "none",
  metafile: true,
  logLevel: "warning",
};

/** Benchmarks import what tsc made of src; in the bundle they share src's own modules. */
const fromSource = {
  name: "from source",
  setup({ onResolve }) {
    onResolve({ filter: /^(\.\.\/)+lib\/.*\.js$/ }, ({ path, resolveDir }) => ({
      path: resolve(resolveDir, path).replace(/([\\/])lib([\\/].*)\.js$/, "$1src$2.ts"),
    }));
  },
};

/** CommonJS asks for modules of Node by `require`, which a module does not have. */
const builtins = {
  name: "modules of Node",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(node:|stream$)/ }, ({ path, kind }) =>
      kind === "require-call" ? { path, namespace: "builtin" } : undefined,
    );
    onLoad({ filter: /.*/, namespace: "builtin" }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)});`,
    }));
  },
};

/** The script of the WASM backend's workers, which is a module and CommonJS alike. */
async function bundleWorker() {
  const { outputFiles } = await build({
    entryPoints: ["src/backends/wasm/worker.ts"],
    bundle: true,
    write: false,
    format: "iife",
    platform: "neutral",
    target: "es2022",
    legalComments: "none",
    logLevel: "warning",
  });
  return outputFiles[0].text;
}

/** Puts the kernels and the workers' script where src/backends/wasm/inlined.ts says that there are none. */
function inlining(worker) {
  const packed = (content) => gzipSync(content, { level: 9 }).toString("base64");
  const names = ["relaxed", "threads", "simd"];
  return {
    name: "inlined kernels",
    setup({ onLoad, onResolve }) {
      onLoad({ filter: /[\\/]wasm[\\/]inlined\.ts$/ }, () => ({
        contents: 'export const loadInlined = () => import("inlined kernels");',
      }));
      onResolve({ filter: /^inlined kernels$/ }, ({ path }) => ({ path, namespace: "inlined" }));
      onLoad({ filter: /.*/, namespace: "inlined" }, () => {
        const kernels = Object.fromEntries(
          names.map((name) => [name, packed(readFileSync(`dist/wasm/local-entropy.${name}.wasm`))]),
        );
        const contents = `export const kernels = ${JSON.stringify(kernels)}, worker = "${packed(worker)}";`;
        return { contents };
      });
    },
  };
}

/** Folder of the package that a bundled file is a part of; null for our own. */
function packageOf(file) {
  const [, folder] = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file) ?? [];
  return folder ?? null;
}

/** The text of the licences of the packages in these folders. */
function licences(folders) {
  const sections = folders.map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const file = readdirSync(folder).find((entry) => /^(licen[cs]e|copying)(\.\w+)?$/i.test(entry));
    if (file === undefined) throw new Error(`Expected a file LICENSE in ${folder} but found none`);
    const text = readFileSync(join(folder, file), "utf8").replaceAll("\r\n", "\n").trim();
    return `${name} ${version} (${license})\n\n${text}\n`;
  });
  const rule = `\n${"-".repeat(100)}\n\n`;
  return `Parts of these packages are in the files of this folder.\n${rule}${sections.join(rule)}`;
}

/** Copies the declarations that `DECLARED` reach from `lib`; they name each other as every TypeScript knows it. */
function copyDeclarations() {
  const copied = new Set();
  const copy = (path) => {
    if (copied.has(path)) return;
    copied.add(path);
    const declared = readFileSync(join("lib", path), "utf8");
    const text = declared.replace(/(\b(?:from |import\()["']\.[^"']+)\.ts(?=["'])/g, "$1.js");
    const output = join("dist", path);
    mkdirSync(dirname(output), { recursive: true });
    writeFileSync(output, text);
    for (const [, name] of text.matchAll(/\b(?:from |import\()["'](\.[^"']+)\.js["']/g)) {
      copy(join(dirname(path), `${name}.d.ts`));
    }
  };
  for (const name of DECLARED) copy(`${name}.d.ts`);
}

/** @throws where it cannot be made; what is wrong with a source stands on stderr then */
export async function bundle() {
  const worker = await bundleWorker();
  mkdirSync("dist/backends/wasm", { recursive: true });
  writeFileSync("dist/backends/wasm/worker.js", worker);
  const { metafile } = await build({ ...OPTIONS, plugins: [fromSource, builtins, inlining(worker)] });
  const files = Object.values(metafile.outputs).flatMap(({ inputs }) =>
    Object.entries(inputs).filter(([, { bytesInOutput }]) => bytesInOutput > 0),
  );
  const folders = new Set(files.map(([file]) => packageOf(file)).filter((folder) => folder !== null));
  writeFileSync("dist/THIRD-PARTY-LICENSES.txt", licences([...folders].sort()));
  copyDeclarations();
}
