/**
 * The CUDA backend: float32 on one GPU (the first that CUDA_VISIBLE_DEVICES shows), by the addon in `native/cuda/`.
 *
 * The addon loads without a driver and then says why there is no GPU to use.
 */
import { BackendError } from "../../errors.ts";
import { isNode } from "../../host.ts";
import type { Backend, BackendStatus } from "../backend.ts";
import { openAddon } from "./backend.ts";
import type { Engine } from "./failures.ts";
import { type Loaded, loadAddon } from "./load.ts";
import { seesDriver } from "./platform.ts";

/** Whether a GPU has run it, which native/cuda/VERIFICATION.md then says. Before, "auto" does not take it. */
export const RAN_ON_A_GPU = false;

/**
 * Whether the addon loads here and finds a GPU that it can use; its architecture: "sm_90" and the like.
 *
 * @param driver whether a GPU's driver is seen: without one, what to install is not worth saying
 */
export function cudaStatus(
  { addon, absent, reason }: Loaded = loadAddon("cuda"),
  driver: boolean = isNode && seesDriver(),
): BackendStatus {
  const not = (reason: string) => ({ available: false, instructionSets: [], reason });
  if (addon === null) {
    if (!absent) return not(reason);
    const [why] = reason.split("\n");
    return not(
      driver ? `NVIDIA's driver is here, but ${reason}` : `${why}, and no driver of NVIDIA's is seen`,
    );
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
  return openAddon("cuda", loaded.addon, { instructionSet: "", threads: 1 });
}
