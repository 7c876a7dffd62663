/** The commands about a trained model: `export` and `report`, as their users run them. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { fromJson, fromOnnx, fromSafetensors, fromTensorflow } from "../../src/formats/index.ts";
import { train } from "../../src/index.ts";

const MAIN = resolve(import.meta.dirname, "..", "..", "dist", "cli", "main.js");
let folder: string;
let parameters: Float32Array;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "local-entropy-"));
  const inputs = Float32Array.from({ length: 60 }, (_, i) => Math.sin(i));
  const labels = Uint8Array.from({ length: 20 }, (_, i) => i % 2);
  const data = { train: { inputs, labels, count: 20, width: 3, classes: 2 } };
  const result = await train({ network: [3, 4, 2], data, updates: 5, batchSize: 20, backend: "reference" })
    .result;
  await result.save(join(folder, "run"));
  parameters = Float32Array.from(result.parameters);
});
afterAll(() => rmSync(folder, { recursive: true }));

function command(...words: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...words], { cwd: folder });
  return { status, stdout: new Uint8Array(stdout), text: stdout.toString(), stderr: stderr.toString() };
}

test("export writes each format to a pipe or a file, the parameters as they are", () => {
  expect(fromOnnx(command("export", "run", "--to", "onnx").stdout).parameters).toEqual(parameters);
  expect(fromJson(command("export", "run", "--to", "json").text).parameters).toEqual(parameters);
  const out = join("out", "model.safetensors");
  const { status, stderr } = command("export", "run", "--to", "safetensors", "--out", out);
  expect({ status, stderr }).toEqual({ status: 0, stderr: `Wrote ${out}\n` });
  const bytes = new Uint8Array(readFileSync(join(folder, out)));
  expect(fromSafetensors(bytes).parameters).toEqual(parameters);
});

test("TensorFlow.js's model is two files", () => {
  const refused = command("export", "run", "--to", "tfjs");
  expect(refused).toMatchObject({ status: 2, text: "" });
  expect(refused.stderr).toContain("a folder for --out");
  expect(command("export", "run", "--to", "tfjs", "--out", "web").status).toBe(0);
  const model = JSON.parse(readFileSync(join(folder, "web", "model.json"), "utf8"));
  const [{ paths }] = model.weightsManifest;
  const weightData = paths.map(
    (path: string) => new Uint8Array(readFileSync(join(folder, "web", path))).buffer,
  );
  expect(fromTensorflow({ ...model, weightData }).parameters).toEqual(parameters);
});

test("what makes no sense is told, and nothing is written", () => {
  const format = command("export", "run", "--to", "keras", "--out", "nothing");
  expect(format.status).toBe(2);
  expect(format.stderr).toContain('for --to but received "keras"');
  expect(existsSync(join(folder, "nothing"))).toBe(false);
  expect(command("export", "nowhere", "--to", "json")).toMatchObject({ status: 1, text: "" });
  expect(command("export", "run").status).toBe(2);
  expect(command("export", "run", "--to", "json", "--out", join("run", "run.json", "x")).status).toBe(1);
});

test("report writes the page again, and says where", () => {
  const { status, text } = command("report", "run");
  expect(status).toBe(0);
  expect(readFileSync(join(folder, text.trim()), "utf8").trimEnd().endsWith("</html>")).toBe(true);
  expect(command("report", "nowhere").status).toBe(1);
});
