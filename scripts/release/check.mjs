/**
 * Checks the binaries of a release, each where it was compiled (compile.mjs): what they need and export, that no code
 * outside the chosen instruction sets is beyond the baseline, and that ours neither prints nor ends the process.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { checkAssembly } from "./check-assembly.mjs";
import { binaryOf, EXPORTS, folderOf } from "./compile.mjs";
import { GLIBC, MACOS, PLATFORMS } from "./platforms.mjs";
import { readBinary } from "./read-binary.mjs";

/** What a binary may need of its system, and nothing beside. */
const SYSTEM = {
  glibc: /^(lib(c|m)\.so\.6|libpthread\.so\.0|libdl\.so\.2|ld-linux-(x86-64|aarch64)\.so\.[12])$/,
  musl: /^libc\.(so|musl-(x86_64|aarch64)\.so\.1)$/,
  darwin: /^\/usr\/lib\/libSystem\.B\.dylib$/,
  win32: /^(kernel32|ntdll|api-ms-win-crt-\w+-l1-1-0)\.dll$/i,
};

/** Names that zig's linker gives to every library on macOS itself; nobody looks them up in another one. */
const OF_EVERY_IMAGE = ["_mh_dylib_header", "__dso_handle"];

const isLater = (version, than) => version.localeCompare(than, undefined, { numeric: true }) > 0;

/** The newest of one library's symbol versions, as "2.17" of GLIBC; "" where there is none. */
export function newest(versions, library) {
  const found = versions
    .filter((name) => name.startsWith(`${library}_`))
    .map((name) => name.slice(library.length + 1));
  return found.sort((a, b) => (isLater(a, b) ? 1 : -1)).at(-1) ?? "";
}

/** Faults of what a binary says of itself, as sentences. */
export function checkBinary(binary, { os, cpu, libc }) {
  const { needs, versions, exports, minimum, signature } = binary;
  const faults = needs
    .filter((library) => !SYSTEM[libc ?? os].test(library))
    .map((library) => `needs ${library}, which is not every system's`);
  const glibc = newest(versions, "GLIBC");
  if (isLater(glibc, GLIBC)) faults.push(`needs glibc ${glibc}, later than ${GLIBC}`);
  const strange = versions.filter((name) => libc !== "glibc" || !name.startsWith("GLIBC_"));
  if (strange.length > 0) faults.push(`needs the symbol versions ${strange.join(", ")}`);
  const others = exports.filter((name) => os !== "darwin" || !OF_EVERY_IMAGE.includes(name));
  if (others.sort().join() !== [...EXPORTS].sort().join()) faults.push(`exports ${others.join(", ")}`);
  if (os !== "darwin") return faults;
  if (minimum !== MACOS) faults.push(`is for macOS from ${minimum}, not from ${MACOS}`);
  if (cpu === "arm64" && !(signature?.adHoc && signature.good)) faults.push("has no valid signature");
  return faults;
}

/**
 * @param name of `PLATFORMS`, compiled
 * @returns what its binary needs, as `readBinary` has it
 * @throws Error with every fault
 */
export function check(name) {
  const platform = PLATFORMS[name];
  const binary = readBinary(readFileSync(binaryOf(name)));
  const folder = folderOf(name);
  const texts = readdirSync(folder).filter((file) => file.endsWith(".s"));
  const faults = [
    ...checkBinary(binary, platform),
    ...texts.flatMap((file) =>
      checkAssembly(readFileSync(join(folder, file), "utf8"), platform).map((fault) => `${file}: ${fault}`),
    ),
  ];
  if (faults.length > 0) throw new Error(`${binaryOf(name)} is not for a release:\n  ${faults.join("\n  ")}`);
  return binary;
}
