/**
 * Files that were made to hurt are refused by the package's own errors, before they cost memory or time: bombs, sizes that
 * overflow, endless nesting, prototypes, pipes and devices. test/reliability has the larger ones, and a fuzzer.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, describe, expect, test } from "@jest/globals";
import { readImages } from "../../src/data/idx.ts";
import { load } from "../../src/runs/checkpoint.ts";
import { parseRunFile, readRunFile } from "../../src/runs/folder.ts";
import { MetricsWriter, readMetrics, truncateMetrics } from "../../src/runs/metrics.ts";
import { decodeSafetensors, FormatError } from "../../src/runs/safetensors.ts";
import { idx } from "../support/idx-files.ts";
import { sourceOf } from "../support/sources.ts";

const parent = mkdtempSync(join(tmpdir(), "hostile-"));
afterAll(() => rmSync(parent, { recursive: true }));
let made = 0;
const fresh = () => join(parent, `at-${made++}`);

/** What is in a file's place, and is no file or has no end. */
const PLACES: [string, (path: string) => void][] = [
  ["a folder", (path) => mkdirSync(path)],
  ["a device", (path) => symlinkSync("/dev/zero", path)],
  ["a pipe", (path) => execFileSync("mkfifo", [path])],
];
const onUnix = process.platform === "win32" ? test.skip : test;

onUnix.each(PLACES)("%s is not read", async (_, put) => {
  const path = fresh();
  put(path);
  await expect(readImages(path)).rejects.toMatchObject({ code: "ERR_DATA" });
  const folder = fresh();
  mkdirSync(folder);
  for (const name of ["checkpoint.safetensors", "run.json", "metrics.jsonl"]) put(join(folder, name));
  const said = expect.stringMatching(
    /could not be read: it is (a directory|not a file but a device or a pipe)/,
  );
  await expect(load(folder)).rejects.toMatchObject({ code: "ERR_CHECKPOINT", message: said });
  await expect(readRunFile(folder)).rejects.toMatchObject({ code: "ERR_CHECKPOINT", message: said });
  expect(() => readMetrics(folder)).toThrow(/could not be read: it is/);
});

describe("IDX in gzip", () => {
  const bombOf = (sizes: number[], bytes: number) =>
    Buffer.concat([gzipSync(idx(sizes, new Uint8Array(0))), gzipSync(Buffer.alloc(bytes))]);

  test.each<[string, Buffer, RegExp]>([
    [
      "more than its header says",
      bombOf([2, 2, 2], 2 ** 24),
      /2 × 2 × 2 = 8 bytes .* but found more: it has trailing/,
    ],
    [
      "a header that says too much",
      bombOf([65_535, 256, 256], 2 ** 20),
      /at most 67108864 bytes unzipped from .* but its/,
    ],
    [
      "less than its header says",
      bombOf([9, 1, 1], 8),
      /9 × 1 × 1 = 9 bytes .* but found 8: it is truncated/,
    ],
    ["zeros", gzipSync(Buffer.alloc(2 ** 24)), /but found another format \(00 00 00 00\)/],
  ])("%s", async (_, bytes, sentence) => {
    const path = fresh();
    writeFileSync(path, bytes);
    const before = process.memoryUsage().arrayBuffers;
    await expect(readImages(path)).rejects.toThrow(sentence);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 23);
  });
});

describe("safetensors", () => {
  const headed = (json: string, data = 0) => {
    const bytes = new Uint8Array(8 + json.length + data);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
    bytes.set(new TextEncoder().encode(json), 8);
    return sourceOf(bytes);
  };
  const lists = "[".repeat(100_000) + "]".repeat(100_000);

  test.each<[string, string, RegExp]>([
    [
      "a type of lists",
      `{"x":{"dtype":${lists},"shape":[4],"data_offsets":[0,16]}}`,
      /its header is not JSON/,
    ],
    [
      "a long type",
      `{"x":{"dtype":"${"F".repeat(9_999)}","shape":[4],"data_offsets":[0,16]}}`,
      /type "F{60}…"; F32/,
    ],
    ["a long name", `{"${"n".repeat(9_999)}":1}`, /^tensor "n{60}…" has no description$/],
    ["a name that moves the cursor", '{"\\u001b[2J":1}', /^tensor "\\u001b\[2J" has no description$/],
    [
      "many dimensions",
      `{"x":{"dtype":"F32","shape":[${"1,".repeat(99)}4],"data_offsets":[0,16]}}`,
      /no valid shape/,
    ],
    [
      "a shape that overflows",
      '{"x":{"dtype":"F32","shape":[9e15,9e15],"data_offsets":[0,16]}}',
      /shape needs 3\.24e\+32/,
    ],
    [
      "a tensor __proto__",
      '{"__proto__":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}',
      /16 bytes follow/,
    ],
  ])("%s", (_, json, sentence) => {
    expect(() => decodeSafetensors(headed(json, 16))).toThrow(FormatError);
    expect(() => decodeSafetensors(headed(json, 16))).toThrow(sentence);
  });

  test("a header that is too long is not read", () => {
    const prefix = new Uint8Array(8);
    new DataView(prefix.buffer).setBigUint64(0, 2n ** 25n, true);
    const source = {
      size: 2 ** 40,
      read(target: Uint8Array) {
        expect(target.length).toBe(8);
        target.set(prefix);
      },
    };
    expect(() => decodeSafetensors(source)).toThrow(
      /header is to have 33554432 bytes, of .* and 16777216 at most/,
    );
  });
});

