/**
 * Workers that are terminated while they open the native backend, train, save and close, on each version of Node that
 * LOCAL_ENTROPY_NODES names. The process must outlive all of them.
 */
import { fileURLToPath } from "node:url";
import { conclude, ended, long, nodes } from "./support/programs.mjs";

const COUNT = long ? 5000 : 500;
const program = fileURLToPath(new URL("support/terminations.mjs", import.meta.url));

const found = nodes();
const broken = [];
for (const { path, version } of found) {
  const { end, good, output } = await ended(path, [program, String(COUNT), "1"]);
  if (!good) broken.push(`Node ${version}: ${end}`);
  console.log(`Node ${version}: ${end}, ${output.trim()}`);
}
const only = process.env.LOCAL_ENTROPY_NODES ? "" : " (LOCAL_ENTROPY_NODES names no others)";
const versions = found.map(({ version }) => version).join(", ");
conclude(
  broken.length > 0,
  `${COUNT} terminations on each of Node ${versions}${only}: ${broken.join("; ") || "no crash"}`,
);
