/**
 * Jobs, handles and callbacks that are wrong in every way, thrown at the addon itself, below all of TypeScript's checks;
 * on each version of Node that LOCAL_ENTROPY_NODES names. Never a crash, always an Error with a code.
 */
import { fileURLToPath } from "node:url";
import { conclude, ended, long, nodes } from "./support/programs.mjs";

const SECONDS = long ? 600 : 120;
const PROCESSES = long ? 20 : 8;
const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const flags = ["--force-node-api-uncaught-exceptions-policy=true", "--expose-gc"];

const found = nodes();
const broken = [];
let calls = 0;
for (let seed = 0; seed < PROCESSES; seed++) {
  const { path, version } = found[seed % found.length];
  const program = [here("support/boundary.mjs"), here("../../build/Release/local_entropy.node")];
  const milliseconds = String((1000 * SECONDS) / PROCESSES);
  const { end, good, output, last } = await ended(path, [...flags, ...program, milliseconds, String(seed)]);
  console.log(`Node ${version}, seed ${seed}: ${good ? last : `${end}\n${output}`}`);
  if (good) calls += Number.parseInt(last, 10);
  else broken.push(`seed ${seed} on Node ${version}: ${end}`);
}
const versions = [...new Set(found.map(({ version }) => version))].join(", ");
conclude(
  broken.length > 0,
  `${calls} hostile calls of the addon in ${SECONDS} s on Node ${versions}: ${broken.join("; ") || "no crash"}`,
);
