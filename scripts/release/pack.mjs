/**
 * Makes the packages of a release (`npm run pack:all`): `build/packages/….tgz`, and what they are in `packages.json`:
 *
 *     { version, packages: [{ name, file, packed, unpacked }] }     sizes in bytes
 *
 *     --only NAME    `main`, or a platform's name ("linux-x64"); as often as wanted. Others' archives of the same
 *                    version stay
 *     --cuda         the package with the CUDA engine too (needs what `npm run build:cuda` needs), `needs` of which names
 *                    the versions of the C and C++ libraries
 *
 * The addon is compiled here for every platform (compile.mjs) and each binary is checked (check.mjs). Only the packed
 * package.json names the platforms' packages as optional dependencies: a clone is to look for none.
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { check, newest } from "./check.mjs";
import { binaryOf, compile, EXPORTS } from "./compile.mjs";
import { cudaLicence, platformLicence } from "./licences.mjs";
import { CUDA_PLATFORMS, PLATFORMS, packageOf } from "./platforms.mjs";
import { readBinary } from "./read-binary.mjs";

process.chdir(fileURLToPath(new URL("../..", import.meta.url)));
const PACKAGES = join("build", "packages");
const STAGE = join("build", "release", "stage");
const MAIN = JSON.parse(readFileSync("package.json", "utf8"));

/** Runs a command to its end; what it prints on stdout. */
function output(command, ...args) {
  const { status, stdout, error } = spawnSync(command, args, {
    encoding: "utf8",
    maxBuffer: 1 << 28,
    stdio: ["ignore", "pipe", "inherit"],
    shell: process.platform === "win32", // npm is a command file there
  });
  if (status !== 0)
    throw new Error(`${command} ${args.join(" ")} failed${error ? `: ${error.message}` : ""}`);
  return stdout;
}

/** A new, empty folder to put a package together in. */
function newStage(name) {
  const folder = join(STAGE, name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return folder;
}

const writeJson = (path, value) => writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);

/** What an archive may have, in bytes: nobody is to wait for more. */
const LIMITS = { main: 1e6, platform: 3e6, cuda: 20e6 };

/** Packs a folder; its entry in packages.json. */
function pack(folder, limit) {
  const args = ["pack", `./${folder}`, "--json", "--ignore-scripts", "--pack-destination", PACKAGES];
  const [{ name, filename, size, unpackedSize }] = JSON.parse(output("npm", ...args));
  if (size > limit) throw new Error(`${filename} has ${size} bytes, more than the ${limit} that it may have`);
  return { name, file: filename, packed: size, unpacked: unpackedSize };
}

/** The main package: what `npm pack` takes of the repository, with the platforms' packages of the same version. */
function packMain() {
  const build = output(process.execPath, "scripts/build.mjs", "--only", "typescript", "--only", "wasm");
  process.stderr.write(build);
  const folder = newStage("main");
  const [{ files }] = JSON.parse(output("npm", "pack", "--dry-run", "--json", "--ignore-scripts"));
  for (const { path } of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    cpSync(path, join(folder, path));
  }
  const { scripts: _, devDependencies: __, overrides: ___, ...published } = MAIN;
  const optionalDependencies = Object.fromEntries(
    Object.keys(PLATFORMS).map((name) => [packageOf(name), MAIN.version]),
  );
  writeJson(join(folder, "package.json"), { ...published, optionalDependencies });
  return pack(folder, LIMITS.main);
}

/** Fields that the packages with a binary share. */
const binaryPackage = (name, { os, cpu, libc }, description) => ({
  name,
  version: MAIN.version,
  description,
  license: `${MAIN.license} AND Apache-2.0 WITH LLVM-exception`, // its standard library is linked in
  ...(MAIN.repository ? { repository: MAIN.repository } : {}),
  engines: MAIN.engines,
  os: [os],
  cpu: [cpu],
  ...(libc ? { libc: [libc] } : {}),
  main: "local_entropy.node",
});

