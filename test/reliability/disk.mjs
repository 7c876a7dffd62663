/**
 * Takes the disk, the folder, the output and the clock away from runs of the command while they are under way: a full
 * disk, a limit of files' sizes, a disk that becomes read-only, a folder that is removed, closed and full outputs, a clock
 * that is set back, and a run that diverges. What was trained must be saved, the checkpoint before must stay whole, and
 * the command must say what happened.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, openSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { load } from "../../dist/index.js";
import { begin, check, command, finish, folder, long, MAIN, records, smallData } from "./support/command.mjs";

const data = smallData();
const UPDATES = 3000;
const args = [
  "train",
  "--data",
  data,
  "--network",
  "64-16-10",
  "--updates",
  String(UPDATES),
  "--record-every",
  "10",
];
args.push("--evaluate-every", "20", "--backend", "native", "--threads", "1", "--no-report");
const TMPDIR = join(folder, "tmp");
mkdirSync(TMPDIR);
const env = { TMPDIR };
let trials = 0;
const left = [];

/** Waits until a run has told so many records, and checks that its checkpoint is whole. */
async function after(place, count, child) {
  while (records(place).length < count && child.exitCode === null) await delay(3);
}

/** Goes on with a run, or is told that it is complete; then its folder holds a run of all updates. */
async function checkGoesOn(place, what) {
  const { code, stderr } = await command(["train", "--resume", place, "--quiet", "--no-report"]);
  check(code === 0 || /is complete/.test(stderr), `${what}: cannot go on with it: ${stderr}`);
  const { resume } = await load(place);
  check(resume.update === UPDATES, `${what}: ends at update ${resume.update}`);
}

const mounted = [];
function mount(name, size) {
  const place = join(folder, name);
  mkdirSync(place);
  const { status } = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", place]);
  if (status !== 0) return null;
  mounted.push(place);
  return place;
}
process.prependListener("exit", () => {
  for (const place of mounted) spawnSync("umount", ["-l", place]);
});

