/**
 * Calls the addon itself with jobs, handles and callbacks that are wrong, for so many milliseconds:
 *
 *     node --force-node-api-uncaught-exceptions-policy=true --expose-gc boundary.mjs ADDON MILLISECONDS SEED [modest]
 *
 * Every call must return or throw an Error with a code, every job that was taken must be told of once, and the process
 * must live. The last line counts calls and how they ended.
 */
import { createRequire } from "node:module";
import { setTimeout as delay } from "node:timers/promises";
import { KINDS } from "../../../lib/backends/description.js";
import { hostile, NO_HANDLES } from "./hostile.mjs";
import { seeded } from "./programs.mjs";

const [path, milliseconds, seed] = [process.argv[2], ...process.argv.slice(3).map(Number)];
const addon = createRequire(import.meta.url)(path);
const { below, any, chance, number, problem, flat } = hostile(seeded(seed), process.argv.includes("modest"));

const OURS = "thrown by the caller";
const counts = { calls: 0, refused: 0, computed: 0, cancelled: 0, failed: 0 };
const codes = new Set();
const broken = (what) => {
  console.log(`BROKEN: ${what}`);
  process.exit(1);
};
process.on("uncaughtException", (error) => {
  if (error?.message !== OURS) broken(`uncaught ${error?.stack ?? error}`);
});

/** A call's result; undefined where it was refused, as it should be. */
function call(name, ...args) {
  counts.calls++;
  try {
    return addon[name](...args);
  } catch (error) {
    if (error?.message === OURS) return undefined;
    if (!(error instanceof Error) || typeof error.code !== "string")
      broken(`${name}: ${error?.stack ?? error}`);
    counts.refused++;
    codes.add(error.code);
    return undefined;
  }
}

/** One backend's life. */
async function scenario() {
  const queue = call(
    "open",
    chance(0.05) ? any(["mmx", 3, undefined]) : "",
    chance(0.05) ? number() : 1 + below(3),
  );
  if (queue === undefined) return;
  const sessions = [];
  const jobs = [];
  let [taken, toldOf] = [0, 0];

  const handles = () => [queue, ...sessions.map(({ handle }) => handle), ...jobs];
  const handle = (right) => (chance(0.03) ? any([...NO_HANDLES, ...handles()]) : right);
  const collect = (from) => {
    const arrays = {};
    for (const name of ["gradient", "losses", "chain", "values", "output", "outputLabels", "parameters"])
      if (chance(0.3))
        arrays[name] = any([new Float32Array(below(100)), new Float64Array(4 * below(4)), 3, "x"]);
    return call("collect", handle(from), chance(0.05) ? any([undefined, 3, []]) : arrays);
  };

  function start(name, ...args) {
    let times = 0;
    const done = (code, message, numbers) => {
      toldOf++;
      if (++times > 1) broken(`${name} was told of twice`);
      if (code !== null && typeof code !== "string") broken(`${name}: code ${code}`);
      if (typeof message !== "string" || typeof numbers !== "object")
        broken(`${name}: ${message}, ${numbers}`);
      counts[code === null ? "computed" : code === "CANCELLED" ? "cancelled" : "failed"]++;
      if (code !== null) codes.add(code);
      if (chance(0.5)) collect(queue);
      if (chance(0.05)) call("close", queue);
      if (chance(0.05)) act();
      if (chance(0.05)) throw new Error(OURS);
    };
    const job = call(name, ...args, chance(0.02) ? any([undefined, {}, 3]) : done);
    if (job === undefined) return;
    taken++;
    jobs.push(job);
  }

  function act() {
    const wrongs = chance(0.3) ? 0 : 1 + below(3);
    switch (below(8)) {
      case 0:
      case 1:
      case 2: {
        const operation = any(KINDS.operation);
        const { scalars, arrays } = flat(problem(operation), wrongs);
        if (chance(0.02))
          Object.defineProperty(arrays, any(Object.keys(arrays)), { get: () => call("close", queue) });
        if (chance(0.02))
          Object.defineProperty(arrays, "layers", {
            get() {
              throw new Error(OURS);
            },
          });
        return start("start", handle(queue), scalars, chance(0.02) ? any([undefined, 3, null]) : arrays);
      }
      case 3: {
        const one = problem("run");
        const job = flat(one, wrongs);
        const split = () => {
          if (chance(0.3)) return undefined;
          const rows = flat(one, chance(0.8) ? 0 : 1);
          if (chance(0.2)) delete rows.arrays.inputs; // they may follow
          return rows;
        };
        const session = call(
          "openSession",
          handle(queue),
          job,
          split(),
          split(),
          chance(0.05) ? 3 : undefined,
        );
        if (session !== undefined) sessions.push(Object.assign({ handle: session }, one));
        return undefined;
      }
      case 4:
      case 5: {
        if (sessions.length === 0) return undefined;
        const session = any(sessions);
        const { scalars, arrays } = flat(session, chance(0.5) ? 0 : 1);
        return start("run", handle(session.handle), scalars, arrays);
      }
      case 6: {
        if (sessions.length === 0) return undefined;
        const { handle: session } = any(sessions);
        if (chance(0.5)) return start("read", handle(session));
        return start("accuracy", handle(session), chance(0.2) ? number() : below(3));
      }
      default: {
        const any_handle = handle(any([queue, ...sessions.map(({ handle }) => handle), ...jobs]));
        if (chance(0.2)) return call("closeSession", any_handle);
        if (chance(0.1)) {
          const rows = any([new Uint8Array(below(99)), new Float32Array(below(99)), new Float64Array(3), 3]);
          return call("addInputs", any_handle, chance(0.1) ? number() : below(4), rows);
        }
        if (chance(0.1)) return call("close", any_handle);
        if (chance(0.3)) return collect(any_handle);
        if (chance(0.5)) return call("cancel", any_handle, chance(0.3) ? number() : any([1, ...jobs]));
        return call(any(["instructionSet", "threads"]), any_handle);
      }
    }
  }

  for (let i = below(16); i > 0; i--) act();
  const late = Date.now() + 20;
  while (toldOf < taken && Date.now() < late) await delay(1);
  if (chance(0.5)) call("close", queue);
  else for (const job of jobs) call("cancel", queue, job);
  const end = Date.now() + 60_000;
  while (toldOf < taken) {
    if (Date.now() > end) broken(`${taken - toldOf} of ${taken} jobs are never told of`);
    await delay(1);
  }
}

const start = Date.now();
for (let i = 0; Date.now() - start < milliseconds; i++) {
  await scenario();
  if (i % 50 === 0) gc();
}
const told = Object.entries(counts).map(([name, count]) => `${count} ${name}`);
console.log(`${told.join(", ")}; codes ${[...codes].sort().join(" ")}`);
