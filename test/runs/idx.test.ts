/**
 * IDX files: round trips, and the error of each way to be wrong.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { parseImages, parseLabels, readImages, readLabels } from "../../src/data/idx.ts";
import { DataError } from "../../src/errors.ts";
import { idx } from "../support/idx-files.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "idx-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function file(name: string, bytes: Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, bytes);
  return path;
}

async function messageOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => null,
    (thrown) => thrown,
  );
  expect(error).toBeInstanceOf(DataError);
  return (error as Error).message;
}

test("bytes to images and labels and back, as views", () => {
  const size = fc.integer({ min: 1, max: 7 });
  fc.assert(
    fc.property(size, size, size, fc.infiniteStream(fc.nat(255)), (count, rows, columns, stream) => {
      const pixels = Uint8Array.from([...stream.take(count * rows * columns)]);
      const bytes = idx([count, rows, columns], pixels);
      const images = parseImages(bytes);
      expect(images).toEqual({ pixels, count, rows, columns });
      expect(images.pixels.buffer).toBe(bytes.buffer);
      expect(parseLabels(idx([pixels.length], pixels))).toEqual(pixels);
    }),
    { numRuns: 100, seed: 1 },
  );
});

test("plain and gzip files read the same, whatever the name", async () => {
  const bytes = idx([2, 3, 1], Uint8Array.of(1, 2, 3, 4, 5, 6));
  const plain = await readImages(await file("plain", bytes));
  const zipped = await readImages(await file("zipped", gzipSync(bytes)));
  expect(plain).toEqual({ pixels: Uint8Array.of(1, 2, 3, 4, 5, 6), count: 2, rows: 3, columns: 1 });
  expect(zipped).toEqual(plain);
  expect(await readLabels(await file("labels", idx([3], Uint8Array.of(0, 9, 3))), 10)).toEqual(
    Uint8Array.of(0, 9, 3),
  );
});

test("no truncation or added byte passes", () => {
  const bytes = idx([2, 2, 2], new Uint8Array(8));
  for (let length = 0; length < bytes.length; length++) {
    expect(() => parseImages(bytes.subarray(0, length))).toThrow(DataError);
  }
  expect(() => parseImages(Uint8Array.of(...bytes, 0))).toThrow(DataError);
});

describe("each fault is named", () => {
  const images = idx([2, 2, 1], Uint8Array.of(1, 2, 3, 4));
  const faults: [string, Uint8Array, string][] = [
    [
      "truncated",
      images.subarray(0, 18),
      "Expected 2 × 2 × 1 = 4 bytes of images after the header in PATH but found 2: it is truncated; fetch it again",
    ],
    [
      "trailing",
      Uint8Array.of(...images, 7),
      "Expected 2 × 2 × 1 = 4 bytes of images after the header in PATH but found 5: it has trailing bytes and is not plain IDX",
    ],
    ["header", images.subarray(0, 9), "Expected a header of 16 bytes in PATH but found 9: it is truncated"],
    [
      "empty",
      new Uint8Array(0),
      "Expected IDX images (beginning with the bytes 00 00 08 03) in PATH but found an empty file",
    ],
    [
      "none",
      idx([0, 2, 1], new Uint8Array(0)),
      "Expected sizes of 1 or more in PATH but found 0 × 2 × 1: it holds no images",
    ],
    [
      "png",
      Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d),
      "Expected IDX images (beginning with the bytes 00 00 08 03) in PATH but found another format (89 50 4e 47)",
    ],
    [
      "labels",
      idx([3], new Uint8Array(3)),
      "Expected IDX images (beginning with the bytes 00 00 08 03) in PATH but found IDX labels",
    ],
    [
      "floats",
      Uint8Array.of(0, 0, 0x0d, 2, 0),
      "Expected IDX images (beginning with the bytes 00 00 08 03) in PATH but found an IDX file of type 0d in 2 dimensions",
    ],
    [
      "twice",
      gzipSync(gzipSync(images)),
      "Expected IDX images (beginning with the bytes 00 00 08 03) in PATH but found gzip inside gzip",
    ],
  ];
  test.each(faults)("%s", async (name, bytes, message) => {
    const path = await file(name, bytes);
    expect(await messageOf(readImages(path))).toBe(message.replace("PATH", path));
  });

  test("images where labels belong, and labels out of range", async () => {
    const path = await file("images", images);
    expect(await messageOf(readLabels(path))).toBe(
      `Expected IDX labels (beginning with the bytes 00 00 08 01) in ${path} but found IDX images`,
    );
    const labels = await file("range", idx([3], Uint8Array.of(1, 10, 12)));
    expect(await messageOf(readLabels(labels, 10))).toBe(
      `Expected labels 0 … 9 in ${labels} but found 10 at row 1; give the right number of classes: ` +
        "its labels are 1 … 12, which is { classes: 12, firstLabel: 1 }",
    );
  });

  test("damaged gzip, and no file", async () => {
    const path = await file("cut.gz", gzipSync(images).subarray(0, 20));
    expect(await messageOf(readImages(path))).toMatch(
      /^Expected whole gzip data in .*cut\.gz but it is truncated or damaged \(.+\); fetch it again$/,
    );
    const missing = join(folder, "missing");
    expect(await messageOf(readImages(missing))).toBe(
      `The data file ${missing} could not be read: there is no such file`,
    );
  });
});
