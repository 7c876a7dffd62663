/**
 * Models for other tools and theirs for here: what is written is read back to the bit, what others write is read, and
 * what cannot be held is told. That those tools agree is tried by `npm run test:packages -- --only formats`.
 */
import { describe, expect, test } from "@jest/globals";
import { DataError, OptionError } from "../../src/errors.ts";
import {
  fromJson,
  fromOnnx,
  fromSafetensors,
  fromTensorflow,
  toJson,
  toOnnx,
  toSafetensors,
  toTensorflow,
} from "../../src/formats/index.ts";
import { decodeOnnx, encodeOnnx, type OnnxNode, type OnnxTensor } from "../../src/formats/onnx-file.ts";
import { initialize, Model, parameterCount } from "../../src/index.ts";
import { encodeSafetensors, joined } from "../../src/runs/safetensors.ts";

type Activation = "relu" | "tanh" | "step";

function modelOf(layers: number[], activation: Activation) {
  const network = { layers, activation };
  const parameters = Float32Array.from(
    { length: parameterCount(network) },
    (_, i) => Math.sin(1 + i * i) / (1 + (i % 7)),
  );
  return new Model({ network, parameters });
}

const SHAPES = [
  [3, 2],
  [5, 4, 3],
  [7, 6, 5, 4],
];
const FORMATS = {
  JSON: (model: Model) => fromJson(JSON.stringify(toJson(model))),
  ONNX: (model: Model) => fromOnnx(toOnnx(model)),
  safetensors: (model: Model) => fromSafetensors(toSafetensors(model)),
  "TensorFlow.js": (model: Model) => fromTensorflow(structuredClone(toTensorflow(model))),
};

describe.each(Object.entries(FORMATS))("%s", (name, through) => {
  test.each(SHAPES)("%p comes back to the bit, whatever its activation", (...layers) => {
    for (const activation of ["relu", "tanh", "step"] as const) {
      if (activation === "step" && name === "TensorFlow.js" && layers.length > 2) continue;
      const model = modelOf(layers, activation);
      const back = through(model);
      expect(back.parameters).toEqual(model.parameters);
      expect(back.network.layers).toEqual(layers);
      if (layers.length > 2) expect(back.network.activation).toBe(activation);
    }
  });

  test("a float64 model is rounded to float32", () => {
    const { network, parameters } = modelOf([5, 4, 3], "tanh");
    const model = new Model({
      network,
      parameters: Float64Array.from(parameters, (value) => value * (1 + 1e-9)),
    });
    expect(through(model).parameters).toEqual(Float32Array.from(model.parameters));
  });
});

test("TensorFlow.js has no step activation, and says so", () => {
  expect(() => toTensorflow(modelOf([5, 4, 3], "step"))).toThrow(DataError);
});

