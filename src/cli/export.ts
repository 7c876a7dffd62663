/**
 * `local-entropy export`: a run's model, or a model's file, in another tool's format.
 */
import { statSync } from "node:fs";
import { dirname, join } from "node:path";
import { toJson, toOnnx, toSafetensors, toTensorflow } from "../formats/index.ts";
import { Model } from "../model.ts";
import { listed } from "../options/values.ts";
import { load } from "../runs/checkpoint.ts";
import { makeFolder, writeAtomically, writing } from "../runs/files.ts";
import { UsageError } from "./values.ts";

/** Formats of one file, by their names. */
const FILES: Readonly<Record<string, (model: Model) => Uint8Array | string>> = {
  onnx: toOnnx,
  safetensors: toSafetensors,
  json: (model) => `${JSON.stringify(toJson(model))}\n`,
};
/** What `--to` takes. */
const EXPORTED = [...Object.keys(FILES), "tfjs"];

/** Runs the command; resolves to the exit code. */
export async function exportCommand(run: string, { to, out }: { to: string; out?: string }): Promise<number> {
  if (!EXPORTED.includes(to))
    throw new UsageError(`Expected ${listed(EXPORTED)} for --to but received "${to}"`);
  const model = await modelAt(run);
  if (to === "tfjs") {
    if (out === undefined)
      throw new UsageError("Expected a folder for --out: a model of TensorFlow.js is two files");
    await writeTensorflow(model, out);
    process.stderr.write(`Wrote ${join(out, "model.json")} and ${WEIGHTS}\n`);
    return 0;
  }
  const content = FILES[to](model);
  if (out !== undefined) {
    await writeFile(out, content);
    process.stderr.write(`Wrote ${out}\n`);
    return 0;
  }
  if (process.stdout.isTTY && typeof content !== "string")
    throw new UsageError(`Expected a file for --out, or a pipe: ${to} is no text to look at`);
  await new Promise<void>((resolve) => process.stdout.write(content, () => resolve()));
  return 0;
}

/** The model of a run's folder, or of a model's file. */
function modelAt(path: string): Promise<Model> {
  const isFile = statSync(path, { throwIfNoEntry: false })?.isFile() === true;
  return isFile ? Model.load(path) : load(path);
}

async function writeFile(path: string, content: Uint8Array | string): Promise<void> {
  await writing(`The file ${path}`, async () => {
    await makeFolder(dirname(path));
    await writeAtomically(path, content);
  });
}

/** The name by which model.json knows its weights. */
const WEIGHTS = "weights.bin";

/** The two files that tf.loadLayersModel reads; the weights first, so that no model.json names what is not there. */
async function writeTensorflow(model: Model, folder: string): Promise<void> {
  const { weightData, weightSpecs, ...rest } = toTensorflow(model);
  await writeFile(join(folder, WEIGHTS), new Uint8Array(weightData));
  const weightsManifest = [{ paths: [WEIGHTS], weights: weightSpecs }];
  await writeFile(join(folder, "model.json"), `${JSON.stringify({ ...rest, weightsManifest })}\n`);
}
