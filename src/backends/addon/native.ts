/**
 * The native backend: float32 on the processor's vector units, by the addon in `native/`.
 */
import { BackendError } from "../../errors.ts";
import { environment } from "../../host.ts";
import type { Backend, BackendOptions, BackendStatus } from "../backend.ts";
import { openAddon } from "./backend.ts";
import type { Engine } from "./failures.ts";
import { loadAddon } from "./load.ts";

/** Whether the addon loads here, and what it can run. */
export function nativeStatus(): BackendStatus {
  const { addon, reason } = loadAddon("native");
  return { available: addon !== null, instructionSets: addon?.instructionSets() ?? [], reason };
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
}: BackendOptions): Backend<Engine> {
  const { addon, reason } = loadAddon("native");
  if (addon === null) throw new BackendError(reason);
  return openAddon("native", addon, { instructionSet, threads });
}
