/**
 * A server of one page that can import the compiled package, under the headers and the refusals of a test.
 */
import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";

export interface Policies {
  /** Of the answer to a path. */
  readonly headers?: (path: string) => Readonly<Record<string, string>>;
  /** Paths that are answered with status 404. */
  readonly refused?: RegExp;
}

const DIST = fileURLToPath(new URL("../../dist/", import.meta.url));
const ZOD = dirname(createRequire(import.meta.url).resolve("zod/package.json"));
const TYPES: Readonly<Record<string, string>> = { ".js": "text/javascript", ".wasm": "application/wasm" };
const PAGE = '<!doctype html><script type="importmap">{"imports":{"zod":"/zod/index.js"}}</script>';

/** @returns where the page is, and what ends the server */
export function servePage({ headers = () => ({}), refused }: Policies) {
  const server = createServer(({ url = "/" }, response) => {
    for (const [name, value] of Object.entries(headers(url))) response.setHeader(name, value);
    if (url === "/") {
      response.setHeader("Content-Type", "text/html").end(PAGE);
      return;
    }
    const file = url.startsWith("/zod/") ? join(ZOD, url.slice(5)) : join(DIST, url.replace("/dist/", ""));
    if (refused?.test(url) || !statSync(file, { throwIfNoEntry: false })?.isFile()) {
      response.writeHead(404).end();
      return;
    }
    response.setHeader("Content-Type", TYPES[extname(file)] ?? "application/octet-stream");
    createReadStream(file).pipe(response);
  });
  return new Promise<{ address: string; close: () => void }>((resolve) => {
    server.listen(0, "localhost", () => {
      const address = `http://localhost:${(server.address() as AddressInfo).port}/`;
      resolve({ address, close: () => void server.close() });
    });
  });
}
