/**
 * Puts wheels of PyPI, pinned with their hashes, into a folder of their own, which git ignores (needs Python with pip).
 */
import { spawnSync } from "node:child_process";
import { renameSync, rmSync } from "node:fs";

const PIP = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore"];
const PINNED = ["--no-deps", "--no-compile", "--require-hashes", "--only-binary=:all:"];

/**
 * Fetches wheels; the folder is there only once all of them are. Output goes to stderr.
 *
 * @param folder to be made or made anew
 * @param requirements path of the pinned list
 * @param options further ones of pip, as for another platform
 * @param prepare what is still to be done in the folder
 * @throws Error if pip fails
 */
export function fetchWheels({ folder, requirements, options = [], prepare = () => {} }) {
  const fresh = `${folder}.new`;
  rmSync(fresh, { recursive: true, force: true });
  const args = [...PIP, ...PINNED, ...options, "--target", fresh, "-r", requirements];
  const { status, error } = spawnSync("python3", args, { stdio: ["ignore", 2, 2] });
  if (status !== 0) {
    throw new Error(`${requirements} could not be fetched: ${error?.message ?? "pip failed, see above"}`);
  }
  prepare(fresh);
  rmSync(folder, { recursive: true, force: true });
  renameSync(fresh, folder);
}
