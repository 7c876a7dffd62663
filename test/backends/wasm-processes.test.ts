/**
 * The WASM backend in processes of their own: what keeps one alive, exit in mid-run, a worker that is ended, memory.
 * A child runs what is built (lib), as a user's program does.
 */
import { describe, expect, test } from "@jest/globals";
import { wasmStatus } from "../../src/backends/wasm/load.ts";
import { HUGE, quickest, STOP_WITHIN } from "../support/jobs.ts";
import { PROBLEM, runModule } from "../support/processes.ts";

const { instructionSets, reason } = wasmStatus();
const describeThreads = instructionSets.includes("simd+threads") ? describe : describe.skip;

const BUILT = new URL("../../lib/backends/wasm/backend.js", import.meta.url);

/** What every child begins with. */
const PRELUDE = `
import workerThreads from "node:worker_threads";
import { openWasm } from ${JSON.stringify(BUILT.href)};
${PROBLEM}`;

const run = (source: string, flags: readonly string[] = []) => runModule(PRELUDE + source, { flags });

describeThreads(`the wasm backend in processes of their own${reason && `: ${reason}`}`, () => {
  test("an idle backend that nobody closes keeps no process alive", async () => {
    const ended = await run(`
      const backend = openWasm({ threads: 2 });
      globalThis.kept = [openWasm({ threads: 1 }), openWasm({ threads: 1, instructionSet: "simd" }), backend];
      globalThis.session = openSession(backend);
      await weights(backend, 4);
      console.log("done");
    `);
    expect(ended).toMatchObject({ code: 0, output: "done\n", errors: "" });
  });

  test("a call under way keeps the process alive until it is answered", async () => {
    for (const options of ["{ threads: 2 }", '{ threads: 1, instructionSet: "simd" }']) {
      const ended = await run(`
        weights(openWasm(${options}), 20_000).then(({ losses }) => console.log(losses.length));
      `);
      expect(ended).toMatchObject({ code: 0, output: "20000\n", errors: "" });
    }
  });

  test("process.exit in mid-run ends within 100 ms with its code", async () => {
    const milliseconds = await quickest(STOP_WITHIN, async () => {
      const ended = await run(`
        const backend = openWasm({ threads: 2 });
        await weights(backend, 4);
        openSession(backend).run(plan);
        weights(backend, ${HUGE});
        await delay(100);
        process.stdout.write("exiting", () => process.exit(7));
      `);
      expect(ended).toMatchObject({ code: 7, output: "exiting", errors: "" });
      return ended.sinceOutput;
    });
    expect(milliseconds).toBeLessThan(STOP_WITHIN);
  });

  test("a worker that is ended in mid-run rejects every call, ends the others, and leaves nothing behind", async () => {
    for (const victim of [0, 1]) {
      const ended = await run(`
        import { existsSync, readdirSync } from "node:fs";
        const threads = () => (existsSync("/proc/self/task") ? readdirSync("/proc/self/task").length : 0);
        const before = threads();
        const workers = [];
        workerThreads.Worker = class extends workerThreads.Worker {
          constructor(...given) {
            super(...given);
            workers.push(this);
          }
        };
        const backend = openWasm({ threads: 2 });
        await weights(backend, 4);
        const session = openSession(backend);
        const calls = [session.run(plan), session.read(), weights(backend, 4)];
        await delay(50);
        workers[${victim}].terminate();
        const settled = await Promise.allSettled(calls);
        const again = await Promise.allSettled([weights(backend, 4), session.run(plan)]);
        let refused;
        try { openSession(backend); } catch (error) { refused = error.message; }
        for (let i = 0; i < 200 && threads() > before; i++) await delay(10);
        const other = openWasm({ threads: 2 });
        const { losses } = await weights(other, 4);
        other.close();
        console.log(JSON.stringify({
          workers: workers.length - 2, left: threads() - before,
          reasons: [...settled, ...again].map(({ status, reason }) => status + " " + reason.code + " " + reason.message),
          refused, losses: losses.length,
        }));
      `);
      expect(ended).toMatchObject({ code: 0, errors: "" });
      const { workers, reasons, refused, losses } = JSON.parse(ended.output);
      expect({ workers, losses }).toEqual({ workers: 2, losses: 4 });
      expect(reasons).toHaveLength(5);
      const sentence = /^A worker of the wasm backend ended \(exit code 1\); open a new backend$/;
      for (const text of reasons) expect(text.replace("rejected ERR_BACKEND ", "")).toMatch(sentence);
      expect(refused).toMatch(sentence);
    }
  });

  test("more than a WebAssembly memory holds is an error that says how much; the backend goes on", async () => {
    const ended = await run(`
      const backend = openWasm({ threads: 2 });
      const gaussian = (count) =>
        backend.operations.gaussian({ key: [1, 0], stream: 16, update: 0, sample: 0, count });
      const asked = await gaussian(2 ** 31).catch((error) => error);
      console.log(asked.code, asked.cause.code, asked.message);
      console.log((await gaussian(100)).length);
    `);
    expect(ended).toMatchObject({ code: 0, errors: "" });
    const [asked, after] = ended.output.trim().split("\n");
    expect(asked).toMatch(
      /^ERR_BACKEND OUT_OF_MEMORY The wasm backend has not enough memory: this call asks for 8192 MiB beside/,
    );
    expect(after).toBe("100");
  });

  test("sessions give their memory back, and closing a backend gives all of it", async () => {
    const ended = await run(
      `
        const megabytes = () => Math.round(process.memoryUsage().rss / 2 ** 20);
        const rows = 60_000;
        const train = { inputs: new Uint8Array(rows * 784).fill(7), labels: new Uint16Array(rows) };
        const use = async (backend) => {
          const session = openSession(backend, train);
          await session.read();
          session.close();
          await weights(backend, 4);
          gc();
          await delay(50);
        };
        const backend = openWasm({ threads: 2 });
        await use(backend);
        const once = megabytes();
        for (let i = 0; i < 10; i++) await use(backend);
        const often = megabytes();
        backend.close();
        for (let i = 0; i < 100; i++) {
          gc();
          await delay(10);
        }
        console.log(JSON.stringify({ once, often, closed: megabytes() }));
      `,
      ["--expose-gc"],
    );
    expect(ended).toMatchObject({ code: 0, errors: "" });
    const { once, often, closed } = JSON.parse(ended.output);
    // The data is 45 MB: ten sessions that kept it would be 450 MB more.
    expect(often - once).toBeLessThan(150);
    expect(once - closed).toBeGreaterThan(30);
  });

  test("backends and sessions that nobody closes are collected with their threads", async () => {
    const ended = await run(
      `
        import { existsSync, readdirSync } from "node:fs";
        const threads = () => (existsSync("/proc/self/task") ? readdirSync("/proc/self/task").length : 0);
        const before = threads();
        const use = async () => {
          const backend = openWasm({ threads: 2 });
          const session = openSession(backend);
          await Promise.all([weights(backend, 4), session.read()]);
        };
        for (let i = 0; i < 4; i++) await use();
        const used = threads();
        for (let i = 0; i < 300 && threads() > before; i++) {
          gc();
          await delay(10);
        }
        console.log(JSON.stringify({ before, used, after: threads() }));
      `,
      ["--expose-gc"],
    );
    expect(ended).toMatchObject({ code: 0, errors: "" });
    const { before, used, after } = JSON.parse(ended.output);
    if (process.platform === "linux") expect(used).toBeGreaterThan(before);
    expect(after).toBeLessThanOrEqual(before);
  });
});
