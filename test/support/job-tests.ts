/**
 * Jobs of a backend with threads of its own, in this process: order, cancellation, closing, copies, and a free event
 * loop.
 *
 * Times: a block of samples takes far less than a millisecond; 100 ms is what a caller may wait for a stop.
 */

import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, jest, test } from "@jest/globals";
import type { Backend } from "../../src/backends/backend.ts";
import {
  delay,
  fingerprint,
  HUGE,
  planOf,
  quickest,
  rejection,
  STOP_WITHIN,
  sessionSetup,
  weightsInput,
} from "./native-inputs.ts";

jest.setTimeout(60_000); // for a machine that has other work too

/** The tests, for the body of a `describe`; `open` opens the backend under test with so many threads. */
export function jobTests(open: (threads: number) => Backend): void {
  let backend: Backend;
  beforeAll(() => {
    backend = open(2);
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
    expect(fingerprint(await alone.read())).toBe(fingerprint(between));
    await alone.run(planOf(3, 2));
    expect(fingerprint(await alone.read())).toBe(fingerprint(after));
    alone.close();
    expect(fingerprint(after)).not.toBe(fingerprint(between));
  });

  test("a session that starts from a state read goes on to the bit", async () => {
    const whole = backend.openSession(sessionSetup(64));
    await whole.run(planOf(0, 3));
    const state = await whole.read();
    await whole.run(planOf(3, 2));
    const expected = fingerprint(await whole.read());
    whole.close();

    for (const moment of state.moments) expect(moment.some((value) => value !== 0)).toBe(true);
    const resumed = backend.openSession({ ...sessionSetup(64), state });
    await resumed.run(planOf(3, 2));
    expect(fingerprint(await resumed.read())).toBe(expected);
    resumed.close();
  });

  test("an aborted run resolves within 100 ms, and the update in hand leaves no trace", async () => {
    const session = backend.openSession(sessionSetup(HUGE));
    const before = fingerprint(await session.read());
    const milliseconds = await quickest(STOP_WITHIN, async () => {
      const controller = new AbortController();
      const run = session.run(planOf(0, 2), controller.signal);
      await delay(150);
      const start = performance.now();
      controller.abort();
      const { done, values } = await run;
      const stopping = performance.now() - start;
      expect([done, values.length]).toEqual([0, 0]);
      expect(fingerprint(await session.read())).toBe(before);
      return stopping;
    });
    session.close();
    expect(milliseconds).toBeLessThan(STOP_WITHIN);
  });

  test("an aborted run keeps the updates done before, and goes on as if never stopped", async () => {
    const updates = 20;
    const whole = backend.openSession(sessionSetup(1000));
    await whole.run(planOf(0, updates));
    const expected = fingerprint(await whole.read());
    whole.close();

    const session = backend.openSession(sessionSetup(1000));
    const controller = new AbortController();
    const run = session.run(planOf(0, updates), controller.signal);
    await delay(40);
    controller.abort();
    const { done, values } = await run;
    expect(done).toBeLessThan(updates);
    expect(values).toHaveLength(4 * done);
    const rest = await session.run(planOf(done, updates - done));
    expect(done + rest.done).toBe(updates);
    expect(fingerprint(await session.read())).toBe(expected);
    session.close();
  });

  test("an operation's aborted signal rejects with its reason within 100 ms", async () => {
    const milliseconds = await quickest(STOP_WITHIN, async () => {
      const controller = new AbortController();
      const reason = { because: "of the test" };
      const work = backend.operations.weights(weightsInput(HUGE, controller.signal));
      await delay(150);
      const start = performance.now();
      controller.abort(reason);
      expect(await rejection(work)).toBe(reason);
      return performance.now() - start;
    });
    expect(milliseconds).toBeLessThan(STOP_WITHIN);
  });

  test("a signal that was aborted before starts nothing", async () => {
    const signal = AbortSignal.abort("never");
    const start = performance.now();
    expect(await rejection(backend.operations.weights(weightsInput(HUGE, signal)))).toBe("never");
    const session = backend.openSession(sessionSetup(HUGE));
    expect((await session.run(planOf(0, 1), signal)).done).toBe(0);
    session.close();
    expect(performance.now() - start).toBeLessThan(1000); // one of the two takes more than ten seconds
  });

  test("timers and file access go on during a long job", async () => {
    const milliseconds = await quickest(STOP_WITHIN, async () => {
      const controller = new AbortController();
      // As many jobs as Node's own pool has threads.
      const jobs = [1, 2, 3, 4].map(() => backend.operations.weights(weightsInput(HUGE, controller.signal)));
      const all = Promise.all(jobs.map(rejection));
      const start = performance.now();
      let latest = start;
      let gap = 0;
      const timer = setInterval(() => {
        gap = Math.max(gap, performance.now() - latest);
        latest = performance.now();
      }, 5);
      const file = await readFile(new URL(import.meta.url));
      const reading = performance.now() - start;
      await delay(300);
      clearInterval(timer);
      controller.abort();
      await all;
      expect(file.length).toBeGreaterThan(0);
      return Math.max(reading, gap);
    });
    expect(milliseconds).toBeLessThan(STOP_WITHIN);
  });

  test("closing a session in mid-run rejects its calls and leaves the backend at work", async () => {
    const milliseconds = await quickest(STOP_WITHIN, async () => {
      const session = backend.openSession(sessionSetup(HUGE));
      const calls = [session.run(planOf(0, 1)), session.read(), session.accuracy("train")].map(rejection);
      await delay(50);
      const start = performance.now();
      session.close();
      session.close();
      const errors = await Promise.all(calls);
      const stopping = performance.now() - start;
      for (const { message } of errors) expect(message).toMatch(/^The session is closed/);
      expect((await rejection(session.run(planOf(0, 1)))).message).toMatch(/^The session is closed/);
      return stopping;
    });
    expect(milliseconds).toBeLessThan(STOP_WITHIN);
    expect((await backend.operations.weights(weightsInput(4))).losses).toHaveLength(4);
  });

  test("closing a backend in mid-job rejects what runs and what waits", async () => {
    const milliseconds = await quickest(STOP_WITHIN, async () => {
      const other = open(1);
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
      const errors = await Promise.all(calls);
      const stopping = performance.now() - start;
      for (const { message } of errors) expect(message).toMatch(/is closed; open a new one$/);
      expect(await rejection(other.operations.weights(weightsInput(4)))).toMatchObject({
        code: "ERR_BACKEND",
      });
      expect(() => other.openSession(sessionSetup(4))).toThrow("The backend is closed");
      return stopping;
    });
    expect(milliseconds).toBeLessThan(STOP_WITHIN);
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
      return await backend.operations.weights(weightsInput(2 ** 46));
    }
    const error = await rejection(asksTooMuch());
    expect(error).toMatchObject({ code: "ERR_BACKEND", cause: { code: "OUT_OF_MEMORY" } });
    expect((error.cause as Error).stack).toMatch(/asksTooMuch/);
  });

  test("more normals than an array holds are an error of the backend", async () => {
    const noise = { key: [1, 0], stream: 16, update: 0, sample: 0 } as const;
    const error = await rejection(backend.operations.gaussian({ ...noise, count: 2 ** 46 }));
    expect(error.code).toBe("ERR_BACKEND");
  });

  test("normals under way when the backend closes reject", async () => {
    const other = open(2);
    const noise = { key: [1, 0], stream: 16, update: 0, sample: 0 } as const;
    const under = rejection(other.operations.gaussian({ ...noise, count: 2 ** 26 }));
    other.close();
    expect((await under).code).toBe("ERR_BACKEND");
  });
}
