/**
 * The native backend: float32 on the processor's vector units, by the addon in `native/`.
 */
import { BackendError } from "../../errors.ts";
import { environment } from "../../host.ts";
import type { Backend } from "../backend.ts";
import { AddonBackend } from "./backend.ts";
import { type Attempt, loadAddon } from "./load.ts";

export interface NativeStatus {
  readonly available: boolean;
  /** Names that this processor can run, best first. */
  readonly instructionSets: readonly string[];
  /** Where the addon was looked for in vain, and why each place failed. */
  readonly attempts: readonly Attempt[];
  /** Why the backend is not available and what to do; empty if it is. */
  readonly reason: string;
}

/** Whether the addon loads here, and what it can run. */
export function nativeStatus(): NativeStatus {
  const { addon, attempts, reason } = loadAddon("native");
  return { available: addon !== null, instructionSets: addon?.instructionSets() ?? [], attempts, reason };
}

/**
 * Opens the native backend.
 *
 * @param threads of the backend, at least 1, the job thread included
 * @param instructionSet "avx512", "avx2", "sse4" or "neon" (default: the environment variable
 *   LOCAL_ENTROPY_INSTRUCTION_SET, else the best that the processor has)
 * @throws BackendError if the addon does not load or the processor cannot run the instruction set
 */
export function openNative({
  threads,
  instructionSet = environment("LOCAL_ENTROPY_INSTRUCTION_SET") ?? "",
}: {
  threads: number;
  instructionSet?: string;
}): Backend {
  const { addon, reason } = loadAddon("native");
  if (addon === null) throw new BackendError(reason);
  return new AddonBackend("native", addon, { instructionSet, threads });
}
