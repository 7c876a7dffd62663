/**
 * Kills runs of the command by SIGKILL at random moments, which are mostly saves, goes on with them, and compares what
 * they come to with a run that nobody killed: the same bytes of the checkpoint, the same records.
 */
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  begin,
  check,
  checkpoint,
  command,
  finish,
  folder,
  long,
  random,
  records,
  smallData,
} from "./support/command.mjs";

const KILLS = long ? 1000 : 100;
const next = random(20261201);
const data = smallData();
// A checkpoint every 20 updates: most of the time goes into saving.
const args = ["train", "--data", data, "--network", "64-16-10", "--updates", "1500", "--record-every", "10"];
args.push(
  "--evaluate-every",
  "20",
  "--backend",
  "native",
  "--threads",
  "1",
  "--no-report",
  "--quiet",
  "--json",
);

const started = performance.now();
const whole = await command([...args, "--run", "whole"]);
check(whole.code === 0, `a run that nobody kills ends with ${whole.code}: ${whole.stderr}`);
const wholeTime = performance.now() - started;
const [expected, expectedRecords] = [checkpoint(join(folder, "whole")), records(join(folder, "whole"))];

let kills = 0;
let during = 0;
let ends = 0;
for (let trial = 0; kills < KILLS; trial++) {
  const name = `run-${trial}`;
  const place = join(folder, name);
  let ended = false;
  while (!ended) {
    // What was killed before it told its options is begun anew; what is complete is not gone on with.
    const again = existsSync(join(place, "run.json"));
    const { child, ended: end } = begin(
      again ? ["train", "--resume", name, "--no-report", "--quiet", "--json"] : [...args, "--run", name],
    );
    const killed = kills < KILLS ? delay(next() * wholeTime).then(() => child.kill("SIGKILL")) : null;
    const outcome = await Promise.race([end, killed?.then(() => end) ?? end]);
    if (outcome.signal === "SIGKILL") {
      kills++;
      if (existsSync(place) && readdirSync(place).some((file) => file.endsWith(".tmp"))) during++;
      continue;
    }
    ended = true;
    const complete = /is complete/.test(outcome.stderr);
    check(outcome.code === 0 || complete, `trial ${trial} ends with ${outcome.code}: ${outcome.stderr}`);
    await killed;
  }
  ends++;
  check(checkpoint(place).equals(expected), `trial ${trial}: other bytes`);
  check(JSON.stringify(records(place)) === JSON.stringify(expectedRecords), `trial ${trial}: other records`);
  const left = readdirSync(place).filter((file) => file.endsWith(".tmp") || file.startsWith(".local"));
  check(left.length === 0, `trial ${trial} leaves ${left.join(", ")}`);
  rmSync(place, { recursive: true });
}
finish(`${kills} kills by SIGKILL, ${during} of them while a file was being written, ${ends} runs ended`);
