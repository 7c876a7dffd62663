/** A native session whose inputs come in pieces: the addon takes all of its rows, no more, and before its first call. */
import { expect, test } from "@jest/globals";
import { loadAddon } from "../../src/backends/addon/load.ts";
import { openNative } from "../../src/backends/addon/native.ts";
import type { Examples } from "../../src/backends/backend.ts";
import { sessionJob } from "../../src/backends/job.ts";
import { planOf, sessionSetup } from "../support/contract-inputs.ts";
import { describeNative } from "../support/jobs.ts";

describeNative("inputs in pieces", () => {
  const addon = loadAddon("native").addon!;

  /** A session without the inputs of its train split. */
  function opened() {
    const setup = sessionSetup();
    const queue = addon.open("", 1);
    const { job, splits } = sessionJob(setup);
    const { inputs: _, ...arrays } = splits.train!.arrays;
    const session = addon.openSession(queue, job, { ...splits.train!, arrays }, splits.test);
    const accuracy = () =>
      new Promise<string | null>((resolve) => {
        addon.accuracy(session, 0, (code, message) => resolve(code && `${code}: ${message}`));
      });
    return { setup, queue, session, accuracy };
  }

  test("more than the session's rows, another type, another split: errors with a code", () => {
    const { setup, queue, session } = opened();
    const { inputs } = setup.data.train as Examples;
    const add = (split: number, piece: unknown) => () => addon.addInputs(session, split, piece as Uint8Array);
    add(0, inputs.subarray(0, 3))();
    expect(add(0, inputs.subarray(2))).toThrow(`Expected at most ${inputs.length - 3} entries for inputs`);
    expect(add(0, new Float32Array(3))).toThrow("Expected bytes, or 32-bit floats, for all inputs");
    expect(add(0, new Uint16Array(3))).toThrow("Expected bytes, or 32-bit floats, for all inputs");
    expect(add(0, [1, 2, 3])).toThrow("Expected a typed array for inputs");
    expect(add(1, inputs.subarray(0, 1))).toThrow("Expected at most 0 entries for inputs");
    expect(add(3, inputs.subarray(0, 1))).toThrow("Expected a whole number from 0 to 2 for the data split");
    addon.close(queue);
  });

  test("a call before all rows are there fails, and none are taken after one", async () => {
    const { setup, queue, session, accuracy } = opened();
    const { inputs } = setup.data.train as Examples;
    addon.addInputs(session, 0, inputs.subarray(1));
    expect(await accuracy()).toBe("FAILED: The session has not all of its rows; open a new one");
    expect(() => addon.addInputs(session, 0, inputs.subarray(0, 1))).toThrow("The session has begun");
    addon.close(queue);
  });

  test("a backend that closes meanwhile rejects, and leaves nothing behind", async () => {
    const backend = openNative({ threads: 1 });
    const setup = sessionSetup();
    const taking = backend.takeSession(setup);
    backend.close();
    await expect(taking).rejects.toMatchObject({ code: "ERR_BACKEND" });
    const other = openNative({ threads: 1 });
    const session = await other.takeSession(sessionSetup());
    expect((await session.run(planOf(0, 1))).done).toBe(1);
    other.close();
  });
});
