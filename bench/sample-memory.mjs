/**
 * Peak memory of a process that runs one update of importance sampling: `node bench/sample-memory.mjs FORM J`, FORM
 * projected, direct or walsh, prints { J, peak } in bytes. Only losses may grow with J, by 4 bytes a sample.
 */
import { existsSync, readFileSync } from "node:fs";
import { nativeStatus, openNative } from "../lib/backends/addon/native.js";
import { backends, openRun } from "./problem.mjs";

const [, , form, count] = process.argv;
const J = Number(count);
const coupling =
  form === "walsh"
    ? { kind: "walsh", blocks: Math.ceil(J / 512) }
    : { kind: "independent", samples: J, complement: "marginalize", centred: true };
const backend = nativeStatus().available ? openNative({ threads: 2 }) : Object.values(backends())[0];
const { run } = openRun(backend, {
  kind: "importance-sampling",
  coupling,
  temperature: 1,
  rowwise: form === "walsh",
  projected: form !== "direct",
});
await run();

/** Linux's resource usage starts at the peak of the process that started this one; its status file does not. */
function peak() {
  const status = "/proc/self/status";
  if (!existsSync(status)) return process.resourceUsage().maxRSS * 1024;
  return 1024 * Number(/VmHWM:\s*(\d+)/.exec(readFileSync(status, "utf8"))[1]);
}
console.log(JSON.stringify({ J, peak: peak() }));
backend.close();
