/**
 * Checkpoints: what was saved is read back to the bit, the same state gives the same bytes, and a file that was
 * cut, changed, or written by something else is refused with a sentence that names it.
 */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { withLast } from "../../src/averaging.ts";
import type { Vector } from "../../src/backends/backend.ts";
import { type Network, parameterCount } from "../../src/network.ts";
import type { BackendReport } from "../../src/run.ts";
import * as checkpoints from "../../src/runs/checkpoint.ts";
import { type Checkpoint, load, save } from "../../src/runs/checkpoint.ts";
import { CHECKPOINT_FILE, RUN_FILE } from "../../src/runs/files.ts";
import { type RunReport, readRunFile, updateRunFile } from "../../src/runs/folder.ts";
import type { Tensor } from "../../src/runs/safetensors.ts";
import * as safetensors from "../../src/runs/safetensors.ts";
import { EVERYTHING } from "../support/everything.ts";
import { sourceOf } from "../support/sources.ts";

const network: Network = { layers: [5, 4, 3], activation: "tanh" };
const n = parameterCount(network);
const FILE = "some/checkpoint.safetensors";

const joined = (parts: readonly Uint8Array[]) => new Uint8Array(Buffer.concat(parts));
const encodeCheckpoint = (given: Checkpoint, path: string) =>
  joined(checkpoints.encodeCheckpoint(given, path));
const decodeCheckpoint = (bytes: Uint8Array, path: string) =>
  checkpoints.decodeCheckpoint(sourceOf(bytes), path);
const encodeSafetensors = (file: safetensors.Safetensors) => joined(safetensors.encodeSafetensors(file));
const decodeSafetensors = (bytes: Uint8Array) => safetensors.decodeSafetensors(sourceOf(bytes));

/** No two entries equal, and some that a text would round. */
function vector(seed: number, type: typeof Float32Array | typeof Float64Array = Float32Array): Vector {
  return new type(n).map((_, i) => Math.sin(seed + i) * 10 ** ((i % 9) - 5));
}

function checkpoint(changes: Partial<Checkpoint["resume"]> = {}): Checkpoint {
  const resume = {
    update: 123,
    fingerprint: "f0f1f2",
    parameters: vector(1),
    moments: [vector(2), vector(3)],
    chain: vector(4),
    average: vector(5),
    pending: [3, 0.1 + 0.2, -0, 1e-310, Number.NaN],
    backend: "native",
    instructionSet: "avx2",
    seconds: 0,
    ...changes,
  };
  return { network, resume };
}

const backend: BackendReport = {
  name: "native",
  instructionSet: "avx2",
  threads: 2,
  form: "projected",
  declined: [{ name: "cuda", reason: "not in this build" }],
};
const report: RunReport = {
  options: { batchSize: 7 },
  backend,
  updates: 123,
  seconds: 4.5,
  completed: false,
  testAccuracy: 0.5,
  validationAccuracy: null,
};

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "checkpoint-"));
});
afterAll(() => rm(directory, { recursive: true }));

