/** What the programs of test/reliability share: their one flag, versions of Node, children, random numbers. */
import { spawn, spawnSync } from "node:child_process";
import { delimiter } from "node:path";

/** Whether the program was asked for its long form. */
export const long = process.argv.includes("--long");

/**
 * Versions of Node to try: those whose executables LOCAL_ENTROPY_NODES lists (separated as PATH is), else the one that
 * runs this program.
 */
export function nodes() {
  const paths = process.env.LOCAL_ENTROPY_NODES?.split(delimiter) ?? [process.execPath];
  return paths.map((path) => {
    const { stdout, error } = spawnSync(path, ["-p", "process.versions.node"], { encoding: "utf8" });
    if (error) throw new Error(`LOCAL_ENTROPY_NODES names ${path}, which does not run: ${error.message}`);
    return { path, version: stdout.trim() };
  });
}

/** Runs a command to its end: how it ended ("status 0"), what it printed, and the last line of that. */
export async function ended(command, args, { env = {}, echo = false } = {}) {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      output += text;
      if (echo) process.stdout.write(text);
    });
  }
  const end = await new Promise((resolve) => {
    child.on("error", ({ message }) => resolve(message));
    child.on("close", (status, signal) => resolve(signal ?? `status ${status}`));
  });
  return { end, good: end === "status 0", output, last: output.trimEnd().split("\n").at(-1) };
}

/** Numbers in [0, 1) that a seed gives (mulberry32). */
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The program's outcome, told on its last line. */
export function conclude(broken, outcome) {
  console.log(outcome);
  process.exitCode = broken ? 1 : 0;
}
