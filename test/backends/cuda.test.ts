/**
 * The CUDA addon without a GPU: it loads, is declined with its reason wherever a reason is read, and never in silence.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { cudaStatus, openCuda } from "../../src/backends/addon/cuda.ts";
import { loadAddonFrom, platformName } from "../../src/backends/addon/load.ts";
import { BACKENDS, selectBackend, whyNot } from "../../src/backends/registry.ts";
import { diagnose } from "../../src/cli/doctor.ts";
import { BackendError } from "../../src/errors.ts";

const BUILT = fileURLToPath(new URL("../../build/cuda/Release/local_entropy_cuda.node", import.meta.url));
const RESOURCES = fileURLToPath(new URL("../../build/cuda/resources.txt", import.meta.url));

describe("an addon that is not there, or is none", () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "local-entropy-"));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  test("not built: one sentence with the command that builds it", () => {
    const loaded = loadAddonFrom(root, "cuda");
    expect(loaded.attempts.map(({ path }) => path)).toEqual([
      join(root, "build", "cuda", "Release", "local_entropy_cuda.node"),
      `@local-entropy/${platformName()}-cuda`,
    ]);
    expect(cudaStatus(loaded)).toEqual({
      available: false,
      instructionSets: [],
      reason: "its addon is not built; `npm run build:cuda` does that",
    });
    expect(() => openCuda(loaded)).toThrow(BackendError);
  });

  test("a damaged file: says so, and how to build it anew", () => {
    mkdirSync(join(root, "build", "cuda", "Release"), { recursive: true });
    writeFileSync(join(root, "build", "cuda", "Release", "local_entropy_cuda.node"), "no library".repeat(99));
    const { reason } = cudaStatus(loadAddonFrom(root, "cuda"));
    expect(reason).toMatch(/^the cuda addon does not load:\n/);
    expect(reason).toMatch(/Possible solutions:\n.*built for another platform.*npm run build:cuda/);
  });
});

const status = cudaStatus();
const withoutGpu = status.available ? test.skip : test;

withoutGpu("auto declines it with its reason and takes another", () => {
  const { backend, declined } = selectBackend("auto", 1);
  backend.close();
  expect(backend.name).not.toBe("cuda");
  expect(declined[0]).toEqual({ name: "cuda", reason: status.reason });
  expect(BACKENDS[0]).toBe("cuda");
});

withoutGpu("named, it is an error with its reason and what there is instead", () => {
  expect(() => selectBackend("cuda", 1)).toThrow(
    `Backend cuda cannot be used: ${status.reason}. This machine has: `,
  );
});

test("doctor says the same", async () => {
  const [cuda] = (await diagnose()).backends;
  expect(cuda).toMatchObject({ name: "cuda", available: status.available });
  if (!status.available) expect(cuda.detail).toBe(whyNot("cuda"));
  else expect(cuda.detail).toMatch(/^architecture sm_\d+$/);
});

const built = existsSync(BUILT);
const whenBuilt = built && !status.available ? test : test.skip;

whenBuilt("the addon, built, loads without a driver and says what CUDA says", () => {
  expect(status.reason).toMatch(/^no GPU, because .+|^the GPU .+ cannot run this build: /);
});

(built ? test : test.skip)("the addon needs no library of CUDA's", () => {
  const needed = spawnSync("readelf", ["-d", BUILT], { encoding: "utf8" });
  expect(needed.status).toBe(0);
  expect(needed.stdout).toContain("(NEEDED)");
  expect(needed.stdout).not.toMatch(/NEEDED.*lib(cuda|cudart|cublas|curand|nv)/);
});

/** Register and spill counts of each kernel on sm_90, from the compiler's report. */
function resources(): { kernel: string; registers: number; spills: number }[] {
  const text = readFileSync(RESOURCES, "utf8");
  const report =
    /Compiling entry function '(\S+)' for 'sm_90'[\s\S]*?(\d+) bytes spill stores, (\d+) bytes spill loads[\s\S]*?Used (\d+) registers/g;
  return [...text.matchAll(report)].map(([, kernel, stores, loads, registers]) => ({
    kernel,
    registers: Number(registers),
    spills: Number(stores) + Number(loads),
  }));
}

(existsSync(RESOURCES) ? test : test.skip)(
  "no kernel spills; fill, tiles and steps keep their registers",
  () => {
    const kernels = resources();
    expect(kernels.length).toBeGreaterThan(50);
    expect(kernels.filter(({ spills }) => spills > 0)).toEqual([]);
    const most = (pattern: RegExp) => {
      const these = kernels.filter(({ kernel }) => pattern.test(kernel));
      expect(these.length).toBeGreaterThan(0);
      return Math.max(...these.map(({ registers }) => registers));
    };
    // 65,536 registers a multiprocessor, which holds 2,048 threads: 32 a thread keep it full, 128 a quarter full.
    expect(most(/gaussian_cu.*fill/)).toBeLessThanOrEqual(32);
    expect(most(/product_cu.*tiles/)).toBeLessThanOrEqual(128);
    expect(most(/step_cu.*step_/)).toBeLessThanOrEqual(64);
  },
);
