/**
 * Jobs of the WASM backend: those of every backend with threads of its own, on each build that has them; and what is
 * different where no memory is shared (one worker) and where no worker can be made (the calling thread in turns).
 */
import { afterEach, describe, expect, jest, test } from "@jest/globals";
import type { Backend } from "../../src/backends/backend.ts";
import { openWasm } from "../../src/backends/wasm/backend.ts";
import { wasmStatus } from "../../src/backends/wasm/load.ts";
import { nodeModule } from "../../src/host.ts";
import { jobTests } from "../support/job-tests.ts";
import { delay, fingerprint, planOf, rejection, sessionSetup, weightsInput } from "../support/jobs.ts";

jest.setTimeout(60_000); // for a machine that has other work too

const { instructionSets, reason } = wasmStatus();
const threaded = instructionSets.filter((name) => name.endsWith("+threads"));

/** Opens a backend, and lets it start, while no worker can be made, as in a browser whose page forbids them. */
async function withoutWorkers(open: () => Backend): Promise<Backend> {
  const threads = nodeModule("node:worker_threads") as { Worker: unknown };
  const { Worker } = threads;
  threads.Worker = class {
    constructor() {
      throw new Error("forbidden here");
    }
  };
  try {
    const backend = open();
    await backend.started;
    return backend;
  } finally {
    threads.Worker = Worker;
  }
}

const describeBuilds = instructionSets.length > 0 ? describe : describe.skip;

for (const instructionSet of threaded) {
  describe(`jobs of the wasm backend, ${instructionSet}`, () =>
    jobTests((threads) => openWasm({ threads, instructionSet })));
}

(threaded.length > 0 ? test : test.skip)(
  "a session knows how many rows it has, though its arrays have moved to the worker",
  async () => {
    const backend = openWasm({ threads: 2 });
    await backend.started;
    const setup = sessionSetup(20);
    const session = await backend.takeSession(setup);
    const accuracy = await session.accuracy("train");
    expect(accuracy).toBeLessThanOrEqual(1);
    expect(setup.data.train.labels.length).toBe(0);
    session.close();
    backend.close();
  },
);

const ALONE: readonly (readonly [string, () => Promise<Backend>])[] = instructionSets.includes("simd")
  ? [
      [
        "the wasm backend on one worker, no memory shared",
        async () => openWasm({ threads: 3, instructionSet: "simd" }),
      ],
      ["the wasm backend on the calling thread", () => withoutWorkers(() => openWasm({ threads: 3 }))],
    ]
  : [];

for (const [name, open] of ALONE) {
  describe(name, () => {
    let backend: Backend;
    afterEach(() => backend.close());

    test("is the build without threads, with one thread", async () => {
      backend = await open();
      expect([backend.instructionSet, backend.threads]).toEqual(["simd", 1]);
    });

    test("gives the bits that the build with threads gives", async () => {
      const run = async (opened: Backend) => {
        const session = opened.openSession(sessionSetup(300));
        const { values } = await session.run(planOf(0, 4));
        const state = fingerprint(await session.read());
        const accuracy = await session.accuracy("test");
        const { losses } = await opened.operations.weights(weightsInput(40));
        return { values, state, accuracy, losses };
      };
      backend = await open();
      const other = openWasm({ threads: 2, instructionSet: "simd+threads" });
      expect(await run(backend)).toEqual(await run(other));
      other.close();
    });

    test("an aborted run stops after the update in hand, and goes on as if never stopped", async () => {
      const updates = 40;
      backend = await open();
      const whole = backend.openSession(sessionSetup(200));
      await whole.run(planOf(0, updates));
      const expected = fingerprint(await whole.read());
      whole.close();

      const session = backend.openSession(sessionSetup(200));
      const controller = new AbortController();
      const run = session.run(planOf(0, updates), controller.signal);
      await delay(60);
      controller.abort();
      const { done, values } = await run;
      expect(done).toBeLessThan(updates);
      expect(values).toHaveLength(4 * done);
      await session.run(planOf(done, updates - done));
      expect(fingerprint(await session.read())).toBe(expected);
    });

    test("timers go on during a long run", async () => {
      backend = await open();
      const session = backend.openSession(sessionSetup(500));
      let ticks = 0;
      const timer = setInterval(() => ticks++, 5);
      await session.run(planOf(0, 20));
      clearInterval(timer);
      expect(ticks).toBeGreaterThan(4);
    });

    test("closing it in mid-run rejects what runs and what waits, and nothing more is computed", async () => {
      backend = await open();
      const session = backend.openSession(sessionSetup(500));
      const calls = [session.run(planOf(0, 10_000)), session.read()].map(rejection);
      await delay(60);
      backend.close();
      for (const { message } of await Promise.all(calls)) expect(message).toMatch(/^The backend is closed/);
      // A run that went on would hold this thread for most of the time.
      await delay(50);
      const start = performance.now();
      for (let i = 0; i < 10; i++) await delay(1);
      expect(performance.now() - start).toBeLessThan(200);
    });
  });
}

describeBuilds(`the wasm backend without shared memory${reason && `: ${reason}`}`, () => {
  test("an operation's aborted signal rejects with its reason at once, and the next call is answered", async () => {
    const backend = openWasm({ threads: 1, instructionSet: "simd" });
    await backend.operations.weights(weightsInput(4));
    const controller = new AbortController();
    const work = backend.operations.weights(weightsInput(30_000, controller.signal)); // a second or more
    const after = backend.operations.weights(weightsInput(4));
    await delay(50);
    const start = performance.now();
    controller.abort("enough");
    expect(await rejection(work)).toBe("enough");
    const rejecting = performance.now() - start;
    expect((await after).losses).toHaveLength(4);
    expect(rejecting).toBeLessThan((performance.now() - start) / 2);
    backend.close();
  });
});

describeBuilds(`which build runs${reason && `: ${reason}`}`, () => {
  test("each runs where it is named", () => {
    for (const instructionSet of instructionSets) {
      const backend = openWasm({ threads: 2, instructionSet });
      expect(backend.instructionSet).toBe(instructionSet);
      expect(backend.threads).toBe(instructionSet.endsWith("+threads") ? 2 : 1);
      backend.close();
    }
  });

  test("the environment variable names one; an unknown name is an error that lists those that run", () => {
    const listed = instructionSets.join(", ");
    process.env.LOCAL_ENTROPY_WASM_BUILD = "simd";
    try {
      const backend = openWasm({ threads: 1 });
      expect(backend.instructionSet).toBe("simd");
      backend.close();
      process.env.LOCAL_ENTROPY_WASM_BUILD = "mmx";
      expect(() => openWasm({ threads: 1 })).toThrow(
        `Expected one of ${listed} for the build of the wasm backend but received "mmx"`,
      );
    } finally {
      delete process.env.LOCAL_ENTROPY_WASM_BUILD;
    }
  });
});