describe("ONNX that others write", () => {
  const tensor = (name: string, shape: number[], values: number[]): OnnxTensor => ({
    name,
    shape,
    values: Float32Array.from(values),
  });
  const node = (
    operator: string,
    inputs: string[],
    output: string,
    attributes: OnnxNode["attributes"] = {},
  ): OnnxNode => ({
    operator,
    inputs,
    outputs: [output],
    attributes,
  });
  const file = (nodes: OnnxNode[], initializers: OnnxTensor[]) =>
    encodeOnnx(
      { nodes, initializers, metadata: {} },
      { name: "x", columns: 2 },
      [{ name: "y", columns: 2 }],
      ["test", "1"],
    );
  const W = [1, 2, 3, 4, 5, 6]; // 2 × 3
  const WT = [1, 4, 2, 5, 3, 6];
  const V = [1, -1, 2, -2, 3, -3]; // 3 × 2
  const expected = [...W, 0.1, 0.2, 0.3, ...V, 0.5, 0.25].map(Math.fround);
  const initializers = [
    ...[tensor("W", [2, 3], W), tensor("WT", [3, 2], WT), tensor("b", [3], [0.1, 0.2, 0.3])],
    ...[
      tensor("V", [3, 2], V),
      tensor("c", [2], [0.5, 0.25]),
      tensor("zero", [], [0]),
      tensor("one", [], [1]),
    ],
  ];
  const tail = [node("Gemm", ["h", "V", "c"], "y")];

  test.each<[string, OnnxNode[]]>([
    [
      "a transposed Gemm, as PyTorch's",
      [node("Gemm", ["x", "WT", "b"], "a", { transB: 1 }), node("Relu", ["a"], "h"), ...tail],
    ],
    [
      "MatMul and Add",
      [node("MatMul", ["x", "W"], "m"), node("Add", ["b", "m"], "a"), node("Relu", ["a"], "h"), ...tail],
    ],
    [
      "Flatten before, Softmax and ArgMax after",
      [
        ...[
          node("Flatten", ["x"], "f"),
          node("Gemm", ["f", "W", "b"], "a"),
          node("Relu", ["a"], "h"),
          ...tail,
        ],
        ...[node("Softmax", ["y"], "p", { axis: -1 }), node("ArgMax", ["y"], "label")],
      ],
    ],
  ])("%s", (_, nodes) => {
    const model = fromOnnx(file(nodes, initializers));
    expect([...model.parameters]).toEqual(expected);
    expect(model.network).toEqual({ layers: [2, 3, 2], activation: "relu" });
  });

  test.each<[string, OnnxNode[], string]>([
    ["a convolution", [node("Conv", ["x", "W"], "y")], '"Conv"'],
    [
      "two activations",
      [node("Gemm", ["x", "W", "b"], "a"), node("Relu", ["a"], "r"), node("Tanh", ["r"], "h"), ...tail],
      "1 activations|2 activations",
    ],
    ["no activation", [node("Gemm", ["x", "W", "b"], "h"), ...tail], "0 activations"],
    ["a sigmoid", [node("Gemm", ["x", "W", "b"], "a"), node("Sigmoid", ["a"], "h"), ...tail], '"Sigmoid"'],
    [
      "a branch",
      [node("Gemm", ["x", "W", "b"], "a"), node("Relu", ["a"], "h"), node("Tanh", ["a"], "t"), ...tail],
      "branches",
    ],
    ["a computed matrix", [node("Gemm", ["x", "nothing", "b"], "h"), ...tail], "something computed"],
    [
      "another bound",
      [
        node("Gemm", ["x", "W", "b"], "a"),
        node("Greater", ["a", "one"], "g"),
        node("Cast", ["g"], "h", { to: 1 }),
        ...tail,
      ],
      "than 0",
    ],
    [
      "a layer that does not fit",
      [node("Gemm", ["x", "W", "b"], "a"), node("Relu", ["a"], "h"), node("Gemm", ["h", "W", "b"], "y")],
      "2 inputs after one of 3",
    ],
    [
      "a circle",
      [node("Gemm", ["x", "W", "b"], "a"), node("Relu", ["a"], "h"), node("Identity", ["h"], "x")],
      "circle",
    ],
  ])("%s is refused", (_, nodes, sentence) => {
    expect(() => fromOnnx(file(nodes, initializers))).toThrow(DataError);
    expect(() => fromOnnx(file(nodes, initializers))).toThrow(new RegExp(sentence));
  });

  test("bytes that are no ONNX model, cut ones, and no bytes", () => {
    expect(() => fromOnnx(new Uint8Array(0))).toThrow(DataError);
    expect(() => fromOnnx("model.onnx" as never)).toThrow(OptionError);
    const right = toOnnx(modelOf([5, 4, 3], "relu"));
    for (let length = 0; length < right.length; length += 7) {
      try {
        decodeOnnx(right.slice(0, length));
      } catch (error) {
        expect(error).toBeInstanceOf(DataError);
      }
    }
  });
});

describe("safetensors that others write", () => {
  const file = (tensors: Record<string, [number[], number[]]>) =>
    joined(
      encodeSafetensors({
        metadata: {},
        tensors: new Map(
          Object.entries(tensors).map(([name, [shape, data]]) => [
            name,
            { shape, data: Float32Array.from(data) },
          ]),
        ),
      }),
    );

  test("names by their numbers, no bias, the activation by option", () => {
    const bytes = file({
      "net.fc10.weight": [
        [2, 3],
        [1, 2, 3, 4, 5, 6],
      ],
      "net.fc2.weight": [
        [3, 2],
        [1, 2, 3, 4, 5, 6],
      ],
      "net.fc2.bias": [[3], [7, 8, 9]],
    });
    expect(() => fromSafetensors(bytes)).toThrow(OptionError);
    const model = fromSafetensors(bytes, { activation: "tanh" });
    expect(model.network).toEqual({ layers: [2, 3, 2], activation: "tanh" });
    expect([...model.parameters]).toEqual([1, 3, 5, 2, 4, 6, 7, 8, 9, 1, 4, 2, 5, 3, 6, 0, 0]);
  });

  test("what is no linear layer is refused", () => {
    expect(() => fromSafetensors(file({ "conv.weight": [[1, 1, 1], [1]] }))).toThrow("1 × 1 × 1");
    expect(() =>
      fromSafetensors(
        file({
          "0.weight": [
            [2, 1],
            [1, 2],
          ],
          running_mean: [[1], [1]],
        }),
      ),
    ).toThrow("running_mean");
    expect(() => fromSafetensors(new Uint8Array(9))).toThrow(DataError);
  });
});

