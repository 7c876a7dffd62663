/**
 * The package where no binary fits: its published files without the addon train on WASM, and say why.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { wasmStatus } from "../../src/backends/wasm/load.ts";
import { patience } from "../support/patience.ts";
import { RELAXED_SIMD } from "../support/relaxed-simd.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const { available, reason, instructionSets } = wasmStatus();
const describeWasm = available ? describe : describe.skip;

describeWasm(`a package without the addon${reason && `: ${reason}`}`, () => {
  const folder = mkdtempSync(join(tmpdir(), "local-entropy-package-"));
  beforeAll(() => {
    cpSync(join(root, "dist"), join(folder, "dist"), { recursive: true });
    cpSync(join(root, "package.json"), join(folder, "package.json"));
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  /** What a script in the package's folder prints, as JSON. */
  function run(source: string, env: object = {}) {
    const script = join(folder, "script.mjs");
    writeFileSync(script, `import { train } from "local-entropy";\n${source}`);
    const { stdout, stderr } = spawnSync(process.execPath, [...RELAXED_SIMD, script], {
      encoding: "utf8",
      env: { ...process.env, ...env },
      timeout: patience(30_000),
    });
    expect(stderr).toBe("");
    return JSON.parse(stdout);
  }

  const OPTIONS = `{
    network: [8, 6, 2], batchSize: 4, updates: 30, threads: 2,
    data: { train: {
      inputs: Uint8Array.from({ length: 80 }, (_, i) => (i * 37) % 251), labels: Uint8Array.from({ length: 10 }, (_, i) => i % 2),
      count: 10, width: 8, classes: 2,
    } },
  }`;

  test("auto takes wasm, and says why nothing better", () => {
    const { backend, updates } = run(`
      const { backend, updates } = await train(${OPTIONS}).result;
      console.log(JSON.stringify({ backend, updates }));
    `);
    expect(updates).toBe(30);
    expect(backend).toMatchObject({ name: "wasm", instructionSet: instructionSets[0] });
    expect(backend.declined.map(({ name }: { name: string }) => name)).toEqual(["cuda", "native"]);
    expect(backend.declined[1].reason).toMatch(
      /^the native addon does not load:[\s\S]*use backend "auto" or "wasm"/,
    );
  });

  test("the environment names the backend and its build", () => {
    const name = `console.log(JSON.stringify((await train(${OPTIONS}).result).backend))`;
    expect(run(name, { LOCAL_ENTROPY_BACKEND: "wasm", LOCAL_ENTROPY_WASM_BUILD: "simd" })).toMatchObject({
      name: "wasm",
      instructionSet: "simd",
      threads: 1,
      declined: [],
    });
    expect(run(name, { LOCAL_ENTROPY_BACKEND: "reference" })).toMatchObject({ name: "reference" });
  });

  test("a damaged file rejects, and the process ends by itself", () => {
    const file = join(folder, "dist", "wasm", "local-entropy.simd.wasm");
    writeFileSync(file, "no WebAssembly at all");
    const { code, message } = run(
      `const error = await train(${OPTIONS}).result.catch((reason) => reason);
      console.log(JSON.stringify({ code: error.code, message: error.message }));`,
      { LOCAL_ENTROPY_WASM_BUILD: "simd" },
    );
    expect(code).toBe("ERR_BACKEND");
    expect(message).toMatch(/^The wasm backend did not start: .*magic word/);
  });

  test("a missing build is one that does not run here; without any the reference does", () => {
    rmSync(join(folder, "dist", "wasm"), { recursive: true });
    const { name, declined } = run(`console.log(JSON.stringify((await train(${OPTIONS}).result).backend))`);
    expect(name).toBe("reference");
    expect(declined[2]).toEqual({ name: "wasm", reason: "its kernels are not built: run `npm run build`" });
  });
});
