/**
 * The package where no binary fits: its published files without the addon train on WASM, and say why.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
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
    writeFileSync(script, `import { openBackend, train } from "local-entropy";\n${source}`);
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
    // Without a package for this platform there is none to install.
    expect(backend.declined[1].reason).toMatch(
      /^(@local-entropy\/[\w-]+ is not installed|no release has a package for )[\s\S]*takes wasm/,
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

  /** What `train` with "auto" and with "wasm" come to, and what the backend is before it has started. */
  const TRAINED = `
    const auto = train(${OPTIONS});
    const { name, threads } = auto.backend;
    const { backend, updates, parameters } = await auto.result;
    const { parameters: specified } = await train({ ...${OPTIONS}, backend: "reference" }).result;
    const named = await train({ ...${OPTIONS}, backend: "wasm" }).result.catch((error) => error);
    const opened = await openBackend("auto", { threads: 2 });
    console.log(JSON.stringify({
      early: { name, threads }, late: auto.backend, backend, updates,
      same: parameters.every((x, i) => x === specified[i]),
      named: named.backend ?? { code: named.code, message: named.message },
      opened: { name: opened.name, threads: opened.threads, declined: opened.declined },
    }));
    opened.close();`;

  test("where no file holds a build, the kernels in the code run as well as those in files", () => {
    for (const name of ["relaxed", "threads", "simd"])
      writeFileSync(join(folder, "dist", "wasm", `local-entropy.${name}.wasm`), "<!doctype html>");
    const damaged = run(TRAINED);
    rmSync(join(folder, "dist", "wasm"), { recursive: true });
    rmSync(join(folder, "dist", "backends", "wasm", "worker.js"));
    const missing = run(TRAINED);
    for (const { early, late, backend, updates, named, opened } of [damaged, missing]) {
      expect(early.name).toBe("wasm");
      expect(updates).toBe(30);
      for (const ran of [late, backend, named]) {
        expect(ran).toMatchObject({ name: "wasm", instructionSet: instructionSets[0], threads: 2 });
        expect(ran.declined.map(({ name }: { name: string }) => name)).not.toContain("wasm");
      }
      expect(opened).toEqual({ name: "wasm", threads: 2, declined: backend.declined });
    }
  });

  test("where none starts auto runs the reference, and one that was named rejects; the process ends by itself", () => {
    const dist = join(folder, "dist");
    const inlined = readdirSync(dist).filter(
      (name) => name.endsWith(".js") && readFileSync(join(dist, name), "utf8").includes("kernels = {"),
    );
    expect(inlined).toHaveLength(1);
    writeFileSync(join(dist, inlined[0]), 'throw new Error("this file is damaged");');
    const { early, late, backend, updates, same, named, opened } = run(TRAINED);
    expect(early.name).toBe("wasm");
    expect([updates, same]).toEqual([30, true]);
    expect(late).toEqual(backend);
    expect(backend).toMatchObject({ name: "reference", instructionSet: "float64", threads: 1 });
    expect(backend.declined.map(({ name }: { name: string }) => name)).toEqual(["cuda", "native", "wasm"]);
    const sentence =
      /^The wasm backend did not start: .*simd, simd on the calling thread \(this file is damaged\)$/;
    expect(backend.declined[2].reason).toMatch(sentence);
    expect(named).toEqual({ code: "ERR_BACKEND", message: expect.stringMatching(sentence) });
    expect(opened).toEqual({ name: "reference", threads: 1, declined: backend.declined });
  });
});
