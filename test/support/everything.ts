/**
 * What `npm test` leaves to `npm run test:all`, which sets LOCAL_ENTROPY_TESTS to "all": laws by brute force, every
 * number of threads, the host shim under jest, the command's signals. Elsewhere such a test is a reported skip.
 */
import { describe, test } from "@jest/globals";

export const EVERYTHING = process.env.LOCAL_ENTROPY_TESTS === "all";

export const testAll = EVERYTHING ? test : test.skip;
export const describeAll = EVERYTHING ? describe : describe.skip;
