/**
 * The options of `train`, `minimize` and the operations: their types, and their checks.
 *
 * A check takes what a user wrote and gives what the seam in `backends/backend.ts` takes: networks, losses,
 * estimators and schedules as numbers. The folder beside this file holds one kind of options a file.
 */

export { checkVector } from "./options/arrays.ts";
export { type CheckedMinimize, checkMinimizeOptions } from "./options/minimize.ts";
export { checkNetwork } from "./options/network.ts";
export type * from "./options/operation-types.ts";
export { checkOperation, checkOut, type OperationInputs } from "./options/operations.ts";
export { type CheckedTrain, checkTrainOptions } from "./options/train.ts";
export type * from "./options/types.ts";
export type { Schedule } from "./schedules.ts";
