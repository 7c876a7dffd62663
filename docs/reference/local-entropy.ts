/**
 * Everything that `import … from "local-entropy"` gives, and the types that it speaks of. Most is reached from three
 * functions: {@link train} for networks, {@link minimize} for functions of your own, {@link openBackend} for the single
 * operations. For tasks rather than names see the guides.
 *
 * @module local-entropy
 */
export * from "../../src/index.ts";
// Types that public ones speak of without being exported themselves; a missing one fails `npm run docs`.
export type {
  EvolutionStrategiesOutput,
  ImportanceSamplingOutput,
} from "../../src/backends/backend.ts";
export type { Declined } from "../../src/backends/registry.ts";
export type { MnistOptions } from "../../src/data/mnist.ts";
export type { Out } from "../../src/operations.ts";
export type { PaperSettings } from "../../src/paper/settings.ts";
export type { Checkpoint } from "../../src/runs/checkpoint.ts";
export type { DescribedSchedule, ScheduleDescription } from "../../src/schedules.ts";
