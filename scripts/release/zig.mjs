/**
 * Fetches the compiler of release binaries from PyPI's wheel into the git-ignored folder `.zig` (413 MB; needs Python with
 * pip). One compiler makes all of them, so that they need no newer library than they have to, whatever machine packs them.
 *
 *     node scripts/release/zig.mjs     installs it where it is missing, and prints its path
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fetchWheels } from "../wheels.mjs";

const FOLDER = fileURLToPath(new URL("../../.zig", import.meta.url));
const REQUIREMENTS = fileURLToPath(new URL("zig-requirements.txt", import.meta.url));

/** Where its libraries lie, each with its licence. */
export const ZIG_HOME = join(FOLDER, "ziglang");

/** Path of the compiler, after fetching it if need be. */
export function fetchZig() {
  const pinned = readFileSync(REQUIREMENTS, "utf8");
  const zig = join(ZIG_HOME, "zig");
  const stamp = join(FOLDER, "requirements.txt");
  if (existsSync(zig) && existsSync(stamp) && readFileSync(stamp, "utf8") === pinned) return zig;
  console.error(`pack: fetching the compiler to ${FOLDER}`);
  fetchWheels({
    folder: FOLDER,
    requirements: REQUIREMENTS,
    prepare: (folder) => writeFileSync(join(folder, "requirements.txt"), pinned),
  });
  return zig;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(fetchZig());
