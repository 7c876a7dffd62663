/**
 * Runs a test's body on every backend: the reference, native on each instruction set that this machine offers, each
 * build of WASM, CUDA on its GPU, and (by `npm run test:all`) CUDA's kernels on the host shim. An absent one is a
 * reported skip whose name says why. At the end of a file it prints the worst errors seen.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { afterAll, describe, test } from "@jest/globals";
import type { Addon } from "../../src/backends/addon/addon.ts";
import { AddonBackend } from "../../src/backends/addon/backend.ts";
import { cudaStatus, openCuda } from "../../src/backends/addon/cuda.ts";
import { nativeStatus } from "../../src/backends/addon/native.ts";
import type { Backend, Operations } from "../../src/backends/backend.ts";
import { openReference } from "../../src/backends/reference.ts";
import { openWasm } from "../../src/backends/wasm/backend.ts";
import { wasmStatus } from "../../src/backends/wasm/load.ts";
import { worstSeen } from "../tolerances.ts";
import { EVERYTHING } from "./everything.ts";
import { BUILT } from "./installed.ts";
import { expectSameBits, fingerprint } from "./same-bits.ts";

/** Gives the backend under test; call it inside a test. */
export interface Given {
  (threads?: number): Backend;
  /** Another one, for a test that closes it. */
  open(threads: number): Backend;
  /** "native", "cuda", …: a place's name without its instruction set. */
  readonly engine: string;
  /** On the host shim, which takes seconds for what others do in milliseconds. */
  readonly slow: boolean;
  /** Takes a number of threads. */
  readonly threaded: boolean;
}

interface Place {
  readonly name: string;
  readonly open: (threads: number) => Backend;
  readonly threaded?: boolean;
}

const status = { native: nativeStatus(), wasm: wasmStatus() };

/** An addon that was built, whatever the loader thinks of it: one that is declined must fail tests, not be skipped. */
const addonAt = (path: string) => createRequire(import.meta.url)(path) as Addon;

const built = existsSync(BUILT) ? addonAt(BUILT) : null;

const NATIVE: readonly Place[] = (built?.instructionSets() ?? []).map((instructionSet) => ({
  name: `native ${instructionSet}`,
  open: (threads: number) => new AddonBackend("native", built!, { instructionSet, threads }),
  threaded: true,
}));

const WASM: readonly Place[] = status.wasm.instructionSets.map((instructionSet) => ({
  name: `wasm ${instructionSet}`,
  open: (threads: number) => openWasm({ threads, instructionSet }),
  threaded: instructionSet !== "simd",
}));

const cuda = cudaStatus();

const GPU: readonly Place[] = cuda.available
  ? [{ name: `cuda ${cuda.instructionSets[0]}`, open: () => openCuda() }]
  : [];

/** The same kernels compiled by g++ (`node scripts/build-cuda.mjs --host`): right on any machine, and slow. */
export const HOST_SHIM = fileURLToPath(
  new URL("../../build/cuda-host/Release/local_entropy_cuda.node", import.meta.url),
);

function openShim(): Backend {
  return new AddonBackend("cuda", addonAt(HOST_SHIM), { instructionSet: "", threads: 1 });
}

/** Named by `LOCAL_ENTROPY_TEST_BACKEND`, for who works on that alone (`npm run watch`): "wasm", or "native avx2". */
const ONLY = process.env.LOCAL_ENTROPY_TEST_BACKEND;
const chosen = ({ name }: Place) => !ONLY || name === ONLY || name.startsWith(`${ONLY} `);

const SHIM: readonly Place[] =
  (EVERYTHING || ONLY?.startsWith("cuda")) && existsSync(HOST_SHIM)
    ? [{ name: "cuda on the host shim", open: openShim }]
    : [];

/** Why a place is not there, for each that is not. */
const ABSENT: readonly string[] = [
  ...(built === null ? [`native: ${status.native.reason || "not built here"}`] : []),
  ...(status.wasm.available ? [] : [`wasm: ${status.wasm.reason}`]),
  ...(cuda.available ? [] : [`cuda: ${cuda.reason}`]),
  ...(SHIM.length > 0
    ? []
    : ["cuda on the host shim: in `npm run test:all`, if built (build-cuda.mjs --host)"]),
];

/** The backends that are held against the reference, as far as they are here. */
export const FAST_PLACES: readonly Place[] = [...NATIVE, ...WASM, ...GPU, ...SHIM];

const REFERENCE: Place = { name: "reference", open: openReference };

/** The body, once for each backend, in a `describe` of its name. */
export function onEveryBackend(body: (given: Given) => void): void {
  onEach([REFERENCE, ...FAST_PLACES], body);
}

/** The body, once for each of the four engines: in the best instruction set, on a GPU or else on the host shim. */
export function onEachEngine(body: (given: Given) => void): void {
  const places = [REFERENCE, ...FAST_PLACES];
  onEach(
    places.filter(
      ({ name }, i) => places.findIndex((place) => engineOf(place.name) === engineOf(name)) === i,
    ),
    body,
  );
}

/** The same for the backends that are held against the reference. */
export function onEveryFastBackend(body: (given: Given) => void): void {
  onEach(FAST_PLACES, body);
}

/** The same for laws, thousands of calls: where these are quick, and by `npm run test:all` everywhere. */
export function onQuickBackends(body: (given: Given) => void): void {
  onEach(EVERYTHING ? [REFERENCE, ...FAST_PLACES] : [REFERENCE, ...NATIVE], body);
}
const engineOf = (name: string) => name.split(" ")[0];

function onEach(places: readonly Place[], body: (given: Given) => void): void {
  for (const { name, open, threaded = false } of places.filter(chosen)) {
    describe(name, () => {
      const opened = new Map<number, Backend>();
      afterAll(() => {
        for (const backend of opened.values()) backend.close();
        const seen = worstSeen();
        if (seen) process.stderr.write(`${name}\n${seen}\n`);
      });
      const given = (threads = 2) => {
        const backend = opened.get(threads) ?? open(threads);
        opened.set(threads, backend);
        return backend;
      };
      const slow = SHIM.some((place) => place.name === name);
      body(Object.assign(given, { open, engine: engineOf(name), slow, threaded }));
    });
  }
  describe.each(ABSENT.map((reason) => reason.split("\n").join(" ")))("%s", () => {
    test.skip("runs", () => {});
  });
}

/** Whatever number of threads a backend is opened with, `compute` gives the same bits. */
export async function sameBitsOnThreads(
  given: Given,
  compute: (backend: Backend) => Promise<unknown>,
): Promise<void> {
  const one = await compute(given(1));
  for (const threads of EVERYTHING ? [2, 3, 5] : [3]) expectSameBits(await compute(given(threads)), one);
}

const answers = new Map<string, unknown>();

/** What `compute` gives for this input, worked out once however many backends are held against it. */
export function once<T>(input: unknown, compute: () => T): T {
  const key = fingerprint(input);
  if (!answers.has(key)) answers.set(key, compute());
  return answers.get(key) as T;
}

/** The reference's operations, for expected numbers. */
export const reference = Object.fromEntries(
  Object.entries(openReference().operations).map(([name, operation]) => [
    name,
    (input: unknown) => once([name, input], () => operation(input)),
  ]),
) as unknown as Operations;
