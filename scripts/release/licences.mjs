/**
 * The licences of what is linked into a platform's package: read from the compiler and the headers that it was made with,
 * so that they are those of the versions in it.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { ZIG_HOME } from "./zig.mjs";

const require = createRequire(import.meta.url);
const beside = (module, file) => join(dirname(require.resolve(`${module}/package.json`)), file);
const inZig = (...names) => join(ZIG_HOME, ...names);

const LLVM = "Apache-2.0 WITH LLVM-exception";

/** What is in every binary that zig links: what it is called, its licence's name, and its text. */
const ALWAYS = [
  ["libc++, of LLVM", LLVM, inZig("lib", "libcxx", "LICENSE.TXT")],
  ["libc++abi, of LLVM", LLVM, inZig("lib", "libcxxabi", "LICENSE.TXT")],
  ["libunwind, of LLVM", LLVM, inZig("lib", "libunwind", "LICENSE.TXT")],
  ["compiler-rt, of Zig", "MIT", inZig("LICENSE")],
  ["node-addon-api", "MIT", beside("node-addon-api", "LICENSE.md")],
  ["node-api-headers", "MIT", beside("node-api-headers", "LICENSE")],
];

/** What comes with one kind of system: the part of its C library that is in no shared library. */
const OF_SYSTEM = {
  glibc: [
    [
      "start-up code of the GNU C Library",
      "LGPL-2.1-or-later with its exception for linking",
      inZig("lib", "libc", "glibc", "LICENSES"),
    ],
  ],
  musl: [["start-up code of musl", "MIT", inZig("lib", "libc", "musl", "COPYRIGHT")]],
  darwin: [],
  win32: [["mingw-w64's runtime", "ZPL-2.1 and others", inZig("lib", "libc", "mingw", "COPYING")]],
};

/** The path of a licence in one of the wheels that CUDA's compiler comes as, by what the wheel's name begins with. */
function inWheel(name) {
  const wheel = readdirSync(".cuda").find(
    (entry) => entry.startsWith(`${name}-`) && entry.endsWith(".dist-info"),
  );
  const places = ["License.txt", join("licenses", "License.txt"), "LICENSE", join("licenses", "LICENSE")];
  const found = places.map((place) => join(".cuda", wheel ?? "", place)).find(existsSync);
  if (!found)
    throw new Error(
      `The licence of ${name} is not in .cuda: node scripts/cuda-compiler.mjs, without CUDA_HOME`,
    );
  return found;
}

const RULE = `\n${"=".repeat(80)}\n`;

/**
 * One text: the package's own licence, what is linked in, and the licence of each, the same one once.
 *
 * @param parts each `[what, licence, path of its text]`
 */
export function licenceText(parts) {
  const owners = new Map();
  for (const [what, , path] of parts) {
    const text = readFileSync(path, "utf8").trim();
    owners.set(text, [...(owners.get(text) ?? []), what]);
  }
  return [
    readFileSync("LICENSE", "utf8").trim(),
    RULE,
    "The binary contains parts of other projects, whose licences follow:\n\n",
    ...parts.map(([what, licence]) => `  ${what}: ${licence}\n`),
    ...[...owners].map(([text, whose]) => `${RULE}${whose.join("; ")}${RULE}\n${text}\n`),
  ].join("");
}

/** The text for a platform's package. */
export const platformLicence = ({ os, libc }) => licenceText([...ALWAYS, ...OF_SYSTEM[libc ?? os]]);

/** The text for the package with the CUDA engine. */
export const cudaLicence = () =>
  licenceText([
    ["CUDA's runtime, of NVIDIA", "NVIDIA's licence of CUDA", inWheel("nvidia_cuda_runtime")],
    ["CUDA's C++ libraries, of NVIDIA", "NVIDIA's licence of CUDA", inWheel("nvidia_cuda_cccl")],
    ...ALWAYS.filter(([what]) => what.startsWith("node-")),
  ]);
