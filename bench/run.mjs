/**
 * Runs the benchmarks beside rivals from other packages:
 *
 *     npm run bench                          everything, 13 minutes on two quiet cores
 *     npm run bench -- --quick               whether everything still works, under two minutes: rivals do a tenth of
 *                                            their samples, compiled PyTorch is left out
 *     npm run bench -- --only sgld,gaussian  some stems, without sweeps, floors and whole runs
 *     npm run bench -- --name zen4           writes bench/results/zen4.{json,html,svg} (default: this machine's)
 *
 * Needs `npm run build` before. Prints tables; JSON and a page with plots go to bench/results/, which git ignores but
 * for files that were added by name.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { measureAboveFloors, measureFloors, prices, weighed } from "./floors.mjs";
import { goals, printGoals } from "./goals.mjs";
import { page } from "./page.mjs";
import { openPeers } from "./peers/peers.mjs";
import { dataName, machine, missing, runSuite, STEMS } from "./suite.mjs";
import { measureMemory, sweep } from "./sweep.mjs";
import { wholeRuns } from "./whole-runs.mjs";

const options = { quick: { type: "boolean" }, only: { type: "string" }, name: { type: "string" } };
const { values } = parseArgs({ options });
const only = values.only?.split(",");
const unknown = only?.find((stem) => !STEMS.includes(stem));
if (unknown !== undefined) {
  console.error(`Expected some of ${STEMS.join(", ")} for --only but received ${unknown}`);
  process.exit(2);
}
const quick = values.quick === true;

const here = machine();
const start = { date: new Date().toISOString(), load: loadavg()[0] };
console.log(
  `${here.processor}, ${here.cores} cores, Node ${here.node}, load ${start.load.toFixed(1)}, ${dataName}`,
);
for (const { name, reason } of missing()) console.log(`Absent: ${name}, ${reason}`);

const peers = await openPeers({ quick });
const floors = only ? null : measureFloors();
const results = await runSuite({ quick, only, peerRivals: peers.rivals });
const rest = only
  ? {}
  : {
      aboveFloors: await measureAboveFloors({ quick, floors }),
      wholeRuns: await wholeRuns({ quick, peers }),
      sweep: await sweep({ quick, weigh: (count) => weighed(count, prices(floors)) }),
      memory: measureMemory({ quick }),
    };
peers.close();

const content = {
  ...{ ...start, loadAtEnd: loadavg()[0], seconds: Math.round(performance.now() / 1000), quick },
  ...{ machine: here, data: dataName, missing: missing() },
  ...{ peers: peers.present, absentPeers: peers.absent },
  ...{ results, floors, ...rest },
};
content.goals = goals(content);
printGoals(content.goals);

const folder = new URL("results/", import.meta.url);
mkdirSync(folder, { recursive: true });
const name = values.name ?? here.processor.toLowerCase().replace(/[^a-z0-9]+/g, "-");
for (const [extension, text] of Object.entries({
  json: `${JSON.stringify(content, null, 1)}\n`,
  html: page(content),
})) {
  const file = new URL(`${name}${quick || only ? "-part" : ""}.${extension}`, folder);
  writeFileSync(file, text);
  console.log(`Written to ${file.pathname}`);
}
