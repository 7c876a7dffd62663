/** The public surface of the package, and nothing else. */
export type { AbortSignalLike, Predictions, Vector } from "./backends/backend.ts";
export type { BackendName } from "./backends/registry.ts";
export { loadMnist, subset } from "./data/mnist.ts";
export { BackendError, CheckpointError, DataError, DivergedError, OptionError } from "./errors.ts";
export { initialize, noiseLayout, parameterCount } from "./layout.ts";
export type { RegressionErrors } from "./measures.ts";
export { type MinimizeResult, minimize } from "./minimize.ts";
export { type Layer, Model, type ModelOptions, type ModelPlace, type Rows } from "./model.ts";
export type { Activation, Network, Predicts } from "./network.ts";
export { type OpenBackend, openBackend } from "./operations.ts";
export type * from "./options/operation-types.ts";
export type * from "./options/types.ts";
export { paper } from "./paper/settings.ts";
export { philox4x32 } from "./reference/random/philox.ts";
export type { BackendReport, Run, TrainRecord, TrainResult } from "./run.ts";
export { load } from "./runs/checkpoint.ts";
export { annealed, constant, cosine, inverseShift, power, reversed, type Schedule } from "./schedules.ts";
export { train } from "./train.ts";
