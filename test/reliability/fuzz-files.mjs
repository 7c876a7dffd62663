/**
 * Fuzzes every reader of files: IDX data, checkpoints, `run.json` and `metrics.jsonl`. Each refuses what it cannot read
 * by its own error, in bounded time and memory. A further parser is a further entry of `PARSERS`; what is found becomes a
 * test in test/runs.
 */
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { parseImages, parseLabels, readImages } from "../../lib/data/idx.js";
import { CheckpointError, DataError } from "../../lib/index.js";
import { decodeCheckpoint, encodeCheckpoint } from "../../lib/runs/checkpoint.js";
import { parseRunFile } from "../../lib/runs/folder.js";
import { recordLine, recordsIn } from "../../lib/runs/metrics.js";
import { renderReport } from "../../lib/runs/report.js";
import { decodeSafetensors, encodeSafetensors, FormatError } from "../../lib/runs/safetensors.js";
import { check, finish, folder, idx, long } from "./support/command.mjs";
import { fuzz } from "./support/fuzzing.mjs";

const text = (value) => new TextEncoder().encode(value);
const joined = (parts) => new Uint8Array(Buffer.concat(parts));
const source = (bytes) => ({
  size: bytes.length,
  read(target, at) {
    if (at < 0 || at + target.length > bytes.length) throw new RangeError("read outside the file");
    target.set(bytes.subarray(at, at + target.length));
  },
});

const network = { layers: [3, 2, 2], activation: "relu" };
const vector = (seed, type = Float32Array) => type.from({ length: 14 }, (_, i) => Math.sin(seed + i));
const checkpoints = [
  { moments: [], chain: null, average: null, parameters: vector(1) },
  { moments: [vector(2), vector(3)], chain: vector(4), average: vector(5), parameters: vector(1) },
  { moments: [], chain: null, average: null, parameters: vector(1, Float64Array) },
].map((state) =>
  joined(
    encodeCheckpoint(
      {
        network,
        resume: {
          ...state,
          update: 12,
          fingerprint: "f".repeat(64),
          pending: [1, 0.5, 2, 0, 0],
          backend: "native",
          instructionSet: "avx2",
          seconds: 0,
        },
      },
      "a checkpoint",
    ),
  ),
);

/** A checkpoint's bytes with the checksum that they should have, where it still is one: what else is wrong shows then. */
function withChecksum(bytes) {
  let file;
  try {
    file = decodeSafetensors(source(bytes));
  } catch {
    return bytes;
  }
  const { checksum: _, ...metadata } = file.metadata;
  const hash = createHash("sha256")
    .update(joined(encodeSafetensors({ ...file, metadata })))
    .digest("hex");
  return joined(encodeSafetensors({ ...file, metadata: { ...metadata, checksum: hash } }));
}

const run = {
  versions: { package: "1.0.0", node: "v20", platform: "linux-x64" },
  started: "2026-01-02T03:04:05.678Z",
  fingerprint: "f".repeat(64),
  command: { updates: "100", averaging: true },
  options: {
    network: { layers: [3, 2], activation: "relu" },
    optimizer: { kind: "adam", rate: { name: "cosine", arguments: [0.001, 0] } },
  },
  backend: {
    name: "native",
    instructionSet: "avx2",
    threads: 2,
    form: "projected",
    coupling: "walsh",
    samples: 32,
    declined: [{ name: "cuda", reason: "no" }],
  },
  updates: 100,
  seconds: 1.5,
  completed: true,
  testAccuracy: 0.5,
  validationAccuracy: null,
  confusion: [
    [5, 1],
    [2, 2],
  ],
};
const runs = [run, { versions: run.versions, started: run.started }].map((each) =>
  text(JSON.stringify(each, null, 1)),
);
const record = { update: 10, loss: 0.5, gradientNorm: 1.5, seconds: 0.1, updatesPerSecond: 100 };
const metrics = [
  [record, { ...record, update: 20, testAccuracy: 0.5 }],
  [{ ...record, effectiveSampleSize: 3, freeEnergy: 0.25, validationAccuracy: 1, loss: null }],
].map((records) => text(records.map(recordLine).join("")));
const images = [idx([2, 2, 2], Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)), idx([1, 1, 1], Uint8Array.of(9))];
const labels = [idx([3], Uint8Array.of(1, 0, 2)), idx([1], Uint8Array.of(9))];
const zipped = join(folder, "zipped");

const isCheckpointError = (error) => error instanceof CheckpointError;
const isDataError = (error) => error instanceof DataError;
const PARSERS = [
  { name: "IDX images", seeds: images, parse: (bytes) => parseImages(bytes), allowed: isDataError },
  { name: "IDX labels", seeds: labels, parse: (bytes) => parseLabels(bytes, 10), allowed: isDataError },
  {
    name: "IDX in gzip",
    seeds: images.map((bytes) => gzipSync(bytes)),
    parse(bytes) {
      writeFileSync(zipped, bytes);
      return readImages(zipped);
    },
    allowed: isDataError,
  },
  {
    name: "safetensors",
    seeds: checkpoints,
    parse: (bytes) => decodeSafetensors(source(bytes)),
    allowed: (error) => error instanceof FormatError,
  },
  {
    name: "checkpoints",
    seeds: checkpoints,
    parse: (bytes) => decodeCheckpoint(source(withChecksum(bytes)), "a checkpoint"),
    allowed: isCheckpointError,
  },
  {
    name: "run.json",
    seeds: runs,
    parse: (bytes) => parseRunFile(bytes, "run.json"),
    allowed: isCheckpointError,
  },
  {
    name: "metrics.jsonl",
    seeds: metrics,
    parse: (bytes) => [...recordsIn(source(bytes), "metrics.jsonl")],
    allowed: isCheckpointError,
  },
  {
    name: "run.json and metrics.jsonl in a report",
    seeds: [joined([runs[0], text("\0"), metrics[0]]), joined([runs[1], text("\0"), metrics[1]])],
    parse(bytes) {
      const cut = bytes.indexOf(0);
      const records = cut < 0 ? [] : [...recordsIn(source(bytes.subarray(cut + 1)), "metrics.jsonl")];
      const told = parseRunFile(cut < 0 ? bytes : bytes.subarray(0, cut), "run.json");
      return renderReport({ run: told, records: records.map(({ record: each }) => each) });
    },
    allowed: isCheckpointError,
  },
];

const inputs = long ? 10_000_000 : Number.POSITIVE_INFINITY;
const milliseconds = long ? 600_000 : 12_000;
let total = 0;
const told = [];
for (const [index, parser] of PARSERS.entries()) {
  const { broken, count, outcomes } = await fuzz(parser, { inputs, milliseconds, seed: 77 + index });
  for (const { what, input } of broken) {
    check(false, `${what}\ninput (base64): ${Buffer.from(input).toString("base64").slice(0, 4_000)}`);
  }
  told.push(`${parser.name} ${count} inputs, ${outcomes} outcomes`);
  console.log(told.at(-1));
  total += count;
}
finish(`${PARSERS.length} parsers fuzzed by ${total} inputs`);
