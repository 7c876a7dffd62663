/**
 * Races for folders between processes and threads: two runs of one name, two that go on with one run, runs without a
 * name, a run that is to be replaced while it is under way, saves into one folder, folders of killed processes that many
 * want at once, and a thread that was ended while it held a folder.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { load, train } from "../../dist/index.js";
import {
  begin,
  check,
  command,
  finish,
  folder,
  long,
  random,
  records,
  smallData,
} from "./support/command.mjs";

const ROUNDS = long ? 60 : 4;
const next = random(5);
const data = smallData();
const SAVER = join(import.meta.dirname, "support", "saver.mjs");
const small = ["--data", data, "--network", "64-8-10", "--record-every", "10", "--evaluate-every", "50"];
const args = ["train", ...small, "--backend", "native", "--threads", "1", "--no-report", "--quiet"];
let races = 0;

const parse = (place) => JSON.parse(readFileSync(join(place, "run.json"), "utf8"));

/** A folder holds what one run of so many updates writes. */
function checkWhole(place, updates, what) {
  const told = records(place).map(({ update }) => update);
  const once = Array.from({ length: updates / 10 }, (_, i) => 10 * (i + 1));
  check(JSON.stringify(told) === JSON.stringify(once), `${what}: records ${told.length} of ${once.length}`);
  const run = parse(place);
  check(
    run.completed && run.updates === updates && run.command !== undefined,
    `${what}: run.json is another's`,
  );
  const left = readdirSync(place).filter((file) => /tmp$|^\.local/.test(file));
  check(left.length === 0, `${what}: leaves ${left}`);
}

/** Exactly one of the processes succeeded; the others say why not. */
function checkOne(ended, sentence, what) {
  const won = ended.filter(({ code }) => code === 0).length;
  const told = ended.filter(({ code, stderr }) => code === 1 && sentence.test(stderr)).length;
  check(
    won === 1 && told === ended.length - 1,
    `${what}: ${won} of ${ended.length} won\n${ended.map(({ stderr }) => stderr).join("")}`,
  );
  races++;
}

for (let round = 0; round < ROUNDS; round++) {
  const name = `same-${round}`;
  const two = [1, 2].map((seed) =>
    command([...args, "--run", name, "--updates", "400", "--seed", String(seed)]),
  );
  checkOne(await Promise.all(two), /is not free|holds a run already/, "two runs of one name");
  checkWhole(join(folder, name), 400, "two runs of one name");

  // A run that was killed, and three who want to go on with it at once.
  const killed = `killed-${round}`;
  const { child, ended } = begin([...args, "--run", killed, "--updates", "4000"]);
  while (records(join(folder, killed)).length < 20) await delay(5);
  child.kill("SIGKILL");
  await ended;
  const resume = ["train", "--resume", killed, "--no-report", "--quiet"];
  checkOne(
    await Promise.all([1, 2, 3].map(() => command(resume))),
    /is not free|is complete/,
    "three resumes",
  );
  checkWhole(join(folder, killed), 4000, "three resumes");

  const unnamed = mkdtempSync(join(folder, "unnamed-"));
  const six = await Promise.all(
    Array.from({ length: 6 }, () => command([...args, "--updates", "100"], { cwd: unnamed })),
  );
  check(
    six.every(({ code }) => code === 0),
    `runs without a name: ${six.map(({ stderr }) => stderr).join("")}`,
  );
  const made = readdirSync(join(unnamed, "runs"));
  check(made.length === 6, `runs without a name: ${made.length} folders of 6`);
  for (const each of made) checkWhole(join(unnamed, "runs", each), 100, "a run without a name");
  races++;

  // A run is under way: nobody replaces it, goes on with it or saves over it.
  const busy = `busy-${round}`;
  const under = begin([...args, "--run", busy, "--updates", "20000"]);
  while (records(join(folder, busy)).length < 5) await delay(5);
  const intruders = await Promise.all([
    command([...args, "--run", busy, "--updates", "100", "--overwrite"]),
    command(["train", "--resume", busy, "--quiet"]),
    saver({ directory: join(folder, busy), seed: 3, times: 1 }).catch(({ message }) => ({
      code: 1,
      stderr: message,
    })),
  ]);
  under.child.kill("SIGINT");
  const stopped = await under.ended;
  // Under load the run may have ended before they asked.
  if (stopped.code === 130) {
    check(
      intruders.every(({ code, stderr }) => code === 1 && /is not free|is under way/.test(stderr)),
      `intruders: ${intruders.map(({ stderr }) => stderr)}`,
    );
  }
  races++;

  // Saves of three processes and three threads into one folder: at the end, one whole save.
  const shared = join(folder, `shared-${round}`);
  const savers = [1, 2, 3, 4, 5, 6].map((seed) => {
    const given = { directory: shared, seed, times: 8 };
    return seed <= 3 ? saver(given) : thread(given);
  });
  const outcomes = await Promise.allSettled(savers);
  check(
    outcomes.every(({ status }) => status === "fulfilled"),
    `saves into one folder: ${outcomes.map(({ reason }) => reason)}`,
  );
  const { resume: saved } = await load(shared);
  check(
    parse(shared).fingerprint === saved.fingerprint && parse(shared).updates === saved.update,
    "a folder of two saves",
  );
  check(readdirSync(shared).length === 2, `saves leave ${readdirSync(shared)}`);
  races++;

  // Four results into new folders of one new parent.
  const results = await Promise.all([1, 2, 3, 4].map((seed) => result(seed)));
  const side = join(folder, `side-${round}`);
  const four = await Promise.allSettled(results.map(({ save }, i) => save(join(side, "by", `side-${i}`))));
  check(
    four.every(({ status }) => status === "fulfilled"),
    `saves side by side: ${four.map(({ reason }) => reason)}`,
  );
  races++;
}

// Threads that are ended at a random moment of their saves shut nobody out for longer than their silence.
for (let round = 0; round < (long ? 10 : 2); round++) {
  const place = join(folder, `ended-${round}`);
  const worker = new Worker(SAVER, { workerData: { directory: place, seed: 2, times: 100_000 } });
  while (!readdirSync(folder).includes(`ended-${round}`)) await delay(5);
  await delay(100 * next());
  await worker.terminate();
  await (await result(9)).save(place);
  check((await load(place)).resume.update === 9, "a save after a thread's end");
  rmSync(place, { recursive: true });
  races++;
}
finish(`${races} races for folders`);

function result(seed) {
  const inputs = new Float32Array(64 * 6).map((_, i) => Math.sin(i));
  const labels = new Uint8Array(64).map((_, i) => i % 3);
  const rows = { inputs, labels, count: 64, width: 6, classes: 3 };
  return train({ network: [6, 8, 3], data: { train: rows }, updates: seed, seed, backend: "reference" })
    .result;
}

function thread(workerData) {
  const worker = new Worker(SAVER, { workerData });
  return new Promise((done, failed) => worker.once("message", done).once("error", failed));
}

function saver(given) {
  const child = spawn(process.execPath, [SAVER, JSON.stringify(given)], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let stderr = "";
  child.stderr.on("data", (text) => {
    stderr += text;
  });
  return new Promise((done, failed) =>
    child.on("close", (code) => (code === 0 ? done({ code, stderr }) : failed(new Error(stderr)))),
  );
}
