/**
 * Runs the benchmarks: `npm run bench`, `npm run bench -- --quick`, `npm run bench -- --only sgld,gaussian`.
 * Prints tables and writes bench/results/<date>.json. Needs `npm run build` before.
 */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { Harness } from "./harness.mjs";

const { values } = parseArgs({ options: { quick: { type: "boolean" }, only: { type: "string" } } });
const folder = new URL(".", import.meta.url);
const stems = readdirSync(folder)
  .filter((name) => name.endsWith(".bench.mjs"))
  .map((name) => name.replace(".bench.mjs", ""));
const wanted = values.only?.split(",") ?? stems;
const unknown = wanted.find((stem) => !stems.includes(stem));
if (unknown !== undefined) {
  console.error(`Expected some of ${stems.join(", ")} for --only but received ${unknown}`);
  process.exit(2);
}

const machine = { processor: cpus()[0].model, cores: cpus().length, memory: totalmem(), system: release() };
console.log(
  `${machine.processor}, ${machine.cores} cores, Node ${process.version}${values.quick ? ", quick" : ""}`,
);
const harness = new Harness(values.quick);
for (const stem of wanted) await (await import(`./${stem}.bench.mjs`)).default(harness);

const results = new URL("results/", folder);
mkdirSync(results, { recursive: true });
const date = new Date().toISOString();
const file = new URL(`${date.replace(/[:.]/g, "-")}.json`, results);
const content = {
  date,
  machine,
  node: process.version,
  quick: values.quick === true,
  results: harness.results,
};
writeFileSync(file, `${JSON.stringify(content, null, 2)}\n`);
console.log(`\nWritten to ${file.pathname}`);
