/**
 * Jobs of a backend with threads of its own, in this process: how soon they stop, and a free event loop meanwhile. What
 * every backend does is in `contract.test.ts`.
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
} from "./jobs.ts";

jest.setTimeout(60_000); // for a machine that has other work too

/** The tests, for the body of a `describe`; `open` opens the backend under test with so many threads. */
export function jobTests(open: (threads: number) => Backend): void {
  let backend: Backend;
  beforeAll(() => {
    backend = open(2);
  });
  afterAll(() => backend.close());

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
}
