/**
 * The registry of backends: all that the rest of the package knows of one by name. Selection, `BackendName`, the
 * schemas, the command's flag, `doctor` and the guides' table are made from it or held against it.
 *
 * A new backend is a folder here, a name and an entry below. "auto" tries them in the names' order;
 * `LOCAL_ENTROPY_BACKEND` names one in its place.
 */
import { BackendError } from "../errors.ts";
import { availableThreads, environment } from "../host.ts";
import { cudaStatus, openCuda, RAN_ON_A_GPU } from "./addon/cuda.ts";
import { nativeStatus, openNative } from "./addon/native.ts";
import type { Backend, BackendOptions, BackendStatus } from "./backend.ts";
import { openReference } from "./reference.ts";
import { type Started, StartingBackend } from "./starting.ts";
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
  /** Why "auto" passes it over, if it does: it is taken by its name alone. */
  readonly byNameOnly?: string;
  readonly open: (options: BackendOptions) => Backend<BackendName>;
}

const REGISTRY: Record<BackendName, Entry> = {
  cuda: {
    what: "an addon of its own for a GPU: the package `@local-entropy/linux-x64-cuda`, or built by `npm run build:cuda`",
    unit: "architecture",
    status: () => cudaStatus(),
    byNameOnly: RAN_ON_A_GPU
      ? undefined
      : "it is taken by its name alone, since it has not been verified on a GPU",
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

/** A backend that would have been better than the one that was taken: another one, or the same with all that it could have. */
export interface Declined {
  /** Which. */
  readonly name: BackendName;
  /**
   * Why it cannot be opened here, in its first line, and in further ones what was tried and what to do; of the one that was
   * taken, what it goes without and why.
   */
  readonly reason: string;
}

/** Why a backend cannot be opened here, or null if it can as far as can be told without opening it. */
export function whyNot(name: BackendName): string | null {
  try {
    return REGISTRY[name].status().reason || null;
  } catch (error) {
    return (error as Error).message;
  }
}

/** What a backend is, in one line. */
export function whatIs(name: BackendName): string {
  return REGISTRY[name].what;
}

/** Whether a backend can be opened here, by opening it: with what ("instruction sets avx2, sse4"), or why not. */
export async function diagnoseBackend(
  name: BackendName,
): Promise<{ name: string; available: boolean; detail: string }> {
  const { unit, status, byNameOnly, open } = REGISTRY[name];
  try {
    const { available, instructionSets, reason } = status();
    if (!available) return { name, available, detail: reason };
    const backend = open({ threads: availableThreads() });
    try {
      await backend.started;
      const short = backend.shortfall ? ` (${backend.shortfall})` : "";
      const passed = byNameOnly ? `; ${byNameOnly}` : "";
      return { name, available, detail: `${unit} ${instructionSets.join(", ")}`.trim() + short + passed };
    } finally {
      backend.close();
    }
  } catch (error) {
    return { name, available: false, detail: (error as Error).message };
  }
}

interface Selection {
  readonly backend: Started<BackendName>;
  /** Each better one with the reason why it was declined; complete when the backend has started. */
  readonly declined: Declined[];
}

/**
 * Opens a backend. What "auto" takes may still be starting (`Backend.started`); where the start fails, the next best takes
 * its place.
 *
 * @param wanted a name, or "auto" for the best that works
 * @param threads of the backend, at least 1
 * @throws BackendError if the one that was named cannot be opened, with those that can
 */
export function selectBackend(wanted: BackendName | "auto", threads: number): Selection {
  const name = wanted === "auto" ? forced() : wanted;
  const declined: Declined[] = [];
  /** Adds what the backend goes without, when that is known. */
  const noting = (backend: Backend<BackendName>) => {
    const note = () => {
      if (backend.shortfall) declined.push({ name: backend.name, reason: backend.shortfall });
    };
    if (backend.started === undefined) note();
    else backend.started.then(note, () => {});
    return backend;
  };
  if (name !== null) {
    let reason = whyNot(name);
    try {
      if (reason === null) return { backend: noting(REGISTRY[name].open({ threads })), declined };
    } catch (error) {
      reason = (error as Error).message;
    }
    const there = BACKENDS.filter((other) => other !== name && whyNot(other) === null).join(", ");
    const end = reason.includes("\n") ? "\n" : ". ";
    throw new BackendError(`Backend ${name} cannot be used: ${reason}${end}This machine has: ${there}`);
  }
  /** The first from a place of the names on that opens: of all, the reference always does. */
  const firstFrom = (place: number): Backend<BackendName> => {
    const name = BACKENDS[place];
    let reason = REGISTRY[name].byNameOnly ?? whyNot(name);
    try {
      if (reason === null) return noting(REGISTRY[name].open({ threads }));
    } catch (error) {
      // Whatever it is, the next one may do; it is told where a worse one runs.
      if (place === BACKENDS.length - 1) throw error;
      reason = (error as Error).message;
    }
    declined.push({ name, reason });
    return firstFrom(place + 1);
  };
  const first = firstFrom(0);
  if (first.started === undefined) return { backend: first, declined };
  const next = (failed: BackendName, reason: string) => {
    declined.push({ name: failed, reason });
    return firstFrom(BACKENDS.indexOf(failed) + 1);
  };
  return { backend: new StartingBackend(first, next), declined };
}

/** The backend that the environment names in place of "auto", or null. */
function forced(): BackendName | null {
  const name = environment("LOCAL_ENTROPY_BACKEND");
  if (!name) return null;
  if (BACKENDS.includes(name as BackendName)) return name as BackendName;
  throw new BackendError(
    `Expected ${BACKENDS.join(", ")} for the environment variable LOCAL_ENTROPY_BACKEND but received "${name}"`,
  );
}
