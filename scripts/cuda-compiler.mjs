/**
 * Finds CUDA's compiler, or fetches it: of the toolkit that CUDA_HOME names, else nvcc 13.0 from PyPI's wheels in the
 * git-ignored folder `.cuda` (271 MB; needs Python with pip, no GPU and no driver).
 *
 *     node scripts/cuda-compiler.mjs     installs it where it is missing, and prints its path
 */
import { existsSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fetchWheels } from "./wheels.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const FOLDER = join(ROOT, ".cuda");
const TOOLKIT = join(FOLDER, "nvidia", "cu13");

/** Path of nvcc where it is there already, else null. */
export function findCompiler() {
  const home = process.env.CUDA_HOME;
  const nvcc = join(home || TOOLKIT, "bin", "nvcc");
  if (existsSync(nvcc)) return nvcc;
  if (home) throw new Error(`Expected a CUDA toolkit, with bin/nvcc, for CUDA_HOME but received ${home}`);
  return null;
}

/** Path of nvcc, after fetching it if need be. Its output goes to stderr. */
export function fetchCompiler() {
  const found = findCompiler();
  if (found) return found;
  if (process.platform !== "linux") {
    throw new Error("CUDA's compiler is fetched on Linux only; name a toolkit by CUDA_HOME");
  }
  console.error(`cuda: fetching nvcc to ${FOLDER}`);
  fetchWheels({
    folder: FOLDER,
    requirements: join(ROOT, "scripts", "cuda-requirements.txt"),
    prepare(folder) {
      // nvcc looks for its libraries in lib64, CMake for one without a version.
      const toolkit = join(folder, "nvidia", "cu13");
      symlinkSync("lib", join(toolkit, "lib64"));
      symlinkSync("libcudart.so.13", join(toolkit, "lib", "libcudart.so"));
    },
  });
  return join(TOOLKIT, "bin", "nvcc");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(fetchCompiler());