describe("round trip", () => {
  test.each([
    ["float32, Adam and chain", checkpoint()],
    ["float32, no moments, no chain", checkpoint({ moments: [], chain: null, average: null, pending: [] })],
    [
      "float64",
      checkpoint({ parameters: vector(1, Float64Array), moments: [vector(2, Float64Array)], chain: null }),
    ],
  ])("%s", (_, given) => {
    expect(decodeCheckpoint(encodeCheckpoint(given, FILE), FILE)).toEqual(given);
  });

  test("any finite float32 and float64 comes back to the bit", () => {
    const values = fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), {
      minLength: n,
      maxLength: n,
    });
    const floats = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), {
      minLength: n,
      maxLength: n,
    });
    fc.assert(
      fc.property(values, floats, (wide, narrow) => {
        const given = checkpoint({
          parameters: Float64Array.from(wide),
          moments: [Float32Array.from(narrow)],
        });
        const { resume } = decodeCheckpoint(encodeCheckpoint(given, FILE), FILE);
        expect(resume.parameters).toEqual(given.resume.parameters); // toEqual tells 0 from −0
        expect(resume.moments).toEqual(given.resume.moments);
      }),
      { seed: 1, numRuns: 50 },
    );
  });

  test("the same state gives the same bytes, another one does not", () => {
    const bytes = encodeCheckpoint(checkpoint(), FILE);
    expect(encodeCheckpoint(checkpoint({ seconds: 99 }), FILE)).toEqual(bytes);
    expect(encodeCheckpoint(checkpoint({ update: 124 }), FILE)).not.toEqual(bytes);
    const parameters = vector(1);
    parameters[n - 1] += 1e-3;
    expect(encodeCheckpoint(checkpoint({ parameters }), FILE)).not.toEqual(bytes);
  });

  test("weights are [input, output], and biases are their own tensor", () => {
    const { tensors } = decodeSafetensors(encodeCheckpoint(checkpoint(), FILE));
    const layers = ["layer-1.weight", "layer-1.bias", "layer-2.weight", "layer-2.bias"];
    const names = ["", "moment-1.", "moment-2.", "chain.", "average."].flatMap((prefix) =>
      layers.map((name) => prefix + name),
    );
    expect([...tensors.keys()]).toEqual(names);
    const { shape, data } = tensors.get("layer-2.weight") as Tensor;
    expect(shape).toEqual([4, 3]);
    expect(data).toEqual(vector(1).subarray(6 * 4, 6 * 4 + 12));
    expect(tensors.get("layer-2.bias")?.data).toEqual(vector(1).subarray(6 * 4 + 12));
  });

  test("the file has the format's layout", () => {
    const bytes = encodeSafetensors({
      metadata: { a: "b" },
      tensors: new Map([["x", { shape: [2], data: Float32Array.of(1, -2) }]]),
    });
    const header = '{"__metadata__":{"a":"b"},"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}';
    expect(header.length % 8).not.toBe(0); // so that the padding is seen
    const padded = header.padEnd(8 * Math.ceil(header.length / 8));
    const length = [padded.length, 0, 0, 0, 0, 0, 0, 0];
    // 1 and −2 as float32: 3f800000 and c0000000, little-endian.
    const data = [0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0];
    expect([...bytes]).toEqual([...length, ...new TextEncoder().encode(padded), ...data]);
  });
});

describe("files that are not whole", () => {
  const whole = encodeCheckpoint(checkpoint(), FILE);

  test("every truncation is refused", () => {
    for (let length = 0; length < whole.length; length++) {
      expect(() => decodeCheckpoint(whole.subarray(0, length), FILE)).toThrow(
        /^The checkpoint some.* cannot be used/,
      );
    }
  });

  test("a flipped bit anywhere is refused, or changes nothing that is read", () => {
    const expectedState = checkpoint();
    let harmless = 0;
    for (let at = 0; at < whole.length; at++) {
      // Each bit of each byte in test:all, else one of each: they walk through all eight.
      for (let bit = EVERYTHING ? 0 : at % 8; bit < (EVERYTHING ? 8 : (at % 8) + 1); bit++) {
        const changed = Uint8Array.from(whole);
        changed[at] ^= 1 << bit;
        let read: Checkpoint;
        try {
          read = decodeCheckpoint(changed, FILE);
        } catch (error) {
          expect(error).toMatchObject({ code: "ERR_CHECKPOINT" });
          continue;
        }
        harmless++;
        expect(read).toEqual(expectedState);
      }
    }
    // Only the header's padding (at most 7 spaces) has bytes that mean nothing; a space may become no other blank
    // by one bit, so none is left.
    expect(harmless).toBe(0);
  });

  test("arbitrary bytes and splices are refused", () => {
    const bytes = fc.uint8Array({ maxLength: 200 });
    const place = fc.nat(whole.length);
    fc.assert(
      fc.property(bytes, place, place, (inserted, begin, end) => {
        expect(() => decodeCheckpoint(inserted, FILE)).toThrow(FILE);
        const spliced = Uint8Array.from([...whole.subarray(0, begin), ...inserted, ...whole.subarray(end)]);
        if (Buffer.compare(spliced, whole) === 0) return;
        expect(() => decodeCheckpoint(spliced, FILE)).toThrow(FILE);
      }),
      { seed: 2, numRuns: 300 },
    );
  });
});

