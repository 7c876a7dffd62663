/**
 * The CUDA addon without a GPU: it loads, is declined with its reason wherever a reason is read, and never in silence.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { cudaStatus, openCuda, RAN_ON_A_GPU } from "../../src/backends/addon/cuda.ts";
import { loadAddonFrom } from "../../src/backends/addon/load.ts";
import { seesDriver } from "../../src/backends/addon/platform.ts";
import { BACKENDS, selectBackend, whyNot } from "../../src/backends/registry.ts";
import { diagnose } from "../../src/cli/doctor.ts";
import { BackendError } from "../../src/errors.ts";
import { VERSION } from "../../src/version.ts";
import { Project } from "../support/installed.ts";

const BUILT = fileURLToPath(new URL("../../build/cuda/Release/local_entropy_cuda.node", import.meta.url));
const RESOURCES = fileURLToPath(new URL("../../build/cuda/resources.txt", import.meta.url));

describe("an addon that is not there, or is none", () => {
  let project: Project;
  beforeEach(() => {
    project = new Project();
  });
  afterEach(() => project.remove());
  const load = (platform = "linux-x64") => loadAddonFrom(project.installed, "cuda", platform);

  test("not installed: the package and its command where a driver is seen, else one sentence", () => {
    const { reason } = cudaStatus(load(), true);
    expect(reason).toMatch(/^NVIDIA's driver is here, but @local-entropy\/linux-x64-cuda is not installed\n/);
    expect(reason).toContain(`\`npm install @local-entropy/linux-x64-cuda@${VERSION}\``);
    expect(cudaStatus(load(), false)).toEqual({
      available: false,
      instructionSets: [],
      reason: "@local-entropy/linux-x64-cuda is not installed, and no driver of NVIDIA's is seen",
    });
    expect(() => openCuda(load())).toThrow(BackendError);
  });

  test("a platform that no release has a package for: none is named", () => {
    for (const platform of ["linux-arm64", "linux-x64-musl", "darwin-arm64", "win32-x64"]) {
      const { reason } = cudaStatus(load(platform), true);
      expect(reason).toContain(`no release has a CUDA package for ${platform}`);
      expect(reason).not.toContain("@local-entropy/");
    }
  });

  test("in the package's repository: the command that builds it", () => {
    mkdirSync(join(project.installed, "native"));
    writeFileSync(join(project.installed, "native", "CMakeLists.txt"), "");
    expect(cudaStatus(load(), true).reason).toMatch(/its addon is not built\n.*`npm run build:cuda`/);
    expect(cudaStatus(load(), false).reason).toBe(
      "its addon is not built, and no driver of NVIDIA's is seen",
    );
  });

  test("a damaged file: says so, and how to build it anew", () => {
    const built = join(project.installed, "build", "cuda", "Release");
    mkdirSync(built, { recursive: true });
    writeFileSync(join(built, "local_entropy_cuda.node"), "no library".repeat(99));
    expect(cudaStatus(load(), false).reason).toMatch(
      /^build\/cuda\/Release\/local_entropy_cuda.node is damaged: it is no library\n.*npm run build:cuda/,
    );
  });

  test("a driver is seen by its files", () => {
    expect(seesDriver(project.folder)).toBe(false);
    mkdirSync(join(project.folder, "proc/driver/nvidia"), { recursive: true });
    writeFileSync(join(project.folder, "proc/driver/nvidia/version"), "NVRM version: 580.65.06");
    expect(seesDriver(project.folder)).toBe(true);
  });
});

test("auto takes it once a run on a GPU is recorded, and not before", () => {
  const record = readFileSync(new URL("../../native/cuda/VERIFICATION.md", import.meta.url), "utf8");
  expect(RAN_ON_A_GPU).toBe(!record.includes("**Not yet run.**"));
});

const status = cudaStatus();
const withoutGpu = status.available ? test.skip : test;
const untilItRan = RAN_ON_A_GPU ? test.skip : test;

untilItRan("auto passes it over with its reason and takes another", () => {
  const { backend, declined } = selectBackend("auto", 1);
  backend.close();
  expect(backend.name).not.toBe("cuda");
  expect(declined[0]).toEqual({ name: "cuda", reason: expect.stringMatching(/by its name alone.*GPU/) });
  expect(BACKENDS[0]).toBe("cuda");
});

withoutGpu("named, it is an error with its reason and what there is instead", () => {
  expect(() => selectBackend("cuda", 1)).toThrow(
    `Backend cuda cannot be used: ${status.reason}${status.reason.includes("\n") ? "\n" : ". "}This machine has: `,
  );
});

test("doctor says the same", async () => {
  const [cuda] = (await diagnose()).backends;
  expect(cuda).toMatchObject({ name: "cuda", available: status.available });
  if (!status.available) expect(cuda.detail).toBe(whyNot("cuda"));
  else expect(cuda.detail).toMatch(/^architecture sm_\d+; it is taken by its name alone/);
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
