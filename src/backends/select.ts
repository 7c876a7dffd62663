/**
 * Chooses a backend, and says why no better one was taken.
 *
 * "auto" tries cuda, native, wasm and reference in that order. `LOCAL_ENTROPY_BACKEND` names one in its place.
 */
import { BackendError } from "../errors.ts";
import { environment } from "../host.ts";
import { cudaStatus, openCuda } from "./addon/cuda.ts";
import { nativeStatus, openNative } from "./addon/native.ts";
import type { Backend, BackendName } from "./backend.ts";
import { openReference } from "./reference.ts";
import { openWasm } from "./wasm/backend.ts";
import { wasmStatus } from "./wasm/load.ts";

/** A backend that would have been better than the one that was taken. */
export interface Declined {
  /** Which. */
  readonly name: BackendName;
  /** Why it cannot be opened here, and what to do, in a sentence. */
  readonly reason: string;
}

/** Backends in order of preference, fastest first. */
export const BACKENDS: readonly BackendName[] = ["cuda", "native", "wasm", "reference"];

/** Why a backend cannot be opened here, or null if it can. */
export function whyNot(name: BackendName): string | null {
  switch (name) {
    case "cuda": {
      const status = cudaStatus();
      return status.available ? null : status.reason;
    }
    case "native":
      return nativeStatus().reason || null;
    case "wasm":
      return wasmStatus().reason || null;
    case "reference":
      return null;
    default:
      return name satisfies never;
  }
}

function open(name: BackendName, threads: number): Backend {
  if (name === "cuda") return openCuda();
  if (name === "native") return openNative({ threads });
  return name === "wasm" ? openWasm({ threads }) : openReference();
}

/**
 * Opens a backend.
 *
 * @param wanted a name, or "auto" for the best that loads
 * @param threads of the backend, at least 1
 * @returns the backend, and each better one with the reason why it was declined
 * @throws BackendError if the one that was named cannot be opened, with those that can
 */
export function selectBackend(
  wanted: BackendName | "auto",
  threads: number,
): { backend: Backend; declined: Declined[] } {
  const forced = environment("LOCAL_ENTROPY_BACKEND");
  if (wanted === "auto" && forced) {
    if (!BACKENDS.includes(forced as BackendName)) {
      throw new BackendError(
        `Expected ${BACKENDS.join(", ")} for the environment variable LOCAL_ENTROPY_BACKEND but received "${forced}"`,
      );
    }
    wanted = forced as BackendName;
  }
  if (wanted !== "auto") {
    const reason = whyNot(wanted);
    if (reason !== null) {
      const there = BACKENDS.filter((name) => whyNot(name) === null).join(", ");
      throw new BackendError(`Backend ${wanted} cannot be used: ${reason}. This machine has: ${there}`);
    }
    return { backend: open(wanted, threads), declined: [] };
  }
  const declined: Declined[] = [];
  for (const name of BACKENDS) {
    const reason = whyNot(name);
    if (reason === null) return { backend: open(name, threads), declined };
    declined.push({ name, reason });
  }
  throw new BackendError("No backend could be opened"); // unreachable: the reference always opens
}
