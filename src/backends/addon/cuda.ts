/**
 * The CUDA backend: float32 on one GPU (the first that CUDA_VISIBLE_DEVICES shows), by the addon in `native/cuda/`.
 *
 * The addon loads without a driver and then says why there is no GPU to use.
 */
import { BackendError } from "../../errors.ts";
import type { Backend, BackendStatus } from "../backend.ts";
import { AddonBackend } from "./backend.ts";
import { type Engine, type Loaded, loadAddon } from "./load.ts";

/** Said in place of the places where the addon is not: most machines have none. */
const NOT_BUILT = "its addon is not built; `npm run build:cuda` does that";

/** Whether the addon loads here and finds a GPU that it can use; its architecture: "sm_90" and the like. */
export function cudaStatus({ addon, attempts, reason }: Loaded = loadAddon("cuda")): BackendStatus {
  const not = (reason: string) => ({ available: false, instructionSets: [], reason });
  if (addon === null) {
    const absent =
      attempts.length > 0 &&
      attempts.every(({ reason }) => /^no such file|^Cannot find (module|package)/.test(reason));
    return not(absent ? NOT_BUILT : reason);
  }
  const instructionSets = addon.instructionSets();
  if (instructionSets.length > 0) return { available: true, instructionSets, reason: "" };
  try {
    addon.close(addon.open("", 1));
    return not("the GPU came and went; try again");
  } catch (error) {
    return not((error as Error).message);
  }
}

/**
 * Opens the CUDA backend. Its work is the GPU's; of the processor it has one thread, which waits.
 *
 * @throws BackendError if the addon does not load or there is no GPU to use
 */
export function openCuda(loaded: Loaded = loadAddon("cuda")): Backend<Engine> {
  if (loaded.addon === null) throw new BackendError(cudaStatus(loaded).reason);
  return new AddonBackend("cuda", loaded.addon, { instructionSet: "", threads: 1 });
}
