/**
 * Past 2 GiB, which Node neither hashes nor reads at once: a checkpoint that is written, read and gone on with, and training
 * data. Needs some 12 GiB of memory and 5 GiB of disk, so only with --long; without it a sparse file of 3 GiB is read.
 */
import { mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { freemem } from "node:os";
import { join } from "node:path";
import { load, train } from "../../dist/index.js";
import { readImages } from "../../lib/data/idx.js";
import { check, finish, folder, idx, long } from "./support/command.mjs";

const NEEDED = 12 * 2 ** 30;
const told = [];

const [count, width] = [3 * 2 ** 20, 1024];
if (freemem() > 4 * 2 ** 30) {
  const path = join(folder, "images");
  writeFileSync(path, idx([count, 32, 32], []));
  truncateSync(path, 16 + count * width);
  const images = await readImages(path);
  check(images.count === count && images.pixels.length === count * width, "3 GiB of images");
  told.push("3 GiB of images read");
}

if (!long)
  finish(
    `${told.join(", ") || "too little memory for 3 GiB of images"}; checkpoints of 2 GiB only with --long`,
  );
else if (freemem() < NEEDED) finish(`${told.join(", ")}; too little memory for a checkpoint of 2 GiB`);
else {
  {
    const inputs = new Uint8Array(2_800_000 * 784);
    const rows = { inputs, labels: new Uint8Array(2_800_000), count: 2_800_000, width: 784, classes: 10 };
    const run = train({
      network: [784, 10],
      data: { train: rows },
      objective: { kind: "loss" },
      optimizer: { kind: "gradient-descent", rate: 0.1 },
      updates: 1,
    });
    check((await run.result).updates === 1, "training on 2.2 GB");
    told.push("a run on 2.2 GB");
  }
  const rows = {
    inputs: new Uint8Array(4 * 20_000).fill(9),
    labels: Uint8Array.of(0, 1, 2, 3),
    count: 4,
    width: 20_000,
    classes: 10,
  };
  const options = {
    network: [20_000, 27_000, 10],
    data: { train: rows },
    objective: { kind: "loss" },
    optimizer: { kind: "gradient-descent", rate: 1e-4 },
    batchSize: 1,
    updates: 2,
    backend: "native",
  };
  const place = mkdtempSync(join(folder, "large-"));
  const run = train(options);
  for await (const _ of run) break;
  const { parameters, updates } = await run.result;
  await run.save(place);
  const { size } = statSync(join(place, "checkpoint.safetensors"));
  check(size > 2 ** 31, `a checkpoint of only ${size} bytes`);
  const read = await load(place);
  check(read.resume.update === updates, "another update");
  check(
    Buffer.compare(
      Buffer.from(read.parameters.buffer, 0, 2 ** 31 - 1),
      Buffer.from(parameters.buffer, 0, 2 ** 31 - 1),
    ) === 0,
    "other parameters",
  );
  check(read.parameters.at(-1) === parameters.at(-1), "another last parameter");
  rmSync(place, { recursive: true });
  told.push(`a checkpoint of ${(size / 2 ** 30).toFixed(2)} GiB written and read`);
  finish(told.join(", "));
}