describe("files of others", () => {
  const tensor: Tensor = { shape: [2], data: Float32Array.of(1, 2) };
  const { metadata, tensors } = decodeSafetensors(encodeCheckpoint(checkpoint(), FILE));

  test("a safetensors file of another program", () => {
    const bytes = encodeSafetensors({ metadata: { format: "pt" }, tensors: new Map([["weight", tensor]]) });
    expect(() => decodeCheckpoint(bytes, FILE)).toThrow(/not one that this package wrote/);
  });

  test("a later format", () => {
    const bytes = encodeSafetensors({ metadata: { ...metadata, format: "local-entropy-2" }, tensors });
    expect(() => decodeCheckpoint(bytes, FILE)).toThrow(/format "local-entropy-2", not "local-entropy-1"/);
  });

  test("changed metadata", () => {
    const bytes = encodeSafetensors({ metadata: { ...metadata, update: "124" }, tensors });
    expect(() => decodeCheckpoint(bytes, FILE)).toThrow(/checksum/);
  });

  const header = (entry: object) => {
    const json = new TextEncoder().encode(JSON.stringify({ x: entry }));
    const bytes = new Uint8Array(8 + json.length + 16);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
    bytes.set(json, 8);
    return bytes;
  };
  test.each([
    ["another type", { dtype: "F16", shape: [8], data_offsets: [0, 16] }, /type "F16"/],
    ["a shape that the data do not fill", { dtype: "F32", shape: [5], data_offsets: [0, 16] }, /needs 20/],
    ["offsets out of range", { dtype: "F32", shape: [5], data_offsets: [0, 20] }, /0 to 20, of 16/],
    ["offsets backwards", { dtype: "F32", shape: [4], data_offsets: [16, 0] }, /16 to 0/],
    ["negative sizes", { dtype: "F32", shape: [-4], data_offsets: [0, 16] }, /no valid shape/],
    ["a gap", { dtype: "F32", shape: [3], data_offsets: [4, 16] }, /overlap or leave a gap/],
    ["bytes left over", { dtype: "F32", shape: [3], data_offsets: [0, 12] }, /4 bytes follow/],
    ["no description", [] as object, /no description/],
  ])("%s", (_, entry, message) => {
    expect(() => decodeSafetensors(header(entry))).toThrow(message);
  });

  test("overlapping tensors", () => {
    const json =
      '{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"y":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}';
    const bytes = new Uint8Array(8 + json.length + 12);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
    bytes.set(new TextEncoder().encode(json), 8);
    expect(() => decodeSafetensors(bytes)).toThrow(/overlap/);
  });
});

describe("tensors that do not fit their network", () => {
  /** A file that is whole and has a right checksum, but says something else of itself. */
  const altered = (change: (checkpoint: Checkpoint) => Checkpoint) =>
    encodeCheckpoint(change(checkpoint()), FILE);

  test("other widths of the same number of parameters", () => {
    // The vector is cut by the network that is written.
    const bytes = altered(({ resume }) => ({ network: { layers: [38, 1], activation: "relu" }, resume }));
    expect(parameterCount({ layers: [38, 1], activation: "relu" })).toBe(n);
    expect(decodeCheckpoint(bytes, FILE).network.layers).toEqual([38, 1]);
    expect(decodeCheckpoint(bytes, FILE).resume.parameters).toEqual(vector(1));
  });

  test("a vector that is too short", () => {
    const bytes = altered(({ resume }) => ({
      network,
      resume: { ...resume, chain: vector(4).subarray(0, n - 1) },
    }));
    expect(() => decodeCheckpoint(bytes, FILE)).toThrow(
      /tensor chain.layer-2.bias has 8 bytes, but its shape needs 12/,
    );
  });
});

