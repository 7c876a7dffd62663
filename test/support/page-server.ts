/**
 * A server of one page that can import the compiled package, bundled (/dist/) or module by module (/lib/), under the headers and the refusals of a test.
 */
import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

export interface Policies {
  /** Of the answer to a path. */
  readonly headers?: (path: string) => Readonly<Record<string, string>>;
  /** Paths that are answered with status 404. */
  readonly refused?: RegExp;
}

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const SERVED = /^\/(dist|lib)\//;
const TYPES: Readonly<Record<string, string>> = { ".js": "text/javascript", ".wasm": "application/wasm" };
const PAGE = "<!doctype html>";

/** @returns where the page is, and what ends the server */
export function servePage({ headers = () => ({}), refused }: Policies) {
  const server = createServer(({ url = "/" }, response) => {
    for (const [name, value] of Object.entries(headers(url))) response.setHeader(name, value);
    if (url === "/") {
      response.setHeader("Content-Type", "text/html").end(PAGE);
      return;
    }
    const file = join(ROOT, url);
    if (!SERVED.test(url) || refused?.test(url) || !statSync(file, { throwIfNoEntry: false })?.isFile()) {
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
