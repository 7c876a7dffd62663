/**
 * How long `import "local-entropy"` takes, and what a process that does no more takes beside an empty one:
 * `node bench/import.mjs [FOLDER] [--rounds N]`, FOLDER another built or installed copy of the package. Medians of N (ten)
 * processes each, by turns; processor time beside them, which other programs disturb less.
 */
import { spawnSync } from "node:child_process";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
  options: { rounds: { type: "string", default: "10" } },
  allowPositionals: true,
});
const folder = resolve(positionals[0] ?? join(import.meta.dirname, ".."));
const entry = pathToFileURL(join(folder, "dist", "index.js")).href;

const TOLD = `
  const start = performance.now();
  const before = process.cpuUsage();
  WORK
  const { user, system } = process.cpuUsage(before);
  console.log(JSON.stringify({ wall: performance.now() - start, processor: (user + system) / 1000 }));`;

/** Milliseconds of the work in a fresh process, and of that process. */
function once(work) {
  const start = performance.now();
  const source = TOLD.replace("WORK", work);
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", source], {
    encoding: "utf8",
  });
  const whole = performance.now() - start;
  if (stderr !== "") throw new Error(stderr);
  return { ...JSON.parse(stdout), whole };
}

const median = (numbers) => numbers.sort((a, b) => a - b)[numbers.length >> 1].toFixed(0);
const samples = { empty: [], import: [] };
for (let round = 0; round < Number(values.rounds); round++) {
  samples.empty.push(once(""));
  samples.import.push(once(`await import(${JSON.stringify(entry)});`));
}
for (const [name, each] of Object.entries(samples)) {
  const [wall, processor, whole] = ["wall", "processor", "whole"].map((key) =>
    median(each.map((one) => one[key])),
  );
  console.log(`${name.padEnd(6)}  ${wall} ms, processor ${processor} ms; the whole process ${whole} ms`);
}
