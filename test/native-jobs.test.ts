/**
 * Jobs of the native backend in this process: order, cancellation, closing, copies, and a free event loop.
 *
 * Times: a block of samples takes far less than a millisecond; 100 ms is what a caller may wait for a stop.
 */

import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { Backend } from "../src/backends/backend.ts";
import { openNative } from "../src/backends/native.ts";
import {
  delay,
  describeNative,
  HUGE,
  planOf,
  rejection,
  sessionSetup,
  weightsInput,
} from "./native-inputs.ts";

const STOP_WITHIN = 100; // milliseconds

describeNative("jobs of the native backend", () => {
  let backend: Backend;
  beforeAll(() => {
    backend = openNative({ threads: 2 });
  });
  afterAll(() => backend.close());

  test("a session's calls run in order without being awaited", async () => {
    const session = backend.openSession(sessionSetup(64));
    const [first, accuracy, between, second, after] = await Promise.all([
      session.run(planOf(0, 3)),
      session.accuracy("test"),
      session.read(),
      session.run(planOf(3, 2)),
      session.read(),
    ]);
    session.close();
    expect([first.done, first.values.length, second.done, second.values.length]).toEqual([3, 12, 2, 8]);
    expect(accuracy * 7).toBeCloseTo(Math.round(accuracy * 7), 9); // of seven rows
    expect(between.moments).toHaveLength(2);
    expect(between.chain).toBeNull();

    const alone = backend.openSession(sessionSetup(64));
    await alone.run(planOf(0, 3));
    expect(await alone.read()).toEqual(between);
    await alone.run(planOf(3, 2));
    expect(await alone.read()).toEqual(after);
    alone.close();
    expect(after.parameters).not.toEqual(between.parameters);
  });

  test("an aborted run resolves within 100 ms, and the update in hand leaves no trace", async () => {
    const session = backend.openSession(sessionSetup(HUGE));
    const before = await session.read();
    const controller = new AbortController();
    const run = session.run(planOf(0, 2), controller.signal);
    await delay(150);
    const start = performance.now();
    controller.abort();
    const { done, values } = await run;
    const seconds = performance.now() - start;
    expect(seconds).toBeLessThan(STOP_WITHIN);
    expect([done, values.length]).toEqual([0, 0]);
    expect(await session.read()).toEqual(before);
    session.close();
  });

  test("an aborted run keeps the updates done before, and goes on as if never stopped", async () => {
    const whole = backend.openSession(sessionSetup(2000));
    await whole.run(planOf(0, 60));
    const expected = await whole.read();
    whole.close();

    const session = backend.openSession(sessionSetup(2000));
    const controller = new AbortController();
    const run = session.run(planOf(0, 60), controller.signal);
    await delay(40);
    controller.abort();
    const { done, values } = await run;
    expect(done).toBeLessThan(60);
    expect(values).toHaveLength(4 * done);
    const rest = await session.run(planOf(done, 60 - done));
    expect(done + rest.done).toBe(60);
    expect(await session.read()).toEqual(expected);
    session.close();
  });

  test("an operation's aborted signal rejects with its reason within 100 ms", async () => {
    const controller = new AbortController();
    const reason = { because: "of the test" };
    const work = backend.operations.weights(weightsInput(HUGE, controller.signal));
    await delay(150);
    const start = performance.now();
    controller.abort(reason);
    expect(await rejection(work)).toBe(reason);
    expect(performance.now() - start).toBeLessThan(STOP_WITHIN);
  });

  test("a signal that was aborted before starts nothing", async () => {
    const signal = AbortSignal.abort("never");
    expect(await rejection(backend.operations.weights(weightsInput(HUGE, signal)))).toBe("never");
    const session = backend.openSession(sessionSetup(64));
    expect((await session.run(planOf(0, 1), signal)).done).toBe(0);
    session.close();
  });

  test("timers and file access go on during a long job", async () => {
    const controller = new AbortController();
    const work = rejection(backend.operations.weights(weightsInput(HUGE, controller.signal)));
    let latest = performance.now();
    let gap = 0;
    const timer = setInterval(() => {
      gap = Math.max(gap, performance.now() - latest);
      latest = performance.now();
    }, 5);
    await delay(50);
    const start = performance.now();
    const files = await Promise.all([1, 2, 3, 4, 5].map(() => readFile(new URL(import.meta.url))));
    const reading = performance.now() - start;
    await delay(300);
    clearInterval(timer);
    controller.abort();
    await work;
    expect(files[0].length).toBeGreaterThan(0);
    expect(reading).toBeLessThan(200); // on a pool that such jobs fill it takes as long as they do: seconds
    expect(gap).toBeLessThan(200);
  });

  test("closing a session in mid-run rejects its calls and leaves the backend at work", async () => {
    const session = backend.openSession(sessionSetup(HUGE));
    const calls = [session.run(planOf(0, 1)), session.read(), session.accuracy("train")].map(rejection);
    await delay(50);
    const start = performance.now();
    session.close();
    session.close();
    for (const error of await Promise.all(calls)) expect(error.message).toMatch(/^The session is closed/);
    expect(performance.now() - start).toBeLessThan(STOP_WITHIN);
    expect((await rejection(session.run(planOf(0, 1)))).message).toMatch(/^The session is closed/);
    expect((await backend.operations.weights(weightsInput(4))).losses).toHaveLength(4);
  });

  test("closing a backend in mid-job rejects what runs and what waits", async () => {
    const other = openNative({ threads: 1 });
    const session = other.openSession(sessionSetup(HUGE));
    const calls = [
      session.run(planOf(0, 1)),
      other.operations.weights(weightsInput(HUGE)),
      other.operations.weights(weightsInput(4)),
    ].map(rejection);
    await delay(50);
    const start = performance.now();
    other.close();
    other.close();
    for (const error of await Promise.all(calls)) expect(error.message).toMatch(/is closed; open a new one$/);
    expect(performance.now() - start).toBeLessThan(STOP_WITHIN);
    expect(await rejection(other.operations.weights(weightsInput(4)))).toMatchObject({ code: "ERR_BACKEND" });
    expect(() => other.openSession(sessionSetup(4))).toThrow("The backend is closed");
  });

  test("inputs are copied before the call returns", async () => {
    const expected = await backend.operations.weights(weightsInput(200));
    const input = weightsInput(200);
    const work = backend.operations.weights(input);
    input.parameters.fill(0);
    structuredClone(input.batch.inputs, { transfer: [input.batch.inputs.buffer as ArrayBuffer] });
    expect(await work).toEqual(expected);
  });

  test.each(["parameters", "inputs", "labels"])("a detached array is an error: %s", async (name) => {
    const input = weightsInput(4);
    const array = name === "parameters" ? input.parameters : input.batch[name as "inputs" | "labels"];
    structuredClone(array, { transfer: [array.buffer as ArrayBuffer] });
    const error = await rejection(backend.operations.weights(input));
    expect(error.code).toBe("ERR_OPTION");
    expect(error.message).toMatch(/^Expected .* received (0|none); a detached array has none$/);
  });

  test("a plan of the wrong length is an error", async () => {
    const session = backend.openSession(sessionSetup(4));
    const error = await rejection(session.run({ ...planOf(0, 2), rows: new Uint32Array(39) }));
    expect(error.message).toBe("Expected 40 entries for rows but received 39; a detached array has none");
    session.close();
  });

  test("a split that the session has not is an error that lists those it has", async () => {
    const session = backend.openSession(sessionSetup(4));
    const error = await rejection(session.accuracy("validation"));
    expect(error.message).toBe('Expected train, test for split but received "validation"');
    session.close();
  });

  test("more memory than there is rejects, with the caller's stack as the cause", async () => {
    async function asksTooMuch() {
      return await backend.operations.gaussian({
        key: [1, 0],
        stream: 16,
        update: 0,
        sample: 0,
        count: 2 ** 46,
      });
    }
    const error = await rejection(asksTooMuch());
    expect(error).toMatchObject({ code: "ERR_BACKEND", cause: { code: "OUT_OF_MEMORY" } });
    expect((error.cause as Error).stack).toMatch(/asksTooMuch/);
  });

  test("what this build has not says so", async () => {
    const walsh = { ...weightsInput(4), coupling: { kind: "walsh", blocks: 2 } } as const;
    const message = (promise: Promise<unknown>) => rejection(promise).then((error) => error.message);
    expect(await message(backend.operations.weights(walsh))).toMatch(/walsh.*not in this build.*antithetic/);
    const rowwise = { ...weightsInput(4), rowwise: true };
    expect(await message(backend.operations.importanceSampling(rowwise))).toMatch(
      /rowwise.*not in this build/,
    );
    expect(await message(backend.operations.evolutionStrategies(walsh))).toMatch(/not in this build/);
  });
});
