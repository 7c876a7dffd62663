/**
 * Files that somebody made to hurt: gzip bombs, headers that promise more than there is, names that are paths or
 * prototypes, objects in objects without end, pipes and devices in a file's place. Each is read in a process of its own,
 * which must refuse it by the package's own error, in seconds, within a bound of memory.
 */
import { spawn, spawnSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, symlinkSync, truncateSync, writeFileSync, writeSync } from "node:fs";
import { join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { check, command, finish, folder, idx, smallData } from "./support/command.mjs";

const BUILT = resolve(import.meta.dirname, "..", "..", "lib");
const MEMORY = 700 * 2 ** 20;
const SECONDS = 60;
const MANY = 1_000_000;
let trials = 0;

/** A gzip file of a beginning and so many bytes of zeros: one member a piece. */
function bomb(path, beginning, pieces, piece) {
  const file = openSync(path, "w");
  const zeros = gzipSync(Buffer.alloc(piece));
  writeSync(file, gzipSync(beginning));
  for (let i = 0; i < pieces; i++) writeSync(file, zeros);
  closeSync(file);
}

function headed(json, data = 0) {
  const text = Buffer.from(json);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, Buffer.alloc(data)]);
}

const tensor = (name, begin, end) =>
  `${JSON.stringify(name)}:{"dtype":"F32","shape":[${(end - begin) / 4}],"data_offsets":[${begin},${end}]}`;
const run = '{"versions":{"package":"1","node":"2","platform":"3"},"started":"2026"';
const record = '{"update":1,"loss":1,"gradientNorm":1,"seconds":1,"updatesPerSecond":1';
const deep = (open, close) => open.repeat(MANY) + close.repeat(MANY);
const fifo = (path) => check(spawnSync("mkfifo", [path]).status === 0, "no pipe could be made");
const sparse = (path, bytes) => {
  writeFileSync(path, "");
  truncateSync(path, bytes);
};

const IMAGES = {
  "a bomb behind an honest header of another size": (path) =>
    bomb(path, idx([60_000, 28, 28], []), 64, 2 ** 26),
  "a bomb that its header announces": (path) => bomb(path, idx([65_535, 256, 256], []), 64, 2 ** 26),
  "a bomb of zeros": (path) => bomb(path, Buffer.alloc(16), 64, 2 ** 26),
  "gzip in gzip": (path) => writeFileSync(path, gzipSync(gzipSync(Buffer.alloc(2 ** 24)))),
  "sizes that overflow": (path) => writeFileSync(path, idx([2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1], [])),
  "sizes whose product is 0 modulo 2^64": (path) => writeFileSync(path, idx([2 ** 31, 2 ** 31, 4], [])),
  "a pipe": fifo,
  "a device": (path) => symlinkSync("/dev/zero", path),
  "a folder": (path) => mkdirSync(path),
};
const CHECKPOINTS = {
  "a header of 2^64 − 1 bytes": (path) => writeFileSync(path, Buffer.alloc(64, 255)),
  "a header of 90 MB": (path) => writeFileSync(path, headed(`{"a":"${"b".repeat(90_000_000)}"}`)),
  "a type of a million lists": (path) => writeFileSync(path, headed(`{"x":{"dtype":${deep("[", "]")}}}`)),
  "a million objects in each other": (path) =>
    writeFileSync(path, headed(deep('{"a":', "}").replace(":}", ":1}"))),
  "many tensors": (path) =>
    writeFileSync(
      path,
      headed(`{${Array.from({ length: 150_000 }, (_, i) => tensor(`t${i}`, 4 * i, 4 * i + 4))}}`, 600_000),
    ),
  "a shape that overflows": (path) =>
    writeFileSync(
      path,
      headed('{"x":{"dtype":"F32","shape":[9007199254740991,9007199254740991],"data_offsets":[0,16]}}', 16),
    ),
  "a tensor __proto__": (path) =>
    writeFileSync(path, headed(`{${tensor("__proto__", 0, 8)},${tensor("constructor", 8, 16)}}`, 16)),
  "a tensor ../../evil": (path) =>
    writeFileSync(
      path,
      headed(`{"__metadata__":{"format":"local-entropy-1","checksum":"0"},${tensor("../../evil", 0, 8)}}`, 8),
    ),
  "metadata with a prototype": (path) =>
    writeFileSync(path, headed('{"__metadata__":{"__proto__":{"format":"local-entropy-1"}}}')),
  "a file of 8 GiB without a byte on the disk": (path) => sparse(path, 2 ** 33),
  "a pipe": fifo,
  "a device": (path) => symlinkSync("/dev/zero", path),
};
const RUNS = {
  "a million lists in each other": (path) => writeFileSync(path, `${run},"options":{"a":${deep("[", "]")}}}`),
  "a million objects in each other": (path) =>
    writeFileSync(path, `${run},"options":${deep('{"a":', "}").replace(":}", ":1}")}}`),
  "a million quotes": (path) => writeFileSync(path, run + ',"'.concat('\\"'.repeat(MANY))),
  "1 GiB of nothing": (path) => sparse(path, 2 ** 30),
  "numbers for texts": (path) => writeFileSync(path, '{"versions":1,"started":2}'),
  "a pipe": fifo,
  "a device": (path) => symlinkSync("/dev/zero", path),
};
const METRICS = {
  "4 GiB in one line": (path) => sparse(path, 2 ** 32),
  "a record of a million lists": (path) => writeFileSync(path, `${record},"a":${deep("[", "]")}}\n`),
  "a text where a number belongs": (path) => writeFileSync(path, `${record},"testAccuracy":"1"}\n`),
  "a pipe": fifo,
  "a device": (path) => symlinkSync("/dev/zero", path),
};

