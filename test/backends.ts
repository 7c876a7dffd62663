/**
 * Runs a test's body on every backend: the reference, native on each instruction set that this machine offers, and
 * each build of WASM. An absent one is a reported skip whose name says why. At the end of a file it prints the worst
 * errors seen.
 */
import { afterAll, describe, test } from "@jest/globals";
import type { Backend } from "../src/backends/backend.ts";
import { nativeStatus, openNative } from "../src/backends/native.ts";
import { openReference } from "../src/backends/reference.ts";
import { openWasm } from "../src/backends/wasm.ts";
import { wasmStatus } from "../src/backends/wasm-load.ts";
import { worstSeen } from "./tolerances.ts";

/** Gives the backend under test; call it inside a test. */
export type Given = (threads?: number) => Backend;

interface Place {
  readonly name: string;
  readonly open: (threads: number) => Backend;
}

const status = { native: nativeStatus(), wasm: wasmStatus() };

const FAST: readonly Place[] = [
  ...status.native.instructionSets.map((instructionSet) => ({
    name: `native ${instructionSet}`,
    open: (threads: number) => openNative({ threads, instructionSet }),
  })),
  ...status.wasm.instructionSets.map((instructionSet) => ({
    name: `wasm ${instructionSet}`,
    open: (threads: number) => openWasm({ threads, instructionSet }),
  })),
];

const REFERENCE: Place = { name: "reference", open: openReference };

/** The body, once for each backend, in a `describe` of its name. */
export function onEveryBackend(body: (given: Given) => void): void {
  onEach([REFERENCE, ...FAST], body);
}

/** The same for the backends that are held against the reference. */
export function onEveryFastBackend(body: (given: Given) => void): void {
  onEach(FAST, body);
}

function onEach(places: readonly Place[], body: (given: Given) => void): void {
  for (const { name, open } of places) {
    describe(name, () => {
      const opened = new Map<number, Backend>();
      afterAll(() => {
        for (const backend of opened.values()) backend.close();
        const seen = worstSeen();
        if (seen) process.stderr.write(`${name}\n${seen}\n`);
      });
      body((threads = 2) => {
        const backend = opened.get(threads) ?? open(threads);
        opened.set(threads, backend);
        return backend;
      });
    });
  }
  for (const [name, { available, reason }] of Object.entries(status)) {
    if (available) continue;
    describe.skip(`${name}: ${reason.split("\n").join(" ")}`, () => {
      test("runs", () => {});
    });
  }
}

/** The reference's operations, for expected numbers. */
export const reference = openReference().operations;
