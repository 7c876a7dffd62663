/**
 * A model: predictions of few and many rows on every backend, its bytes and files, its end.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { BACKENDS, whyNot } from "../../src/backends/registry.ts";
import { BackendError, CheckpointError, OptionError } from "../../src/errors.ts";
import { initialize, load, Model, openBackend, train } from "../../src/index.ts";
import { onEveryBackend } from "../support/backends.ts";

const network = { layers: [7, 9, 4], activation: "tanh" } as const;
const parameters = initialize(network, 3).map((value, i) => value + Math.sin(i) / 9);
const bytes = Uint8Array.from({ length: 7 * 300 }, (_, i) => (i * 37) % 256);
const floats = Float32Array.from({ length: 7 * 300 }, (_, i) => Math.sin(i * i));
const labels = Uint8Array.from({ length: 300 }, (_, i) => i % 4);

onEveryBackend((given) => {
  test("a predictor answers at once, to the bit as the operation does", async () => {
    const backend = given();
    await backend.started;
    for (const kind of ["cross-entropy", "logistic", "squared-error"] as const) {
      const point = { network, loss: { kind }, parameters };
      const predictor = await backend.openPredictor(point);
      for (const all of [bytes, floats]) {
        for (const rows of [1, 2, 7, 65]) {
          const inputs = all.slice(7 * rows, 14 * rows); // not the first rows: those before must be gone
          expect(predictor.predict(inputs)).toEqual(await backend.operations.predict({ ...point, inputs }));
        }
      }
      predictor.close();
      predictor.close();
    }
  });

  test("it has its own copy of the parameters, and ends with its backend", async () => {
    const backend = given.open(1);
    await backend.started;
    const own = parameters.slice();
    const point = { network, loss: { kind: "cross-entropy" } } as const;
    const opening = backend.openPredictor({ ...point, parameters: own });
    own.fill(0);
    const predictor = await opening;
    const inputs = floats.slice(0, 7);
    const expected = await backend.operations.predict({ ...point, parameters, inputs });
    expect(predictor.predict(inputs)).toEqual(expected);
    backend.close();
    expect(() => predictor.predict(inputs)).toThrow(BackendError);
  });
});

describe("a model", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "local-entropy-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test.each(BACKENDS.filter((name) => whyNot(name) === null))(
    "on %s: few rows, many, all forms of them",
    async (backend) => {
      using model = new Model({ network, parameters, backend, threads: 2 });
      using operations = await openBackend(backend, { threads: 2 });
      const all = await operations.predict({ network, parameters, inputs: floats });
      const row = Array.from(floats.subarray(7, 14));
      const one = { probabilities: all.probabilities.slice(4, 8), labels: all.labels.slice(1, 2) };
      expect(await model.predict(floats)).toEqual(all);
      expect(await model.predict(row)).toEqual(one);
      expect(await model.predict([row])).toEqual(one);
      expect(await model.predict(floats.subarray(7, 14))).toEqual(one);
      const evaluated = await model.evaluate({ inputs: floats, labels, count: 300, width: 7, classes: 4 });
      const batch = { inputs: floats, labels };
      expect(evaluated).toEqual({
        accuracy: await operations.accuracy({ network, parameters, data: batch }),
        loss: await operations.loss({ network, parameters, batch }),
      });
    },
  );

  test("more rows than are done at once, and as they come together", async () => {
    using model = new Model({ network, parameters });
    const many = Float32Array.from({ length: 7 * 20_000 }, (_, i) => Math.cos(i));
    const [all, first, last] = await Promise.all([
      model.predict(many),
      model.predict(many.subarray(0, 7)),
      model.predict(many.subarray(-7)),
    ]);
    expect(all.probabilities.slice(0, 4)).toEqual(first.probabilities);
    expect(all.labels.slice(-1)).toEqual(last.labels);
    const reason = new Error("enough");
    const given = model.predict(many, { signal: AbortSignal.abort(reason) });
    await expect(given).rejects.toBe(reason);
  });

  test("outputs of each kind, of few rows as of many", async () => {
    for (const [predicts, kind] of [
      ["numbers", "squared-error"],
      ["probabilities", "logistic"],
      ["classes", "squared-error"],
    ] as const) {
      using model = new Model({ network, parameters, predicts, backend: "reference" });
      using operations = await openBackend("reference");
      const { outputs } = await operations.predict({ network, parameters, inputs: floats, loss: kind });
      expect(await model.outputs(floats)).toEqual(outputs);
      expect(await model.outputs(floats.subarray(7, 14))).toEqual(outputs.slice(4, 8));
      const many = new Float32Array(7 * 20_000).fill(0.5);
      expect((await model.outputs(many)).slice(-4)).toEqual(await model.outputs(many.subarray(0, 7)));
    }
  });

  test("its layers are views of its parameters, which are its own", () => {
    const given = parameters.slice();
    const model = new Model({ network, parameters: given });
    given.fill(0);
    expect(model.parameters).toEqual(parameters);
    expect(model.layers.map(({ name, inputs, outputs }) => [name, inputs, outputs])).toEqual([
      ["layer-1", 7, 9],
      ["layer-2", 9, 4],
    ]);
    expect(model.layers[1].weights[1 * 4 + 2]).toBe(parameters[8 * 9 + 1 * 4 + 2]);
    expect(model.layers[1].biases).toEqual(parameters.slice(-4));
  });

  test("bytes and files: parameters to the bit, float64 too", async () => {
    for (const own of [parameters, Float64Array.from(parameters, (value) => value * (1 + 1e-9))]) {
      const model = new Model({ network, parameters: own });
      const path = join(folder, "deeper", "model.safetensors");
      await model.save(path);
      for (const read of [Model.fromBytes(model.toBytes()), await Model.load(path)]) {
        expect(read.parameters).toEqual(own);
        expect(read.network).toEqual(network);
      }
      expect(new Uint8Array(await readFile(path))).toEqual(model.toBytes());
    }
  });

  test("bytes that were changed or cut are refused", async () => {
    const right = new Model({ network, parameters }).toBytes();
    for (let at = 0; at < right.length; at += 11) {
      const wrong = right.slice();
      wrong[at] ^= 1 << (at % 8);
      expect(() => Model.fromBytes(wrong)).toThrow(CheckpointError);
      expect(() => Model.fromBytes(right.slice(0, at))).toThrow(CheckpointError);
    }
    const path = join(folder, "cut.safetensors");
    await writeFile(path, right.slice(0, -1));
    await expect(Model.load(path)).rejects.toThrow(path);
    await expect(Model.load(join(folder, "none"))).rejects.toThrow(CheckpointError);
    await expect(Model.load(folder)).rejects.toThrow("it is a directory");
  });

  test("a run's directory loads as a model, with what resumes it beside", async () => {
    const data = { train: { inputs: floats, labels, count: 300, width: 7, classes: 4 } };
    const options = { network, data, updates: 60, averaging: true, backend: "reference" } as const;
    const result = await train(options).result;
    const directory = join(folder, "run");
    await result.save(directory);
    using model = await load(directory);
    expect(model).toBeInstanceOf(Model);
    expect(model.parameters).toEqual(result.parameters);
    expect(model.resume.update).toBe(60);
    expect((await model.predict(floats)).labels).toHaveLength(300);
    // A model's file is no run, and a run's no model: each says where to go.
    await expect(Model.load(join(directory, "checkpoint.safetensors"))).rejects.toThrow("load(directory)");
  });

  test("a run starts where `initialize` says", async () => {
    const data = { train: { inputs: floats, labels, count: 300, width: 7, classes: 4 } };
    const optimizer = { kind: "gradient-descent", rate: () => 0 } as const;
    const objective = { kind: "loss" } as const;
    const options = {
      network,
      data,
      updates: 1,
      seed: 9,
      optimizer,
      objective,
      backend: "reference",
    } as const;
    expect((await train(options).result).parameters).toEqual(Float64Array.from(initialize(network, 9)));
  });

  test("wrong rows are refused in one sentence, before work", async () => {
    using model = new Model({ network, parameters });
    const cases: [unknown, string][] = [
      [new Float32Array(6), "a multiple of 7 numbers for predict.rows"],
      [new Float32Array(0), "at least one row for predict.rows"],
      [[1, 2, 3], "7 numbers, the network's inputs, for predict.rows"],
      [[[1, 2, 3]], "predict.rows[0]"],
      [[1, 2, 3, 4, 5, 6, "7"], "predict.rows[6]"],
      [[1, 2, 3, 4, 5, 6, 1e39], "predict.rows[6]"],
      [new Float32Array(7).fill(Number.NaN), "row 0, column 0"],
      [undefined, "predict.rows"],
    ];
    for (const [rows, sentence] of cases) {
      const call = model.predict(rows as Float32Array);
      await expect(call).rejects.toThrow(OptionError);
      await expect(call).rejects.toThrow(sentence);
    }
    const wrong = { inputs: floats, labels, count: 299 };
    await expect(model.evaluate(wrong)).rejects.toThrow("300, as many as labels, for evaluate.data.count");
  });

  test("a closed model says so, in the middle of work too", async () => {
    const model = new Model({ network, parameters });
    const under = model.predict(new Float32Array(7 * 50_000));
    await model.predict(floats.subarray(0, 7));
    model.close();
    model.close();
    await expect(under).rejects.toThrow(BackendError);
    await expect(model.predict(floats)).rejects.toThrow("The model is closed");
  });
});
