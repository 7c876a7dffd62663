/** The package in pages that bundlers make, each opened in a headless Chromium and trained on WebAssembly. */
import { once } from "node:events";
import { createReadStream, mkdtempSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { runWebpack } from "./servers.mjs";
import { Skipped } from "./support/commands.mjs";
import { installedProject } from "./support/project.mjs";
import { fromTools, ROOT, toolsRequire } from "./support/tools.mjs";

const ISOLATION = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm" };
const PAGE = '<!doctype html><script type="module" src="/page.js"></script>';

/** test/support/chromium.ts, which tests of jest use: this Node may not read TypeScript. */
async function browser() {
  const { default: typescript } = await import("typescript");
  const source = readFileSync(join(ROOT, "test", "support", "chromium.ts"), "utf8");
  const { outputText } = typescript.transpileModule(source, {
    compilerOptions: { module: "esnext", target: "es2022" },
  });
  return import(`data:text/javascript;base64,${Buffer.from(outputText).toString("base64")}`);
}

/** Serves the files of a folder. */
async function serveFolder(folder, headers) {
  const server = createServer(({ url }, response) => {
    const file = join(folder, url === "/" ? "index.html" : new URL(url, "http://localhost").pathname);
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    if (!statSync(file, { throwIfNoEntry: false })?.isFile()) return void response.writeHead(404).end();
    response.setHeader("Content-Type", TYPES[extname(file)] ?? "application/octet-stream");
    createReadStream(file).pipe(response);
  }).listen(0, "localhost");
  await once(server, "listening");
  return { address: `http://localhost:${server.address().port}/`, close: () => server.close() };
}

/** A folder in the installed project with a page and its script. */
function newPage(project) {
  const folder = mkdtempSync(join(project, "page-"));
  writeFileSync(join(folder, "index.html"), PAGE);
  for (const file of ["page.js", "ten-updates.mjs"]) {
    writeFileSync(join(folder, file), readFileSync(join(project, file)));
  }
  return folder;
}

/** @returns what serves the page with headers, once it is made */
const BUNDLERS = {
  "vite6 development": (folder) => viteServer("vite6", folder),
  "vite6 build": (folder) => viteBuild("vite6", folder),
  "vite8 development": (folder) => viteServer("vite8", folder),
  "vite8 build": (folder) => viteBuild("vite8", folder),
  async webpack(folder) {
    const path = join(folder, "dist");
    await runWebpack({
      mode: "production",
      target: "web",
      context: folder,
      entry: "./page.js",
      output: { path, filename: "page.js", publicPath: "/" },
      performance: false,
    });
    writeFileSync(join(path, "index.html"), PAGE);
    return (headers) => serveFolder(path, headers);
  },
  async esbuild(folder) {
    const path = join(folder, "dist");
    await toolsRequire("esbuild").build({
      absWorkingDir: folder,
      entryPoints: ["page.js"],
      outdir: path,
      bundle: true,
      format: "esm",
      logLevel: "silent",
    });
    writeFileSync(join(path, "index.html"), PAGE);
    return (headers) => serveFolder(path, headers);
  },
};

const settings = (root) => ({ root, configFile: false, logLevel: "silent", cacheDir: join(root, ".vite") });

async function viteServer(name, folder) {
  const { createServer } = await fromTools(name);
  return async (headers) => {
    const server = await createServer({
      ...settings(folder),
      server: { host: "127.0.0.1", port: 0, strictPort: false, headers },
    });
    await server.listen();
    const { port } = server.httpServer.address();
    return { address: `http://127.0.0.1:${port}/`, close: () => server.close() };
  };
}

async function viteBuild(name, folder) {
  const { build } = await fromTools(name);
  await build(settings(folder));
  return (headers) => serveFolder(join(folder, "dist"), headers);
}

async function open({ withPage }, serve, headers, expected) {
  const { address, close } = await serve(headers);
  try {
    return await withPage(address, async (page) => {
      // A development server may load the page anew once it has seen what it imports.
      const answer = await page.evaluate(`new Promise((resolve, reject) => {
        const deadline = Date.now() + 60_000;
        const look = () => {
          if (globalThis.done) globalThis.done.then(resolve, reject);
          else if (Date.now() > deadline) reject(new Error("the page's script did not run"));
          else setTimeout(look, 50);
        };
        look();
      })`);
      const { name, instructionSet, updates, declined } = answer;
      if (name !== "wasm" || !expected.test(instructionSet) || updates !== 10) {
        throw new Error(
          `ran on ${name} (${instructionSet}), ${updates} updates: ${JSON.stringify(declined)}`,
        );
      }
      return `${name} (${instructionSet})`;
    });
  } finally {
    await close();
  }
}

const parts = Object.entries(BUNDLERS).map(([name, bundle]) => ({
  name: name.split(" ")[0],
  title: name,
  async run(context, step) {
    const chromium = await browser();
    if (chromium.chromium === null) throw new Skipped("there is no Chromium here");
    const folder = newPage(await installedProject(context));
    let serve;
    await step("bundle for a browser", async () => {
      serve = await bundle(folder);
      return "made";
    });
    await step("an isolated page", () => open(chromium, serve, ISOLATION, /^(relaxed-)?simd\+threads$/));
    await step("a page that is not isolated", () => open(chromium, serve, {}, /^simd$/));
  },
}));
export default parts;
