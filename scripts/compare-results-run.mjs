/**
 * What `compare-results.mjs` starts for a tree and a backend: computes the cases, and sends each value to the parent.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { faultCases, minimizeCases, operationCases, plainFacts, runCases } from "./compare-results-cases.mjs";

const { tree, place, only, folder, which } = JSON.parse(process.argv[2]);
const api = await import(pathToFileURL(join(tree, "dist", "index.js")).href);

/** The reference has one whatever it is told. */
const THREADS = place.backend === "reference" ? [2] : [1, 2, 3];

/** Texts that hold a folder of this machine, without it. */
const plain = (text) =>
  String(text)
    .replaceAll(tree, "<tree>")
    .replaceAll(join(folder, which), "<folder>")
    .replaceAll(join(folder, "old"), "<folder>");
const CLOCK = new Set(["seconds", "updatesPerSecond"]);

/** Sends every number, text and array of a value; what a clock says is left out. */
function tell(name, value) {
  if (value === undefined || value === null || typeof value === "bigint") value = String(value);
  if (typeof value === "function") return;
  if (typeof value === "string") value = plain(value);
  if (typeof value !== "object" || ArrayBuffer.isView(value)) {
    process.send({ name, value });
    return;
  }
  for (const [key, entry] of Object.entries(value)) if (!CLOCK.has(key)) tell(`${name} ${key}`, entry);
}

async function attempt(name, compute) {
  try {
    const value = await compute();
    tell(typeof value === "object" ? name : `${name} value`, value);
    return value;
  } catch (error) {
    tell(`${name} error`, { name: error.name, code: error.code, message: error.message });
  }
}

const wanted = (name) => name.includes(only);
const skipped = (i, every) => every !== undefined && i % every !== 0;

async function compareOperations() {
  const opened = new Map();
  for (const threads of THREADS) {
    const backend = await api.openBackend(place.backend, { threads });
    opened.set(threads, backend);
    if (place.instructionSet === undefined || place.instructionSet === backend.instructionSet) continue;
    throw new Error(`${backend.instructionSet} was opened in its place`);
  }
  const { name, instructionSet, threads, declined } = opened.get(2);
  if (only === "") tell("opened", { name, instructionSet, threads, declined });
  let i = 0;
  for (const [how, threads, operation, options] of cases()) {
    const name = `${operation} ${how}, ${threads} threads`;
    i++;
    if (!wanted(name) || skipped(i, place.every) || (place.every && options.parameters?.length > 1000))
      continue;
    const backend = opened.get(threads);
    const result = await attempt(name, () => backend[operation](options));
    // The form that writes, now and then.
    const into = `${operation}Into`;
    const first = ArrayBuffer.isView(result)
      ? result
      : Object.values(result ?? {}).find((v) => ArrayBuffer.isView(v));
    if (i % 5 !== 0 || first === undefined || !(into in backend)) continue;
    const out = new first.constructor(first.length);
    await attempt(`${name}, into`, async () => ({ rest: await backend[into](options, out), out }));
  }
  for (const backend of opened.values()) backend.close();
  const closed = "fault: after close";
  if (wanted(closed)) await attempt(closed, () => opened.get(2).gaussian({ stream: 16, count: 3 }));
}

function* cases() {
  let i = 0;
  for (const [how, ...rest] of operationCases(THREADS)) yield [`${how}, case ${++i}`, ...rest];
  yield* faultCases();
}

/** The run as a whole, what it saved on the way, and that resumed; also from what the old tree saved. */
async function compareRuns() {
  let i = 0;
  for (const [name, given] of runCases(api, THREADS)) {
    i++;
    if (!wanted(name) || skipped(i, place.everyRun)) continue;
    const options = { ...given, backend: place.backend };
    const path = (side) => join(folder, side, `${place.name} ${i}`);
    mkdirSync(join(folder, which), { recursive: true });
    const whole = await attempt(name, async () => {
      const run = api.train(options);
      const saved = run.save(path(which)); // after the first crossing, however fast it is
      const records = [];
      for await (const record of run) records.push(record);
      await saved;
      return { records, report: run.backend, result: await run.result };
    });
    if (whole === undefined) continue;
    await attempt(`${name}, checkpoint`, async () => {
      const { resume, ...rest } = await api.load(path(which));
      const file = createHash("sha256")
        .update(readFileSync(join(path(which), "checkpoint.safetensors")))
        .digest("hex");
      return { ...rest, resume, file };
    });
    const resumed = async (side) => {
      const { resume } = await api.load(path(side));
      const result = await api.train({ ...options, resume }).result;
      const { parameters } = whole.result;
      const same = result.parameters.every((value, at) => Object.is(value, parameters[at]));
      return { ...result, "is the whole's": same };
    };
    const own = await attempt(`${name}, resumed`, () => resumed(which));
    const fromOld = `${name}, resumed from the old tree's checkpoint`;
    await attempt(fromOld, () => (which === "old" && own ? own : resumed("old")));
  }
}

/** What needs no backend. */
async function comparePlain() {
  for (const [name, options] of minimizeCases(api)) {
    if (!wanted(name)) continue;
    await attempt(name, async () => {
      const run = api.minimize(options);
      const records = [];
      for await (const record of run) records.push(record);
      return { records, report: run.backend, result: await run.result };
    });
  }
  const nowhere = join(folder, which, "nothing");
  for (const [name, compute] of Object.entries(plainFacts(api, nowhere)))
    if (wanted(name)) await attempt(name, compute);
}

/** Why the backend cannot be opened here, or null. */
async function whyNot() {
  try {
    (await api.openBackend(place.backend, { threads: 1 })).close();
    return null;
  } catch (error) {
    return plain(error.message).split("\n")[0];
  }
}

const absent = await whyNot();
if (absent !== null) process.send({ absent });
else {
  await compareOperations();
  await compareRuns();
  if (place.backend === "reference") await comparePlain();
}
process.send({ end: true }, () => process.disconnect());
