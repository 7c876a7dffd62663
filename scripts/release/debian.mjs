/**
 * Puts single packages of some release of Debian into a folder of their own, without installing them: the C libraries that
 * other systems have. From the mirror that this system's own apt is set to, so on Debian only.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

function run(command, args, cwd) {
  const { status, error } = spawnSync(command, args, { cwd, stdio: ["ignore", 2, 2] });
  if (status !== 0)
    throw new Error(`${command} ${args.join(" ")} failed${error ? `: ${error.message}` : ""}`);
}

/** Where this system's own apt finds Debian, or null on another system. */
function mirror() {
  const sources = "/etc/apt/sources.list.d/debian.sources";
  return existsSync(sources) ? /^URIs: (\S+)/m.exec(readFileSync(sources, "utf8"))?.[1] : null;
}

/** apt's options for a release of Debian that this system is not of. */
function aptOptions(suite, home) {
  const lists = join(home, suite, "lists");
  const cache = join(home, suite, "cache");
  mkdirSync(join(lists, "partial"), { recursive: true });
  mkdirSync(join(cache, "archives", "partial"), { recursive: true });
  const source = join(home, suite, "sources.list");
  const options = [
    ...[`Dir::Etc::sourcelist=${source}`, "Dir::Etc::sourceparts=-", `Dir::State::lists=${lists}`],
    ...[`Dir::Cache=${cache}`, "APT::Architectures::=amd64", "APT::Architectures::=arm64"],
    ...["Acquire::Languages=none", "APT::Sandbox::User=root"],
    "Dir::State::status=/dev/null", // else what is installed here is preferred
  ].flatMap((option) => ["-o", option]);
  if (!existsSync(source)) {
    const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
    writeFileSync(source, `deb [signed-by=${keyring} arch=amd64,arm64] ${mirror()} ${suite} main\n`);
    run("apt-get", [...options, "update"]);
  }
  return options;
}

/**
 * Fetches packages and unpacks them into one folder, unless it is there.
 *
 * @param folder to be made
 * @param suite a release of Debian: "bullseye"
 * @param arch "amd64" or "arm64"
 * @throws Error on a system that is not Debian
 */
export function fetchDebian({ folder, suite, arch, packages }) {
  if (existsSync(folder)) return;
  if (!mirror()) throw new Error("this system's package manager is not Debian's");
  const options = aptOptions(suite, resolve(".platforms", "apt"));
  const fresh = `${folder}.new`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { recursive: true });
  run("apt-get", [...options, "download", ...packages.map((name) => `${name}:${arch}`)], fresh);
  for (const file of readdirSync(fresh).filter((name) => name.endsWith(".deb")))
    run("dpkg-deb", ["-x", file, "."], fresh);
  renameSync(fresh, folder);
}