for (const [what, write] of Object.entries(IMAGES)) {
  const path = join(folder, `images-${trials}`);
  write(path);
  await refused(`IDX: ${what}`, "data/idx.js", "readImages", path, "ERR_DATA");
}
for (const [file, cases, module, call] of [
  ["checkpoint.safetensors", CHECKPOINTS, "runs/checkpoint.js", "load"],
  ["run.json", RUNS, "runs/folder.js", "readRunFile"],
  ["metrics.jsonl", METRICS, "runs/metrics.js", "readMetrics"],
]) {
  for (const [what, write] of Object.entries(cases)) {
    const place = join(folder, `place-${trials}`);
    mkdirSync(place);
    write(join(place, file));
    await refused(`${file}: ${what}`, module, call, place, "ERR_CHECKPOINT");
  }
}

// What such a run.json may say of prototypes reaches nothing, and the command names what it cannot use.
const place = join(folder, "prototype");
mkdirSync(place);
writeFileSync(
  join(place, "run.json"),
  `${run},"__proto__":{"command":{"updates":"9"}},"command":{"__proto__":"1","constructor":"2"}}`,
);
const { code, stderr } = await command(["train", "--resume", place, "--data", smallData()]);
check(code === 2 && !/^\s+at /m.test(stderr), `a command of prototypes: ${code} ${stderr}`);
trials++;
finish(`${trials} hostile files`);

/** The call must throw the package's error of that code; `process.send` is how the child tells. */
async function refused(what, module, call, argument, expected) {
  trials++;
  const source = `
    const { ${call} } = await import(${JSON.stringify(join(BUILT, module))});
    let told = "no error";
    try { await ${call}(${JSON.stringify(argument)}); } catch (error) { told = error.code + " " + error.message; }
    const { maxRSS } = process.resourceUsage();
    console.log(JSON.stringify({ told, memory: maxRSS * 1024, polluted: ({}).format !== undefined }));`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", source], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), 1000 * SECONDS);
  let [stdout, errors] = ["", ""];
  child.stdout.on("data", (text) => {
    stdout += text;
  });
  child.stderr.on("data", (text) => {
    errors += text;
  });
  const [status, signal] = await new Promise((done) => child.on("close", (...end) => done(end)));
  clearTimeout(timer);
  if (status !== 0) return check(false, `${what}: ends with ${signal ?? status} ${errors.slice(0, 500)}`);
  const { told, memory, polluted } = JSON.parse(stdout);
  check(told.startsWith(expected), `${what}: ${told.slice(0, 300)}`);
  check(told.length < 1_000, `${what}: a sentence of ${told.length} letters`);
  check(memory < MEMORY, `${what}: ${(memory / 2 ** 20).toFixed(0)} MiB`);
  check(!polluted, `${what}: Object.prototype was changed`);
}
