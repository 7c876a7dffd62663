/** Runs before each test file: every WASM build runs here, and a test may take a minute of a quiet machine. */
import { setFlagsFromString } from "node:v8";
import { jest } from "@jest/globals";
import { patience } from "./patience.ts";
import { RELAXED_SIMD } from "./relaxed-simd.ts";

for (const flag of RELAXED_SIMD) setFlagsFromString(flag);
jest.setTimeout(patience(60_000));
