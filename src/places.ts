/**
 * Where the package's own files lie: the WASM kernels, the workers' script, the package itself.
 *
 * This module, its compiled form in `lib` and the chunk of `dist` that it becomes a part of all lie one folder below
 * the package's, so the same address is right from each.
 *
 * Bundlers look for the expressions `new URL("…", import.meta.url)` and `new Worker(new URL("…", import.meta.url))` as
 * they stand. They are functions, since a bundle of CommonJS knows no place, and must load all the same.
 */
import { nodeModule } from "./host.ts";

/** A build of the WASM kernels, by the name in its file's. */
export const wasmFiles = {
  relaxed: () => new URL("../dist/wasm/local-entropy.relaxed.wasm", import.meta.url),
  threads: () => new URL("../dist/wasm/local-entropy.threads.wasm", import.meta.url),
  simd: () => new URL("../dist/wasm/local-entropy.simd.wasm", import.meta.url),
};

/** A worker of a browser: its type comes with the DOM's, which is no part of this build. */
export interface WebWorker {
  postMessage(message: object, transfer: readonly ArrayBuffer[]): void;
  addEventListener(type: string, hear: (event: { data: unknown; message?: string }) => void): void;
  terminate(): void;
}
declare const Worker: new (url: URL, options: { type: "module" }) => WebWorker;

/** A worker of a browser that listens; it is the bundled one that runs, from src too, or the script of this text. */
export function webWorker(text?: string): WebWorker {
  if (text === undefined) {
    return new Worker(new URL("../dist/backends/wasm/worker.js", import.meta.url), { type: "module" });
  }
  const address = new URL(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
  return new Worker(address, { type: "module" });
}

/** The same of Node. The flags of this process may be such as no worker takes. */
export function nodeWorker(text?: string) {
  const { Worker } = nodeModule("node:worker_threads");
  if (text !== undefined) return new Worker(text, { eval: true, execArgv: [] });
  return new Worker(new URL("../dist/backends/wasm/worker.js", import.meta.url), { execArgv: [] });
}

/**
 * In Node, the file that this code is in: the package's, or what a bundler has made of it. A bundler that makes CommonJS
 * leaves nothing in `import.meta.url`, or where the source was; then CommonJS knows it.
 */
export function ownFile(): string {
  const address = import.meta.url ? nodeModule("node:url").fileURLToPath(import.meta.url) : "";
  if (address !== "" && nodeModule("node:fs").existsSync(address)) return address;
  try {
    return nodeModule("node:path").isAbsolute(__filename) ? __filename : address; // "[eval]" under node -e
  } catch {
    return address;
  }
}
