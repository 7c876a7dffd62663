/**
 * Sets up PyTorch and JAX for the benchmarks in .peers/python, a virtual environment that git ignores:
 * `node bench/peers/setup-python.mjs`. Needs Python 3.11 or newer (the environment variable PYTHON names another
 * than python3), a C++ compiler for PyTorch's compiled form, and on Linux 6 GB, since PyTorch's package there brings
 * its CUDA libraries and does not load without them. pip's own environment variables choose another index.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const folder = path("../../.peers/python");

function run(command, ...args) {
  const { status, error } = spawnSync(command, args, { stdio: "inherit" });
  if (status === 0) return;
  console.error(`${command} failed: ${error?.message ?? `status ${status}`}`);
  process.exit(1);
}

const binaries = process.platform === "win32" ? "Scripts" : "bin";
run(process.env.PYTHON ?? "python3", "-m", "venv", folder);
run(`${folder}/${binaries}/python`, "-m", "pip", "install", "-r", path("requirements.txt"));
