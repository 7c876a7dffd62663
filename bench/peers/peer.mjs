/**
 * A rival of another package: a process of its own that speaks JSON lines (protocol.py says which), so that its
 * threads and its memory are its own and its clock runs inside it.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const TYPES = new Map([
  [Float32Array, "float32"],
  [Uint8Array, "uint8"],
  [Uint16Array, "uint16"],
  [Uint32Array, "uint32"],
]);

/** An array for a message: values with their shape. */
export const array = (values, ...shape) => ({ values, shape });

export class Peer {
  #child;
  #lines;
  #files = mkdtempSync(join(tmpdir(), "local-entropy-bench-"));
  #written = new Map();
  #queue = Promise.resolve();

  constructor(command, args, environment = {}) {
    this.#child = spawn(command, args, {
      stdio: ["pipe", "pipe", process.env.LOCAL_ENTROPY_DEBUG ? "inherit" : "ignore"],
      env: { ...process.env, ...environment },
    });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    this.#child.stdin.on("error", () => {}); // a process that ended answers nothing: see request
  }

  /** Arrays go as files: a line of JSON would need minutes for a data set. Each is written once. */
  #encode(value) {
    if (value === null || typeof value !== "object") return value;
    if (Array.isArray(value)) return value.map((item) => this.#encode(item));
    if (!ArrayBuffer.isView(value.values)) {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.#encode(item)]));
    }
    const { values, shape } = value;
    if (!this.#written.has(values)) {
      const file = join(this.#files, `${this.#written.size}.bin`);
      writeFileSync(file, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
      this.#written.set(values, file);
    }
    return { type: TYPES.get(values.constructor), shape, file: this.#written.get(values) };
  }

  /** Sends a message; resolves to the answer, its arrays decoded. One at a time. */
  request(message) {
    const answered = this.#queue.then(async () => {
      this.#child.stdin.write(`${JSON.stringify(this.#encode(message))}\n`);
      const { value, done } = await this.#lines.next();
      if (done)
        throw new Error(`the process ended (status ${this.#child.exitCode ?? this.#child.signalCode})`);
      const answer = JSON.parse(value);
      if (answer.error) throw new Error(answer.error);
      return Object.fromEntries(Object.entries(answer).map(([key, item]) => [key, decode(item)]));
    });
    this.#queue = answered.catch(() => {});
    return answered;
  }

  close() {
    this.#child.stdin.end();
    this.#child.kill();
    rmSync(this.#files, { recursive: true, force: true });
  }
}

function decode(value) {
  if (value?.base64 === undefined) return value;
  const bytes = Buffer.from(value.base64, "base64");
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}