describe("run.json", () => {
  const begun = '{"versions":{"package":"1","node":"2","platform":"3"},"started":"2026"';
  const parse = (text: string) => parseRunFile(new TextEncoder().encode(text), "run.json");

  test("objects in objects are bounded", () => {
    const lists = (depth: number) => `${begun},"options":{"a":${"[".repeat(depth)}${"]".repeat(depth)}}}`;
    expect(parse(lists(98))).toHaveProperty("options");
    expect(() => parse(lists(99))).toThrow("is not JSON");
    expect(() => parse(lists(1_000_000))).toThrow("is not JSON");
    expect(parse(`${begun},"options":{"a":"${"[".repeat(1_000)}\\\\\\"{"}}`)).toHaveProperty("options");
  });

  test("a prototype is not inherited from", () => {
    const run = parse(`${begun},"__proto__":{"confusion":"none"},"command":{"__proto__":"x"}}`);
    expect(run.confusion).toBeUndefined();
    expect(Object.getPrototypeOf(run.command)).toBe(Object.prototype);
  });

  test("a file that is too large is not read", async () => {
    const folder = fresh();
    mkdirSync(folder);
    writeFileSync(join(folder, "run.json"), "");
    truncateSync(join(folder, "run.json"), 2 ** 29);
    await expect(readRunFile(folder)).rejects.toThrow(/it has 536870912 bytes, of 268435456 at most/);
  });
});

describe("metrics.jsonl", () => {
  const record = { update: 1, loss: 1, gradientNorm: 1, seconds: 1, updatesPerSecond: 1 };
  const written = (text: string) => {
    const folder = fresh();
    mkdirSync(folder);
    writeFileSync(join(folder, "metrics.jsonl"), text);
    return folder;
  };

  test.each([
    ["an accuracy that is a text", JSON.stringify({ ...record, testAccuracy: "1" })],
    ["an update that is none", JSON.stringify({ ...record, update: 0.5 })],
    ["an object in it", JSON.stringify({ ...record, more: { a: 1 } })],
    ["a long line", JSON.stringify({ ...record, more: "x".repeat(70_000) })],
  ])("%s", (_, line) => {
    expect(() => readMetrics(written(`${line}\n`))).toThrow(/^Line 1 of .* is not a record/);
  });

  test("a line without an end is not looked for", () => {
    const folder = written("");
    truncateSync(join(folder, "metrics.jsonl"), 2 ** 32);
    expect(() => readMetrics(folder)).toThrow(/^Line 1 of .* is not a record/);
  });

  test("of very many records a report gets a part, with each accuracy", () => {
    const lines = Array.from({ length: 120_000 }, (_, i) =>
      JSON.stringify({ ...record, update: i + 1, ...(i % 24_001 === 0 ? { testAccuracy: 0.5 } : {}) }),
    );
    const folder = written(`${lines.join("\n")}\n`);
    const records = readMetrics(folder);
    expect(records.length).toBeLessThanOrEqual(100_000);
    expect(records.length).toBeGreaterThan(50_000);
    expect(records.filter(({ testAccuracy }) => testAccuracy !== undefined)).toHaveLength(5);
    truncateMetrics(folder, 119_998);
    expect(readMetrics(folder).at(-1)!.update).toBeLessThanOrEqual(119_998);
  });

  test("what could not be written comes with the next record, whole and once", () => {
    const folder = fresh();
    const writer = new MetricsWriter(folder, () => true);
    expect(() => writer.append(record)).toThrow(/records .* could not be written: there is no such place/);
    expect(() => writer.append({ ...record, update: 2 })).toThrow(/could not be written/);
    mkdirSync(folder);
    writer.append({ ...record, update: 3 });
    expect(readMetrics(folder).map(({ update }) => update)).toEqual([1, 2, 3]);
  });
});