describe("folder", () => {
  test("save and load", async () => {
    const folder = join(directory, "new", "folder");
    await save(folder, checkpoint(), report);
    const { network: read, parameters, resume } = await load(folder);
    expect(read).toEqual(network);
    expect(parameters).toEqual(withLast(vector(5), vector(1), resume.update)); // the average, and the last iterate
    expect(resume).toEqual({ ...checkpoint().resume, seconds: 4.5 });
    await save(folder, checkpoint({ average: null }), report);
    expect((await load(folder)).parameters).toEqual(vector(1));
    expect((await readdir(folder)).sort()).toEqual([CHECKPOINT_FILE, RUN_FILE]);
    const run = await readRunFile(folder);
    expect(run).toMatchObject({ ...report, fingerprint: "f0f1f2", versions: { node: process.version } });
    expect(Date.now() - Date.parse(run?.started ?? "")).toBeLessThan(60_000);
  });

  test("run.json keeps what the same run had told, and nothing of another one", async () => {
    const folder = join(directory, "twice");
    await mkdir(folder);
    await updateRunFile(folder, { command: { seed: "7" } });
    const begun = await readRunFile(folder);
    await save(folder, checkpoint(), report);
    expect(await readRunFile(folder)).toMatchObject({
      command: { seed: "7" },
      started: begun?.started,
      updates: 123,
    });
    await save(folder, checkpoint({ fingerprint: "another" }), report);
    expect(await readRunFile(folder)).not.toHaveProperty("command");
  });

  test("a value that is not finite is not written, and what was there stays", async () => {
    const folder = join(directory, "finite");
    await save(folder, checkpoint(), report);
    const before = await readFile(join(folder, CHECKPOINT_FILE));
    const runBefore = await readFile(join(folder, RUN_FILE));
    const moment = vector(2);
    moment[6 * 4 + 2] = Number.POSITIVE_INFINITY;
    const bad = checkpoint({ moments: [moment], update: 200 });
    await expect(save(folder, bad, { ...report, updates: 200 })).rejects.toThrow(
      /was not written: moment-1.layer-2.weight has the value Infinity at 2/,
    );
    expect(await readFile(join(folder, CHECKPOINT_FILE))).toEqual(before);
    expect(await readFile(join(folder, RUN_FILE))).toEqual(runBefore);
  });

  test("a place that cannot be written to is named", async () => {
    const file = join(directory, "file");
    await writeFile(file, "");
    await expect(save(join(file, "run"), checkpoint(), report)).rejects.toMatchObject({
      code: "ERR_CHECKPOINT",
      message: expect.stringContaining(
        `${join(file, "run", CHECKPOINT_FILE)} could not be written: a part of this path`,
      ),
    });
  });

  test("a folder without a checkpoint is named", async () => {
    await expect(load(join(directory, "nowhere"))).rejects.toThrow(
      /nowhere.* could not be read: there is no such file/,
    );
  });

  test("a corrupt file on the disk is named", async () => {
    const folder = join(directory, "corrupt");
    await save(folder, checkpoint(), report);
    const path = join(folder, CHECKPOINT_FILE);
    const bytes = await readFile(path);
    bytes[bytes.length - 1] ^= 1;
    await writeFile(path, bytes);
    await expect(load(folder)).rejects.toMatchObject({
      code: "ERR_CHECKPOINT",
      message: `The checkpoint ${path} cannot be used: its checksum does not match. Restore it from a copy, or start the run anew`,
    });
  });

  test("a run.json that is none is named", async () => {
    const folder = join(directory, "foreign");
    await mkdir(folder);
    await writeFile(join(folder, RUN_FILE), '{"started": 3}');
    await expect(readRunFile(folder)).rejects.toThrow(/run.json does not describe a run/);
    await writeFile(join(folder, RUN_FILE), "{");
    await expect(readRunFile(folder)).rejects.toThrow(/run.json is not JSON/);
  });
});
