/**
 * Sets up TensorFlow.js for the benchmarks in .peers/tfjs, which git ignores: `node bench/peers/setup-tfjs.mjs`.
 * Its plain JavaScript and WASM backends everywhere; on linux-x64 its native one too (900 MB; needs Python with
 * pip, a C++ compiler and make).
 *
 * tfjs-node's own install script downloads TensorFlow from outside the registries, so it stays off. TensorFlow's
 * C library comes from the package tensorflow-cpu instead: 2.12.1 is the first with libtensorflow_cc.so.2, which
 * holds the C interface and no symbol of Python's. The binding is then compiled against it.
 */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const TFJS = "4.22.0";
const TENSORFLOW = "2.12.1";
const folder = fileURLToPath(new URL("../../.peers/tfjs", import.meta.url));
const python = process.env.PYTHON ?? "python3";

function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { stdio: "inherit", cwd: folder, ...options });
  if (status === 0) return;
  console.error(`${command} ${args[0]} failed: ${error?.message ?? `status ${status}`}`);
  process.exit(1);
}

/** TensorFlow's C library and its headers, out of the wheel into deps/, where the binding looks for them. */
function libraryFromWheel(deps) {
  const wheel = join(folder, "wheel");
  const from = ["--python-version", "3.10", "--implementation", "cp", "--platform", "manylinux2014_x86_64"];
  run(python, [
    ...["-m", "pip", "download", "--no-deps", "--only-binary=:all:", ...from],
    ...["--dest", wheel, `tensorflow-cpu==${TENSORFLOW}`],
  ]);
  const [file] = readdirSync(wheel);
  run(python, ["-m", "zipfile", "-e", join(wheel, file), wheel]);
  const [lib, include] = [join(deps, "lib"), join(deps, "include", "tensorflow")];
  mkdirSync(lib, { recursive: true });
  for (const name of ["libtensorflow_cc", "libtensorflow_framework"]) {
    cpSync(join(wheel, "tensorflow", `${name}.so.2`), join(lib, `${name}.so.2`));
  }
  symlinkSync("libtensorflow_cc.so.2", join(lib, "libtensorflow.so"));
  symlinkSync("libtensorflow_framework.so.2", join(lib, "libtensorflow_framework.so"));
  const headers = join(wheel, "tensorflow", "include", "tensorflow");
  for (const part of ["c", "core/platform", "tsl"]) {
    if (existsSync(join(headers, part)))
      cpSync(join(headers, part), join(include, part), { recursive: true });
  }
  rmSync(wheel, { recursive: true });
}

function compileBinding() {
  const home = join(folder, "node_modules", "@tensorflow", "tfjs-node");
  libraryFromWheel(join(home, "deps"));
  const prefix = dirname(dirname(process.execPath));
  const local = existsSync(join(prefix, "include", "node", "common.gypi")) ? [`--nodedir=${prefix}`] : [];
  const build = join(folder, "node_modules", "@mapbox", "node-pre-gyp", "bin", "node-pre-gyp");
  run(process.execPath, [build, "install", "--build-from-source", ...local], { cwd: home });
}

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, "package.json"), '{ "private": true }\n');
const linux = process.platform === "linux" && process.arch === "x64";
const packages = ["tfjs", "tfjs-backend-wasm", ...(linux ? ["tfjs-node"] : [])];
run("npm", ["install", "--ignore-scripts", ...packages.map((name) => `@tensorflow/${name}@${TFJS}`)]);
if (linux) compileBinding();
else console.error("tfjs-node's native backend: this script knows linux-x64 only");
