/**
 * The package in a browser, without a bundler: the example's page trains, with shared memory and without, and WASM gives
 * there the bits that it gives in Node. Needs a Chromium on this machine; else a skip that says so.
 */
import type { AddressInfo, Server } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { openWasm } from "../../src/backends/wasm/backend.ts";
import { wasmStatus } from "../../src/backends/wasm/load.ts";
import { chromium, withPage } from "../support/chromium.ts";
import { patience } from "../support/patience.ts";

interface Example {
  serve(options: { isolated: boolean }): Promise<Server>;
}
const EXAMPLE = new URL("../../examples/browser/server.mjs", import.meta.url).href;

const lacking = chromium === null ? "no Chromium here" : wasmStatus().reason;
const describeBrowser = lacking === "" ? describe : describe.skip;

/** Gradient (n) of one update on a named build, the same text in Node and in a page. */
const COMPUTE = `async (openWasm, instructionSet) => {
  const backend = openWasm({ threads: 2, instructionSet });
  const { gradient } = await backend.operations.importanceSampling({
    network: { layers: [30, 20, 4], activation: "relu" },
    loss: { kind: "cross-entropy" },
    parameters: Float32Array.from({ length: 704 }, (_, i) => Math.sin(i)),
    batch: {
      inputs: Uint8Array.from({ length: 16 * 30 }, (_, i) => Math.imul(i, 0x9e3779b1) >>> 24),
      labels: Uint16Array.from({ length: 16 }, (_, i) => i % 4),
    },
    key: [5, 6], update: 7, tau: 0.01, noiseScale: 0.1, temperature: 0.5,
    coupling: { kind: "walsh", blocks: 2 }, rowwise: true, projected: true,
  });
  backend.close();
  return [...gradient];
}`;

describeBrowser(`in a browser${lacking && `: ${lacking}`}`, () => {
  describe.each([
    ["isolated: shared memory", true, /^wasm (relaxed-)?simd\+threads, 2 threads$/],
    ["not isolated: a memory of its own", false, /^wasm simd, 1 thread$/],
  ])("%s", (_, isolated, build) => {
    let server: Server;
    let address: string;
    beforeAll(async () => {
      const { serve } = (await import(EXAMPLE)) as Example;
      server = await serve({ isolated });
      address = `http://localhost:${(server.address() as AddressInfo).port}/`;
    });
    afterAll(() => void server.close());

    test("the page trains, says what runs, and stops", async () => {
      await withPage(address, async (page) => {
        const text = (id: string) => page.evaluate(`document.getElementById("${id}").textContent`);
        const until = (condition: string) =>
          page.evaluate(`new Promise((resolve, reject) => {
            const deadline = performance.now() + ${patience(60_000)};
            const look = () => {
              if (${condition}) resolve(true);
              else if (performance.now() > deadline) reject(new Error(document.body.innerText));
              else setTimeout(look, 50);
            };
            look();
          })`);
        if (isolated) await page.evaluate('document.getElementById("threads").value = "2"');
        await page.evaluate('document.getElementById("button").click()');
        await until('parseFloat(document.getElementById("accuracy").textContent) > 80');
        expect(await text("build")).toMatch(build);
        expect(Number(((await text("speed")) as string).replace(",", ""))).toBeGreaterThan(10);
        expect(await page.evaluate('document.querySelectorAll("#loss path, #curve path").length')).toBe(2);
        await page.evaluate('document.getElementById("button").click()');
        await until('document.getElementById("status").textContent === "Stopped."');
        expect(page.complaints).toEqual([]);
      });
    });

    test("the same build gives the bits that it gives in Node", async () => {
      const instructionSet = isolated ? "simd+threads" : "simd";
      // biome-ignore lint/security/noGlobalEval: one text, so that both sides compute the same
      const compute = globalThis.eval(COMPUTE);
      const expected = await compute(openWasm, instructionSet);
      const actual = await withPage(address, (page) =>
        page.evaluate(
          `import("/dist/backends/wasm/backend.js").then(({ openWasm }) => (${COMPUTE})(openWasm, "${instructionSet}"))`,
        ),
      );
      expect(expected.some((slope: number) => slope !== 0)).toBe(true);
      expect(actual).toEqual(expected);
    });

    test("where no worker can be made, the page's own thread gives them too", async () => {
      // biome-ignore lint/security/noGlobalEval: one text, so that both sides compute the same
      const expected = await globalThis.eval(COMPUTE)(openWasm, "simd");
      const actual = await withPage(address, (page) =>
        page.evaluate(
          `globalThis.Worker = undefined;
          import("/dist/backends/wasm/backend.js").then(({ openWasm }) => (${COMPUTE})(openWasm, undefined))`,
        ),
      );
      expect(actual).toEqual(expected);
    });
  });
});
