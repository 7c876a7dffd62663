/** `local-entropy/formats`: models for other tools, and theirs for here. */
export { fromJson, type JsonLayer, type JsonModel, toJson } from "./json.ts";
export { fromOnnx, toOnnx } from "./onnx.ts";
export { fromSafetensors, type SafetensorsOptions, toSafetensors } from "./safetensors.ts";
export {
  fromTensorflow,
  type GivenWeight,
  type LayersModelArtifacts,
  type TensorflowModel,
  toTensorflow,
  type WeightSpec,
} from "./tensorflow.ts";
