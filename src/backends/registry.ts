/**
 * The registry of backends: all that the rest of the package knows of one by name. Selection, `BackendName`, the
 * schemas, the command's flag, `doctor` and the README's table are made from it or held against it.
 *
 * A new backend is a folder here, a name and an entry below. "auto" tries them in the names' order;
 * `LOCAL_ENTROPY_BACKEND` names one in its place.
 */
import { BackendError } from "../errors.ts";
import { environment } from "../host.ts";
import { cudaStatus, openCuda } from "./addon/cuda.ts";
import { nativeStatus, openNative } from "./addon/native.ts";
import type { Backend, BackendOptions, BackendStatus } from "./backend.ts";
import { openReference } from "./reference.ts";
import { openWasm } from "./wasm/backend.ts";
import { wasmStatus } from "./wasm/load.ts";

/** Names in order of preference, fastest first. */
export const BACKENDS = ["cuda", "native", "wasm", "reference"] as const;

/** A backend, best first. */
export type BackendName = (typeof BACKENDS)[number];

interface Entry {
  /** What it is, in one line. */
  readonly what: string;
  /** What `instructionSets` of its status are, for `doctor`. */
  readonly unit: string;
  readonly status: () => BackendStatus;
  readonly open: (options: BackendOptions) => Backend<BackendName>;
}

const REGISTRY: Record<BackendName, Entry> = {
  cuda: {
    what: "an addon of its own, built by `npm run build:cuda`, for a GPU",
    unit: "architecture",
    status: cudaStatus,
    open: () => openCuda(),
  },
  native: {
    what: "C++, float32, several threads",
    unit: "instruction sets",
    status: nativeStatus,
    open: openNative,
  },
  wasm: {
    what: "WebAssembly, float32, in Node, bundlers and browsers; several threads where memory can be shared",
    unit: "instruction sets",
    status: wasmStatus,
    open: openWasm,
  },
  reference: {
    what: "TypeScript, float64, one thread: the specification that the others are tested against",
    unit: "",
    status: () => ({ available: true, instructionSets: ["float64"], reason: "" }),
    open: openReference,
  },
};

/** A backend that would have been better than the one that was taken. */
export interface Declined {
  /** Which. */
  readonly name: BackendName;
  /** Why it cannot be opened here, and what to do, in a sentence. */
  readonly reason: string;
}

/** Why a backend cannot be opened here, or null if it can. */
export function whyNot(name: BackendName): string | null {
  return REGISTRY[name].status().reason || null;
}

/** What a backend is, in one line. */
export function whatIs(name: BackendName): string {
  return REGISTRY[name].what;
}

/** Whether a backend can be opened here: with what ("instruction sets avx2, sse4"), or why not. */
export function diagnoseBackend(name: BackendName): { name: string; available: boolean; detail: string } {
  const { unit, status } = REGISTRY[name];
  const { available, instructionSets, reason } = status();
  return { name, available, detail: available ? `${unit} ${instructionSets.join(", ")}`.trim() : reason };
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
): { backend: Backend<BackendName>; declined: Declined[] } {
  const forced = environment("LOCAL_ENTROPY_BACKEND");
  if (wanted === "auto" && forced) {
    if (!BACKENDS.includes(forced as BackendName)) {
      throw new BackendError(
        `Expected ${BACKENDS.join(", ")} for the environment variable LOCAL_ENTROPY_BACKEND but received "${forced}"`,
      );
    }
    wanted = forced as BackendName;
  }
  const declined: Declined[] = [];
  for (const name of wanted === "auto" ? BACKENDS : [wanted]) {
    const reason = whyNot(name);
    if (reason === null) return { backend: REGISTRY[name].open({ threads }), declined };
    declined.push({ name, reason });
  }
  // Only a named one comes here: of all, the reference always opens.
  const there = BACKENDS.filter((name) => whyNot(name) === null).join(", ");
  throw new BackendError(
    `Backend ${wanted} cannot be used: ${declined[0].reason}. This machine has: ${there}`,
  );
}