for (let round = 0; round < (long ? 20 : 1); round++) {
  const disk = mount(`disk-${round}`, "256k");
  if (disk === null) left.push("a full and a read-only disk (no mount is allowed here)");
  else {
    // The disk is full for a while: told once, and nothing is missing in the end.
    let place = join(disk, "run");
    let { child, ended } = begin([...args, "--run", place], { env });
    await after(place, 20, child);
    fill(disk);
    await delay(300);
    await load(place).catch(({ message }) =>
      check(false, `a full disk: the checkpoint is not whole: ${message}`),
    );
    rmSync(join(disk, "filler"));
    let outcome = await ended;
    check(outcome.code === 0, `a disk that was full for a while: ${outcome.code} ${outcome.stderr}`);
    const told = outcome.stderr.match(/the disk is full/g)?.length ?? 0;
    check(told >= 1 && told <= 4, `a disk that was full for a while: told ${told} times`);
    check(records(place).length === UPDATES / 10, `a disk that was full: ${records(place).length} records`);
    await checkGoesOn(place, "a disk that was full for a while");
    rmSync(place, { recursive: true });
    trials++;

    // It stays full: what is there stays whole, and the end goes elsewhere.
    ({ child, ended } = begin([...args, "--run", place, "--json"], { env }));
    await after(place, 20, child);
    fill(disk);
    outcome = await ended;
    check(outcome.code === 1, `a full disk ends with ${outcome.code}`);
    await checkRescued(outcome, "a full disk");
    await load(place).catch(({ message }) => check(false, `a full disk: ${message}`));
    rmSync(join(disk, "filler"));
    await checkGoesOn(place, "a disk that was full to the end");
    rmSync(place, { recursive: true });
    trials++;

    place = join(disk, "read-only");
    ({ child, ended } = begin([...args, "--run", place, "--json"], { env }));
    await after(place, 20, child);
    let status = 1;
    for (let tries = 0; status !== 0 && tries < 2000; tries++) {
      ({ status } = spawnSync("mount", ["-o", "remount,ro", disk])); // refused while a file is being written
    }
    outcome = await ended;
    if (status !== 0) left.push("a read-only disk (it could not be made so)");
    else {
      check(outcome.code === 1, `a read-only disk ends with ${outcome.code}`);
      await checkRescued(outcome, "a read-only disk");
      spawnSync("mount", ["-o", "remount,rw", disk]);
      await checkGoesOn(place, "a disk that was read-only");
      trials++;
    }
  }

  // No file may have more than 10 kB: records end at that, and a checkpoint has 17 kB.
  const limited = join(folder, `limited-${round}`);
  const outcome = await limitedRun(limited);
  check(/is allowed here/.test(outcome.stderr), `a limit of files' sizes: ${outcome.stderr}`);
  check(outcome.code === 1, `a limit of files' sizes ends with ${outcome.code}`);
  trials++;

  const vanished = join(folder, `vanished-${round}`);
  const run = begin([...args, "--run", vanished], { env });
  await after(vanished, 30, run.child);
  renameSync(vanished, `${vanished}-away`); // removing it file by file loses the race with the run
  const ended = await run.ended;
  check(ended.code === 0, `a folder that vanished: ${ended.code} ${ended.stderr}`);
  await checkGoesOn(vanished, "a folder that vanished");
  trials++;

  for (const [what, stdio] of [
    ["closed outputs", ["ignore", "pipe", "pipe"]],
    ["a full disk behind stdout", ["ignore", openSync("/dev/full", "w"), "pipe"]],
    ["a full disk behind stderr", ["ignore", "pipe", openSync("/dev/full", "w")]],
  ]) {
    const place = join(folder, `${what.replaceAll(" ", "-")}-${round}`);
    const { child, ended: end } = begin([...args, "--run", place, "--json"], { env, stdio });
    if (what === "closed outputs") {
      await after(place, 5, child);
      child.stdout.destroy();
      child.stderr.destroy();
    }
    const { code } = await end;
    check(code === (what.endsWith("stdout") ? 1 : 0), `${what}: ends with ${code}`);
    check(records(place).length === UPDATES / 10, `${what}: ${records(place).length} records`);
    await checkGoesOn(place, what);
    trials++;
  }

  const back = join(folder, `back-${round}`);
  const source = `let by = 0; const now = Date.now; Date.now = () => now() - by; const { Date: Whole } = globalThis;
    globalThis.Date = class extends Whole { constructor(...a) { a.length ? super(...a) : super(now() - by); } };
    globalThis.Date.now = () => now() - by; setInterval(() => { by += 3_600_000; }, 50).unref();`;
  const shifted = await command([...args, "--run", back], {
    env,
    node: ["--import", `data:text/javascript,${encodeURIComponent(source)}`],
  });
  check(shifted.code === 0, `a clock that is set back: ${shifted.stderr}`);
  const seconds = records(back).length;
  check(seconds === UPDATES / 10, `a clock that is set back: ${seconds} records`);
  await checkGoesOn(back, "a clock that is set back");
  trials++;

  const diverged = join(folder, `diverged-${round}`);
  const rate = [
    "--objective",
    "loss",
    "--optimizer",
    "adam",
    "--weight-decay",
    "1",
    "--rate",
    "reversed:annealed:1e35,0.5",
  ];
  const explosion = await command([...args, ...rate, "--run", diverged], { env });
  check(
    explosion.code === 1 && /the run diverged/.test(explosion.stderr),
    `a divergence: ${explosion.stderr}`,
  );
  check(
    /The last good state, after \d+ updates, is in /.test(explosion.stderr),
    `a divergence: ${explosion.stderr}`,
  );
  await load(diverged).catch(({ message }) => check(false, `a divergence: ${message}`));
  trials++;
}
finish(
  `${trials} times disk, folder, output or clock were taken away${left.map((each) => `, without ${each}`).join("")}`,
);

function fill(disk) {
  for (let bytes = 2 ** 18; bytes >= 1; bytes = Math.floor(bytes / 2)) {
    try {
      writeFileSync(join(disk, "filler"), Buffer.alloc(bytes), { flag: "a" });
      bytes *= 2; // again so many
    } catch {}
  }
}

/** The command said where else it saved, and that is a run to go on with. */
async function checkRescued({ stderr, stdout }, what) {
  const [, place] = /The run was saved into (\S+) instead/.exec(stderr) ?? [];
  check(place?.startsWith(TMPDIR) && existsSync(join(place, "checkpoint.safetensors")), `${what}: ${stderr}`);
  if (place === undefined) return;
  check(JSON.parse(stdout).directory === place, `${what}: stdout tells ${stdout}`);
  check(readdirSync(place).includes("metrics.jsonl"), `${what}: the records did not come along`);
  await checkGoesOn(place, `${what}, elsewhere`);
}

function limitedRun(place) {
  const shell = `ulimit -f 10; exec "$0" "$@"`; // blocks of 1,024 bytes
  const child = spawn("bash", ["-c", shell, process.execPath, MAIN, ...args, "--run", place], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stderr = "";
  child.stderr.on("data", (text) => {
    stderr += text;
  });
  child.stdout.resume();
  return new Promise((done) => child.on("close", (code, signal) => done({ code, signal, stderr })));
}
