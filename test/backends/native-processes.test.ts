/**
 * The addon in processes of their own: exit in mid-run, worker threads, garbage collection, the forced
 * instruction set. A child runs what is built (lib), as a user's program does.
 */

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "@jest/globals";
import { nativeStatus } from "../../src/backends/addon/native.ts";
import { describeNative, HUGE, quickest, STOP_WITHIN } from "../support/jobs.ts";
import { PROBLEM, runModule, runNode } from "../support/processes.ts";

const BUILT = new URL("../../lib/backends/addon/native.js", import.meta.url);

/** What every child and worker begins with. */
const PRELUDE = `
import { openNative } from ${JSON.stringify(BUILT.href)};
${PROBLEM}`;

const reliability = (name: string) =>
  fileURLToPath(new URL(`../reliability/support/${name}.mjs`, import.meta.url));

const run = (source: string, options?: { flags?: readonly string[]; env?: object }) =>
  runModule(PRELUDE + source, options);

describeNative("the addon in processes of their own", () => {
  beforeAll(() => {
    if (!existsSync(BUILT)) {
      throw new Error(`Expected ${fileURLToPath(BUILT)} but there is none; run \`npm run build\` first`);
    }
  });

  test("process.exit in mid-run ends within 100 ms with its code", async () => {
    const milliseconds = await quickest(STOP_WITHIN, async () => {
      const ended = await run(`
          const backend = openNative({ threads: 2 });
          openSession(backend).run(plan);
          weights(backend, ${HUGE});
          await delay(100);
          process.stdout.write("exiting", () => process.exit(7));
        `);
      expect(ended).toMatchObject({ code: 7, signal: null, output: "exiting", errors: "" });
      return ended.sinceOutput;
    });
    expect(milliseconds).toBeLessThan(STOP_WITHIN);
  });

  test("an idle backend that nobody closes keeps no process alive", async () => {
    const ended = await run(`
      const backend = openNative({ threads: 2 });
      globalThis.kept = [openNative({ threads: 1 }), backend, openSession(backend)]; // from being collected
      await weights(backend, 4);
      console.log("done");
    `);
    expect(ended).toMatchObject({ code: 0, signal: null, output: "done\n", errors: "" });
  });

  test("a job under way keeps the process alive until it is delivered", async () => {
    const ended = await run(`
      weights(openNative({ threads: 2 }), 20_000).then(({ losses }) => console.log(losses.length));
    `);
    expect(ended).toMatchObject({ code: 0, signal: null, output: "20000\n", errors: "" });
  });

  test("three workers load, compute, and are terminated in mid-run", async () => {
    const milliseconds = await quickest(STOP_WITHIN, async () => {
      const ended = await run(`
          import { once } from "node:events";
          import { Worker } from "node:worker_threads";
          const source = \`
            import { parentPort } from "node:worker_threads";
            \${${JSON.stringify(PRELUDE)}}
            const backend = openNative({ threads: 2 });
            const { losses } = await weights(backend, 100);
            const session = openSession(backend);
            session.run(plan);
            weights(backend, 4);
            parentPort.postMessage(losses);
          \`;
          const url = new URL("data:text/javascript," + encodeURIComponent(source));
          const workers = [1, 2, 3].map(() => new Worker(url));
          const answers = await Promise.all(workers.map((worker) => once(worker, "message")));
          await delay(100);
          const start = performance.now();
          await Promise.all(workers.map((worker) => worker.terminate()));
          const milliseconds = performance.now() - start;
          const backend = openNative({ threads: 2 });
          const { losses } = await weights(backend, 100);
          const same = answers.every(([answer]) => answer.every((value, j) => value === losses[j]));
          backend.close();
          console.log(JSON.stringify({ same, length: losses.length, milliseconds }));
        `);
      expect(ended).toMatchObject({ code: 0, signal: null, errors: "" });
      const { same, length, milliseconds } = JSON.parse(ended.output);
      expect({ same, length }).toEqual({ same: true, length: 100 });
      return milliseconds;
    });
    expect(milliseconds).toBeLessThan(STOP_WITHIN);
  });

  test("workers that end by themselves in mid-run crash nothing", async () => {
    const ended = await run(`
        import { once } from "node:events";
        import { Worker } from "node:worker_threads";
        const source = ${JSON.stringify(PRELUDE)} + \`
          const backend = openNative({ threads: 1 });
          openSession(backend).run(plan);
          await delay(30);
          process.exit(3);
        \`;
        const url = new URL("data:text/javascript," + encodeURIComponent(source));
        for (let round = 0; round < 5; round++) {
          const codes = await Promise.all([1, 2].map(() => once(new Worker(url), "exit")));
          console.log(codes.join(" "));
        }
      `);
    expect(ended).toMatchObject({ code: 0, signal: null, output: "3 3\n".repeat(5), errors: "" });
  });

  test("workers terminated while they open, train, save and close crash nothing", async () => {
    const ended = await runNode([reliability("terminations"), "32", "1"]);
    expect(ended).toMatchObject({ code: 0, signal: null, output: "32 terminated\n", errors: "" });
  });

  test("calls of the addon that are wrong in every way crash nothing and say so with a code", async () => {
    const addon = fileURLToPath(new URL("../../build/Release/local_entropy.node", import.meta.url));
    const ended = await runNode([reliability("boundary"), addon, "4000", "1"], {
      flags: ["--force-node-api-uncaught-exceptions-policy=true", "--expose-gc"],
    });
    expect(ended).toMatchObject({ code: 0, signal: null, errors: "" });
    expect(ended.output).toMatch(/^\d+ calls, \d+ refused, \d+ computed, \d+ cancelled, \d+ failed; codes A/);
  });

  test("a job under way outlives the handle of its backend", async () => {
    const ended = await run(
      `
        import { loadAddon } from ${JSON.stringify(new URL("load.js", BUILT).href)};
        import { jobOf } from ${JSON.stringify(new URL("../job.js", BUILT).href)};
        const { addon } = loadAddon("native");
        const output = new Float32Array(3e7);
        const { scalars } = jobOf("gaussian", [{ scalars: { stream: 20 } }]);
        const begin = (done) => void addon.start(addon.open("", 1), scalars, { output }, done);
        const told = new Promise((resolve) => begin((code) => resolve(code)));
        for (let i = 0; i < 5; i++) {
          gc();
          await delay(1);
        }
        console.log(await told, output.at(-1) !== 0);
      `,
      { flags: ["--expose-gc"] },
    );
    expect(ended).toMatchObject({ code: 0, signal: null, output: "null true\n", errors: "" });
  });

  test("backends and sessions that nobody closes are collected with their threads", async () => {
    const ended = await run(
      `
        import { existsSync, readdirSync } from "node:fs";
        const threads = () => (existsSync("/proc/self/task") ? readdirSync("/proc/self/task").length : 0);
        await weights(openNative({ threads: 2 }), 4);
        const before = threads();
        const use = async () => {
          const backend = openNative({ threads: 3 });
          const session = openSession(backend);
          await Promise.all([weights(backend, 4), session.read()]);
        };
        for (let i = 0; i < 20; i++) await use();
        const used = threads();
        for (let i = 0; i < 100 && threads() > before; i++) {
          gc();
          await delay(10);
        }
        console.log(JSON.stringify({ before, used, after: threads() }));
      `,
      { flags: ["--expose-gc"] },
    );
    expect(ended).toMatchObject({ code: 0, signal: null, errors: "" });
    const { before, used, after } = JSON.parse(ended.output);
    if (process.platform === "linux") expect(used).toBeGreaterThan(before);
    expect(after).toBeLessThanOrEqual(before);
  });

  test("the environment variable forces each instruction set that the machine has", async () => {
    const names = nativeStatus().instructionSets;
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) {
      const ended = await run("console.log(openNative({ threads: 1 }).instructionSet)", {
        env: { LOCAL_ENTROPY_INSTRUCTION_SET: name },
      });
      expect(ended).toMatchObject({ code: 0, output: `${name}\n` });
    }
  });

  test("an unknown instruction set in the environment variable is an error that lists the valid ones", async () => {
    const ended = await run(
      "try { openNative({ threads: 1 }) } catch (error) { console.log(error.message) }",
      {
        env: { LOCAL_ENTROPY_INSTRUCTION_SET: "mmx" },
      },
    );
    expect(ended.output).toContain('"mmx"');
    for (const name of nativeStatus().instructionSets) expect(ended.output).toContain(name);
  });
});