describe("TensorFlow.js models that others write", () => {
  const artifacts = (layers: object[], names: string[]) => {
    const model = modelOf([3, 4, 2], "tanh");
    const { weightSpecs, weightData } = toTensorflow(model);
    return {
      model,
      given: {
        modelTopology: { model_config: { class_name: "Sequential", config: { layers } } },
        weightsManifest: [{ weights: weightSpecs.map((spec, i) => ({ ...spec, name: names[i] })) }],
        weightData: [weightData],
      },
    };
  };
  const names = ["sequential/a/kernel", "sequential/a/bias", "sequential/b/kernel", "sequential/b/bias"];

  test("Keras 3's fields, activations in layers of their own, a manifest and several buffers", () => {
    const { model, given } = artifacts(
      [
        {
          class_name: "InputLayer",
          config: { batch_shape: [null, 3], dtype: { class_name: "DTypePolicy" } },
        },
        {
          class_name: "Dense",
          config: {
            name: "a",
            units: 4,
            activation: "linear",
            dtype: { class_name: "DTypePolicy", config: { name: "float32" } },
          },
        },
        { class_name: "Activation", config: { activation: "tanh" } },
        { class_name: "Dropout", config: { rate: 0.5 } },
        {
          class_name: "Dense",
          config: { name: "b", units: 2, activation: { class_name: "function", config: "softmax" } },
        },
      ],
      names,
    );
    const read = fromTensorflow(given);
    expect(read.parameters).toEqual(model.parameters);
    expect(read.network.activation).toBe("tanh");
  });

  test.each<[string, object[], string]>([
    ["a convolution", [{ class_name: "Conv2D", config: {} }], "Conv2D"],
    [
      "a sigmoid",
      [
        { class_name: "Dense", config: { name: "a", activation: "sigmoid" } },
        { class_name: "Dense", config: { name: "b" } },
      ],
      "sigmoid",
    ],
    [
      "a lacking layer",
      [{ class_name: "Dense", config: { name: "a", activation: "relu" } }],
      "0 activations|1 dense layers",
    ],
  ])("%s is refused", (_, layers, sentence) => {
    const { given } = artifacts(layers, names);
    expect(() => fromTensorflow(given)).toThrow(DataError);
    expect(() => fromTensorflow(given)).toThrow(new RegExp(sentence));
  });

  test("quantized, lacking and left-over bytes are refused", () => {
    const right = toTensorflow(modelOf([3, 4, 2], "tanh"));
    const [first, ...rest] = right.weightSpecs;
    expect(() =>
      fromTensorflow({ ...right, weightSpecs: [{ ...first, quantization: {} } as never, ...rest] }),
    ).toThrow("quantized");
    expect(() => fromTensorflow({ ...right, weightData: right.weightData.slice(4) })).toThrow(
      "too few bytes",
    );
    expect(() => fromTensorflow({ ...right, weightSpecs: right.weightSpecs.slice(0, -1) })).toThrow(
      "bytes of weights",
    );
    expect(() =>
      fromTensorflow({ modelTopology: right.modelTopology, weightSpecs: right.weightSpecs }),
    ).toThrow("weightData");
    expect(() => fromTensorflow(null as never)).toThrow(OptionError);
    const wrong: object[] = [
      { modelTopology: "{" },
      { modelTopology: { config: { layers: [null] } } },
      { modelTopology: { config: { layers: [{ config: {} }] } } },
      { weightSpecs: [null] },
      { weightSpecs: [{ name: "a", dtype: "float32" }] },
    ];
    for (const part of wrong) expect(() => fromTensorflow({ ...right, ...part })).toThrow(DataError);
  });
});

test("JSON that is wrong is refused where it is", () => {
  const right = toJson(modelOf([3, 4, 2], "relu"));
  expect(() => fromJson("{")).toThrow("is no JSON");
  expect(() => fromJson({ ...right, format: "other" })).toThrow('"local-entropy-json-1"');
  expect(() => fromJson({ ...right, activation: "gelu" as never })).toThrow('"gelu"');
  const [first, second] = right.layers;
  expect(() => fromJson({ ...right, layers: [first, { ...second, biases: [1] }] })).toThrow(
    "layers[1].biases",
  );
  expect(() => fromJson({ ...right, layers: [{ ...first, weights: [[1]] }, second] })).toThrow(
    "layers[0].weights",
  );
  expect(() => fromJson({ ...right, layers: [] })).toThrow("no dense layer");
});

test("what is read runs as what was written", async () => {
  const network = { layers: [5, 4, 3], activation: "relu" } as const;
  using model = new Model({ network, parameters: initialize(network, 5) });
  const rows = Float32Array.from({ length: 50 }, (_, i) => Math.sin(i));
  using back = fromOnnx(toOnnx(model), { backend: "reference" });
  using same = fromJson(toJson(model), { backend: "reference" });
  expect(await back.predict(rows)).toEqual(await same.predict(rows));
});
