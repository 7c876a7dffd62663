/**
 * The package in a browser, without a bundler: the example's page trains, with shared memory and without, and WASM gives
 * there the bits that it gives in Node; under policies and refusals "auto" runs on what works. Needs a Chromium on this machine; else a skip that says so.
 */
import type { AddressInfo, Server } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { openWasm } from "../../src/backends/wasm/backend.ts";
import { wasmStatus } from "../../src/backends/wasm/load.ts";
import type { BackendReport } from "../../src/run.ts";
import { chromium, withPage } from "../support/chromium.ts";
import { testAll } from "../support/everything.ts";
import { type Policies, servePage } from "../support/page-server.ts";
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

const ISOLATION = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

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

    /** What `COMPUTE` gives in a page with the backend's own module. */
    async function computed(instructionSet: string, before = ""): Promise<unknown> {
      const { address, close } = await servePage(isolated ? { headers: () => ISOLATION } : {});
      try {
        return await withPage(address, (page) =>
          page.evaluate(
            `${before} import("/lib/backends/wasm/backend.js").then(({ openWasm }) => (${COMPUTE})(openWasm, ${instructionSet}))`,
          ),
        );
      } finally {
        close();
      }
    }

    test("the same build gives the bits that it gives in Node", async () => {
      const instructionSet = isolated ? "simd+threads" : "simd";
      // biome-ignore lint/security/noGlobalEval: one text, so that both sides compute the same
      const compute = globalThis.eval(COMPUTE);
      const expected = await compute(openWasm, instructionSet);
      const actual = await computed(`"${instructionSet}"`);
      expect(expected.some((slope: number) => slope !== 0)).toBe(true);
      expect(actual).toEqual(expected);
    });

    test("where no worker can be made, the page's own thread gives them too", async () => {
      // biome-ignore lint/security/noGlobalEval: one text, so that both sides compute the same
      const expected = await globalThis.eval(COMPUTE)(openWasm, "simd");
      const actual = await computed("undefined", "globalThis.Worker = undefined;");
      expect(actual).toEqual(expected);
    });
  });

  const policy = (text: string): Policies => ({ headers: () => ({ "Content-Security-Policy": text }) });
  const near = /^simd in place of simd \(.*worker.*\)$/;
  const none = /^The wasm backend did not start: simd, simd on the calling thread \(.*\)$/;
  const HOSTS: [string, Policies, string, RegExp | null][] = [
    ["a worker that answers 404", { refused: /worker\.js$/ }, "wasm simd 1", null],
    [
      "a policy without wasm-unsafe-eval",
      policy("script-src 'self' 'unsafe-inline'"),
      "reference float64 1",
      none,
    ],
    ["a policy without workers", policy("worker-src 'none'"), "wasm simd 1", near],
    ["a policy without connections", policy("connect-src 'none'"), "wasm simd 1", null],
    ["kernels that answer 404", { refused: /\.wasm$/ }, "wasm simd 1", null],
    ["no policy", {}, "wasm simd 1", null],
    [
      "an isolated page whose worker's file has no COEP",
      { headers: (path) => (path === "/" ? ISOLATION : {}) },
      "wasm relaxed-simd+threads 2",
      null,
    ],
    [
      "an isolated page where the builds with threads answer 404",
      { headers: () => ISOLATION, refused: /(relaxed|threads)\.wasm$/ },
      "wasm relaxed-simd+threads 2",
      null,
    ],
  ];
  for (const [place, [name, policies, expected, reason]] of HOSTS.entries()) {
    (place < 2 ? test : testAll)(`auto runs on what works under ${name}`, async () => {
      const { address, close } = await servePage(policies);
      try {
        const ran = (await withPage(address, (page) =>
          page.evaluate(`import("/dist/index.js").then(async ({ train }) => {
            const inputs = Float32Array.from({ length: 384 }, (_, i) => Math.sin(i));
            const labels = Uint8Array.from({ length: 64 }, (_, i) => i % 3);
            const data = { train: { inputs, labels, count: 64, width: 6, classes: 3 } };
            const { backend, updates } = await train({ network: [6, 8, 3], data, updates: 20, threads: 2 }).result;
            return { backend: { ...backend }, updates };
          })`),
        )) as { backend: BackendReport; updates: number };
        const { backend, updates } = ran;
        expect(`${backend.name} ${backend.instructionSet} ${backend.threads}`).toBe(expected);
        expect(updates).toBe(20);
        const told = backend.declined.filter((declined) => declined.name === "wasm");
        expect(told).toEqual(reason ? [{ name: "wasm", reason: expect.stringMatching(reason) }] : []);
      } finally {
        close();
      }
    });
  }
});
