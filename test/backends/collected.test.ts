/** A run that has ended, or a model, that nobody holds is collected, its session and its backend with it. */
import { describe, expect, test } from "@jest/globals";
import { whyNot } from "../../src/backends/registry.ts";
import { runModule } from "../support/processes.ts";

describe.each((["native", "wasm"] as const).filter((name) => whyNot(name) === null))("%s", (backend) => {
  test("completed and stopped runs, a model that nobody closed, and a backend's operations", async () => {
    const { output, errors } = await runModule(
      `
      import { setTimeout as delay } from "node:timers/promises";
      import { initialize, Model, openBackend, train } from "./dist/index.js";
      const inputs = new Uint8Array(600).map((_, i) => i % 251);
      const labels = new Uint8Array(100).map((_, i) => i % 3);
      const data = { train: { inputs, labels, count: 100, width: 6, classes: 3 } };
      const options = { network: [6, 5, 3], data, backend: "${backend}", threads: 2 };
      const refs = [];
      const completed = async () => {
        const run = train({ ...options, updates: 5 });
        refs.push(new WeakRef(run), new WeakRef(await run.result));
      };
      const stopped = async () => {
        const run = train({ ...options, updates: 2 ** 30 });
        refs.push(new WeakRef(run));
        for await (const record of run) break;
        await run.result;
      };
      const operated = async () => {
        const open = await openBackend("${backend}", { threads: 2 });
        refs.push(new WeakRef(open));
        await open.gaussian({ stream: "layer-1", count: 3 });
        open.close();
      };
      const predicted = async () => {
        const model = new Model({ network: [4, 5, 3], parameters: initialize([4, 5, 3]), backend: "${backend}" });
        refs.push(new WeakRef(model));
        await model.predict([1, 2, 3, 4]);
        await model.predict(new Float32Array(4 * 50_000));
      };
      for (const use of [completed, stopped, operated, predicted]) await use();
      for (let i = 0; i < 50 && refs.some((ref) => ref.deref() !== undefined); i++) {
        await delay(20);
        globalThis.gc();
      }
      console.log(refs.filter((ref) => ref.deref() !== undefined).length, "of", refs.length, "are left");
      `,
      { flags: ["--expose-gc"] },
    );
    expect(errors).toBe("");
    expect(output.trim()).toBe("0 of 5 are left");
  });
});
