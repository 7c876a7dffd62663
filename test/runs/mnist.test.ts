/**
 * The real MNIST, data sets of its naming, and parts of them.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { loadMnist, subset } from "../../src/data/mnist.ts";
import { DataError, OptionError } from "../../src/errors.ts";
import type { Dataset } from "../../src/options/types.ts";
import { idx } from "../support/idx-files.ts";

let parent: string;
beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), "mnist-"));
});
afterAll(() => rm(parent, { recursive: true }));

/** A folder of six training and three test images of 2 × 1 pixels, written by name. */
async function folder(files: Record<string, Uint8Array>): Promise<string> {
  const directory = await mkdtemp(join(parent, "set-"));
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(directory, name), bytes);
  return directory;
}

const pixels = Uint8Array.from({ length: 12 }, (_, i) => 20 * i);
const tiny = {
  "train-images-idx3-ubyte": idx([6, 2, 1], pixels),
  "train-labels-idx1-ubyte": idx([6], Uint8Array.of(0, 1, 2, 3, 4, 9)),
  "t10k-images-idx3-ubyte": idx([3, 2, 1], pixels.subarray(0, 6)),
  "t10k-labels-idx1-ubyte": idx([3], Uint8Array.of(5, 6, 7)),
};

describe("the installed MNIST", () => {
  test("has 60,000 training and 10,000 test images whose class counts are the published ones", async () => {
    const { train, test, validation } = await loadMnist();
    expect(validation).toBeUndefined();
    expect([train.count, train.width, train.classes, train.inputs.length]).toEqual([
      60_000, 784, 10, 47_040_000,
    ]);
    expect([test.count, test.width, test.inputs.length]).toEqual([10_000, 784, 7_840_000]);
    expect(classCounts(train)).toEqual([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
    expect(classCounts(test)).toEqual([980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
    expect([...train.labels.subarray(0, 5)]).toEqual([5, 0, 4, 1, 9]);
    expect(train.inputs).toBeInstanceOf(Uint8Array);
  });

  test("holds out its last rows for validation, without a copy", async () => {
    const { train, validation } = await loadMnist({ validation: 5_000 });
    expect([train.count, validation?.count]).toEqual([55_000, 5_000]);
    expect(validation?.inputs.buffer).toBe(train.inputs.buffer);
    expect(validation?.inputs.byteOffset).toBe(train.inputs.byteOffset + 55_000 * 784);
    expect(validation?.labels.length).toBe(5_000);
  });
});

function classCounts({ labels, classes }: Dataset): number[] {
  const counts = new Array(classes).fill(0);
  for (const label of labels) counts[label]++;
  return counts;
}

describe("a folder of the same naming", () => {
  test("plain, gzip, and with a dot before idx", async () => {
    const plain = await loadMnist({ directory: await folder(tiny) });
    expect(plain.train).toEqual({
      inputs: pixels,
      labels: Uint8Array.of(0, 1, 2, 3, 4, 9),
      count: 6,
      width: 2,
      classes: 10,
    });
    const entries = Object.entries(tiny);
    const zipped = Object.fromEntries(entries.map(([name, bytes]) => [`${name}.gz`, gzipSync(bytes)]));
    expect(await loadMnist({ directory: await folder(zipped) })).toEqual(plain);
    const dotted = Object.fromEntries(entries.map(([name, bytes]) => [name.replace("-idx", ".idx"), bytes]));
    expect(await loadMnist({ directory: await folder(dotted) })).toEqual(plain);
  });

  test("a missing file is named with the names that would do", async () => {
    const { "t10k-labels-idx1-ubyte": _, ...rest } = tiny;
    const directory = await folder(rest);
    await expect(loadMnist({ directory })).rejects.toThrow(
      new DataError(
        "Expected t10k-labels-idx1-ubyte, t10k-labels-idx1-ubyte.gz, t10k-labels.idx1-ubyte or " +
          `t10k-labels.idx1-ubyte.gz in ${directory}, but found none of them`,
      ),
    );
  });

  test("counts that do not match, labels above 9 and sizes that differ are errors", async () => {
    const few = await folder({ ...tiny, "train-labels-idx1-ubyte": idx([5], new Uint8Array(5)) });
    await expect(loadMnist({ directory: few })).rejects.toThrow(
      `Expected as many labels as images but found 5 in ${join(few, "train-labels-idx1-ubyte")} and 6 in`,
    );
    const high = await folder({ ...tiny, "t10k-labels-idx1-ubyte": idx([3], Uint8Array.of(1, 2, 10)) });
    await expect(loadMnist({ directory: high })).rejects.toThrow("but found 10 at row 2");
    const wide = await folder({ ...tiny, "t10k-images-idx3-ubyte": idx([3, 2, 2], pixels) });
    await expect(loadMnist({ directory: wide })).rejects.toThrow(
      `Expected images of one size in ${wide} but found 2 pixels in train and 4 in t10k`,
    );
  });

  test("labels may have any number of classes and begin anywhere", async () => {
    const letters = await folder({
      ...tiny,
      "train-labels-idx1-ubyte": idx([6], Uint8Array.of(1, 26, 3, 1, 2, 9)),
      "t10k-labels-idx1-ubyte": idx([3], Uint8Array.of(26, 1, 7)),
    });
    const { train, test } = await loadMnist({ directory: letters, classes: 26, firstLabel: 1 });
    expect([train.classes, [...train.labels], [...test.labels]]).toEqual([
      26,
      [0, 25, 2, 0, 1, 8],
      [25, 0, 6],
    ]);
    const refused =
      "but found 26 at row 1; give the right number of classes: its labels are 1 … 26, which is";
    await expect(loadMnist({ directory: letters })).rejects.toThrow(
      `${refused} { classes: 26, firstLabel: 1 }`,
    );
    await expect(loadMnist({ directory: letters, classes: 25, firstLabel: 2 })).rejects.toThrow(
      "Expected labels 2 … 26",
    );
  });

  test("wrong options", async () => {
    const directory = await folder(tiny);
    await expect(loadMnist({ directory, validation: 6 })).rejects.toThrow(
      new OptionError("Expected an integer 0 … 5 for loadMnist.validation but received 6"),
    );
    await expect(loadMnist({ directry: directory } as never)).rejects.toThrow(
      "Unknown option loadMnist.directry; did you mean directory?",
    );
    await expect(loadMnist(directory as never)).rejects.toThrow(
      `Expected an object with directory, validation, classes, firstLabel for loadMnist but received "`,
    );
  });
});

describe("subset", () => {
  const dataset: Dataset = {
    inputs: Float32Array.from({ length: 10 }, (_, i) => i),
    labels: Uint16Array.of(4, 3, 2, 1, 0),
    count: 5,
    width: 2,
    classes: 5,
  };

  test("the first rows and a range are views", () => {
    const first = subset(dataset, 2);
    expect(first).toEqual({
      ...dataset,
      inputs: Float32Array.of(0, 1, 2, 3),
      labels: Uint16Array.of(4, 3),
      count: 2,
    });
    expect(first.inputs.buffer).toBe(dataset.inputs.buffer);
    const range = subset(dataset, { from: 3, to: 5 });
    expect(range).toEqual({
      ...dataset,
      inputs: Float32Array.of(6, 7, 8, 9),
      labels: Uint16Array.of(1, 0),
      count: 2,
    });
  });

  test("rows by number are copied, in their order", () => {
    const picked = subset(dataset, [4, 0, 4]);
    const inputs = Float32Array.of(8, 9, 0, 1, 8, 9);
    expect(picked).toEqual({ ...dataset, inputs, labels: Uint16Array.of(0, 4, 0), count: 3 });
    const bytes = {
      ...dataset,
      inputs: Buffer.from([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
      labels: Buffer.from([0, 1, 2, 3, 4]),
    };
    const fromBytes = subset(bytes, Uint32Array.of(1));
    expect([...fromBytes.inputs, ...fromBytes.labels]).toEqual([2, 3, 1]);
  });

  test.each<[unknown, string]>([
    [0, "Expected an integer 1 … 5 for subset.rows but received 0"],
    [6, "Expected an integer 1 … 5 for subset.rows but received 6"],
    [{ from: 3, to: 3 }, "Expected 0 ≤ from < to ≤ 5 for subset.rows but received from 3 to 3"],
    [{ from: 3, to: 9 }, "Expected 0 ≤ from < to ≤ 5 for subset.rows but received from 3 to 9"],
    [[], "Expected at least one row for subset.rows but received an array of length 0"],
    [[1, 5], "Expected an integer 0 … 4 for subset.rows[1] but received 5"],
  ])("%p is refused", (rows, message) => {
    expect(() => subset(dataset, rows as never)).toThrow(new OptionError(message));
  });
});
