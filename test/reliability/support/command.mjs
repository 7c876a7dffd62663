/** The command in processes of its own, on a small data set that is read in no time. */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

export const long = process.argv.includes("--long");
export const MAIN = resolve(import.meta.dirname, "..", "..", "..", "dist", "cli", "main.js");

/** A folder that is removed when this process ends. */
export const folder = mkdtempSync(join(tmpdir(), "reliability-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

/** An IDX file: sizes, then bytes. */
export function idx(sizes, bytes) {
  const head = new Uint8Array(4 + 4 * sizes.length);
  head.set([0, 0, 8, sizes.length]);
  sizes.forEach((size, i) => {
    new DataView(head.buffer).setUint32(4 + 4 * i, size);
  });
  return Buffer.concat([head, Uint8Array.from(bytes)]);
}

/** A folder of 400 training and 100 test images of 8 × 8 pixels, a class to each bright stripe. */
export function smallData() {
  const directory = join(folder, "data");
  mkdirSync(directory);
  for (const [split, count] of [
    ["train", 400],
    ["t10k", 100],
  ]) {
    const labels = Uint8Array.from({ length: count }, (_, i) => (i * 7) % 10);
    const pixels = Uint8Array.from({ length: count * 64 }, (_, i) => {
      const bright = i % 64 === 6 * labels[Math.floor(i / 64)];
      return ((i * 2654435761) >>> 26) + (bright ? 150 : 0);
    });
    writeFileSync(join(directory, `${split}-images-idx3-ubyte`), idx([count, 8, 8], pixels));
    writeFileSync(join(directory, `${split}-labels-idx1-ubyte`), idx([count], labels));
  }
  return directory;
}

/** Begins the command; `ended` resolves to { code, signal, stdout, stderr }. */
export function begin(args, { cwd = folder, node = [], env = {}, stdio } = {}) {
  const child = spawn(process.execPath, [...node, MAIN, ...args], {
    cwd,
    env: { ...process.env, ...env },
    stdio: stdio ?? ["ignore", "pipe", "pipe"],
  });
  let [stdout, stderr] = ["", ""];
  child.stdout?.on("data", (data) => {
    stdout += data;
  });
  child.stderr?.on("data", (data) => {
    stderr += data;
  });
  const ended = new Promise((done) =>
    child.on("close", (code, signal) => done({ code, signal, stdout, stderr })),
  );
  return { child, ended };
}

export const command = (args, options) => begin(args, options).ended;

/** The records of a run's folder without what depends on the clock. */
export function records(directory) {
  const path = join(directory, "metrics.jsonl");
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, "utf8").split("\n").slice(0, -1);
  return lines.map((line) => {
    const { seconds, updatesPerSecond, ...record } = JSON.parse(line);
    return record;
  });
}

export const checkpoint = (directory) => readFileSync(join(directory, "checkpoint.safetensors"));

/** Numbers 0 … 1 of a seed, so that a trial can be made again. */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

let broken = 0;
/** Counts what broke, and says it. */
export function check(holds, what) {
  if (holds) return;
  broken++;
  console.log(`BROKE: ${what}`);
}

/** The last line, and the exit code. */
export function finish(outcome) {
  console.log(
    `${outcome} on Node ${process.versions.node}: ${broken === 0 ? "nothing broke" : `${broken} broke`}`,
  );
  process.exitCode = broken === 0 ? 0 : 1;
}