function packPlatform(name) {
  const platform = PLATFORMS[name];
  check(name);
  const folder = newStage(name);
  copyFileSync(binaryOf(name), join(folder, "local_entropy.node"));
  const described = binaryPackage(
    packageOf(name),
    platform,
    `The native engine of local-entropy for ${name}`,
  );
  writeJson(join(folder, "package.json"), described);
  const readme = `The native engine of \`local-entropy\` for ${name}: \`npm install local-entropy\` brings it where it fits.`;
  writeFileSync(join(folder, "README.md"), `# ${described.name}\n\n${readme}\n`);
  writeFileSync(join(folder, "LICENSE"), platformLicence(platform));
  return pack(folder, LIMITS.platform);
}

/**
 * The package with the CUDA engine. nvcc takes no standard library but this machine's, so it needs the C and C++
 * libraries that this machine has, which its README and packages.json say.
 */
function packCuda(name) {
  output(process.execPath, "scripts/build-cuda.mjs", "--release");
  const folder = newStage(`${name}-cuda`);
  const binary = join("build", "cuda", "Release", "local_entropy_cuda.node");
  copyFileSync(binary, join(folder, "local_entropy.node"));
  const { versions, exports } = readBinary(readFileSync(binary));
  const strange = exports.filter((symbol) => !EXPORTS.includes(symbol));
  if (strange.length > 0) throw new Error(`${binary} exports ${strange.join(", ")}`);
  const needs = { glibc: newest(versions, "GLIBC"), libstdcxx: newest(versions, "GLIBCXX") };
  const described = {
    ...binaryPackage(
      packageOf(name, "cuda"),
      PLATFORMS[name],
      `The CUDA engine of local-entropy for ${name}`,
    ),
    license: `${MAIN.license} AND LicenseRef-NVIDIA-CUDA-EULA`,
  };
  writeJson(join(folder, "package.json"), described);
  const readme = `The CUDA engine of \`local-entropy\` for ${name}, for GPUs from Turing on: it needs NVIDIA's driver 580 or later, glibc ${needs.glibc} or later, and a libstdc++ with GLIBCXX_${needs.libstdcxx}.`;
  writeFileSync(join(folder, "README.md"), `# ${described.name}\n\n${readme}\n`);
  writeFileSync(join(folder, "LICENSE"), cudaLicence());
  return { ...pack(folder, LIMITS.cuda), needs };
}

/** Says what a run made, beside what is there of the same version. */
function record(made) {
  const path = join(PACKAGES, "packages.json");
  const before = existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : { packages: [] };
  const kept = before.version === MAIN.version ? before.packages : [];
  const names = new Set(made.map(({ name }) => name));
  const packages = [
    ...kept.filter(({ name, file }) => !names.has(name) && existsSync(join(PACKAGES, file))),
    ...made,
  ];
  packages.sort((a, b) => (a.name < b.name ? -1 : 1));
  writeJson(path, { version: MAIN.version, packages });
}

const { only, cuda } = parseArgs({
  options: { only: { type: "string", multiple: true }, cuda: { type: "boolean" } },
}).values;
const known = ["main", ...Object.keys(PLATFORMS)];
const unknown = (only ?? []).find((name) => !known.includes(name));
if (unknown !== undefined) {
  console.error(`Expected one of ${known.join(", ")} for --only but received ${unknown}`);
  process.exit(1);
}
const wanted = only ?? known;
const platforms = wanted.filter((name) => name !== "main");
mkdirSync(PACKAGES, { recursive: true });
await compile(platforms);
const made = [
  ...(wanted.includes("main") ? [packMain()] : []),
  ...platforms.map(packPlatform),
  ...(cuda ? CUDA_PLATFORMS.map(packCuda) : []),
];
record(made);
rmSync(STAGE, { recursive: true, force: true });
for (const { file, packed, unpacked } of made) {
  const kB = (bytes) => `${(bytes / 1000).toFixed(0)} kB`;
  console.log(`${join(PACKAGES, file)}  ${kB(packed)}, ${kB(unpacked)} installed`);
}
