/**
 * Finds and loads an addon, the CPU's or CUDA's: the build in this package, else the package for this platform.
 *
 * A binary is looked at before it is loaded, and asked a known question before it is used. Each failure is kept as what it
 * is (`failures.ts`); together they make one explanation, for `declined`, for the error of `openNative` or `openCuda` and
 * for `local-entropy doctor`.
 */
import { environment, isNode, nodeModule } from "../../host.ts";
import { ownFile } from "../../places.ts";
import { VERSION } from "../../version.ts";
import type { Addon } from "./addon.ts";
import { binaryOf } from "./binary.ts";
import {
  damaged,
  type Engine,
  type Failure,
  foreign,
  hidden,
  noPackage,
  notBuilt,
  notInstalled,
  otherVersion,
  type Place,
  refused,
  unlike,
  wrong,
} from "./failures.ts";
import { wrongAnswer } from "./known-question.ts";
import { platformName } from "./platform.ts";
import { CUDA_PLATFORMS, PLATFORMS, packageOf } from "./platforms.ts";

export interface Attempt extends Failure {
  /** The binary, or the name of the package that should have it. */
  readonly path: string;
  /** What the runtime said where it was asked to load it, or "". */
  readonly told: string;
}

export interface Loaded {
  readonly addon: Addon | null;
  /** Failed attempts in order. */
  readonly attempts: readonly Attempt[];
  /** Whether there is none anywhere: not built, not installed. */
  readonly absent: boolean;
  /** Why there is no addon, in the first line; in further ones what was said and what to do. Empty if there is one. */
  readonly reason: string;
}

const BUILDS = {
  native: "build/Release/local_entropy.node",
  cuda: "build/cuda/Release/local_entropy_cuda.node",
} as const satisfies Record<Engine, string>;

/** Where this code lies. */
interface Root {
  /** The package's folder; null where a bundler has put the code into somebody else's. */
  readonly folder: string | null;
  /** From where packages are looked for. */
  readonly from: string;
}

/**
 * Loads an engine's addon.
 *
 * @param root the package's folder, or where a bundle of it lies
 * @param platform this process's
 */
export function loadAddonFrom(
  root: string | Root,
  engine: Engine = "native",
  platform: string = platformName(),
): Loaded {
  const { dirname, join } = nodeModule("node:path");
  const { folder, from } =
    typeof root === "string" ? { folder: root, from: join(root, "package.json") } : root;
  const packages = engine === "cuda" ? CUDA_PLATFORMS : Object.keys(PLATFORMS);
  const name = packages.includes(platform) ? packageOf(platform, engine) : null;
  const built = join(folder ?? "", ...BUILDS[engine].split("/"));
  const manifest = name === null ? null : manifestOf(name, from);

  const places: Place[] = [];
  if (folder !== null && mayExist(built)) {
    places.push({ engine, platform, name: BUILDS[engine], path: built, packageName: null });
  }
  if (name !== null && manifest !== null) {
    places.push({ engine, platform, name, path: dirname(manifest), packageName: name });
  }
  const attempts: Attempt[] = [];
  for (const place of places) {
    const addon = attempt(place, attempts);
    if (addon !== null) return { addon, attempts, absent: false, reason: "" };
  }

  const absent = places.length === 0;
  if (absent) {
    const inRepository = folder !== null && mayExist(join(folder, "native", "CMakeLists.txt"));
    if (inRepository) attempts.push({ path: built, told: "", ...notBuilt(engine) });
    else if (name === null) attempts.push({ path: "", told: "", ...noPackage(engine, platform) });
    else if (!mayRead(dirname(folder ?? from))) {
      attempts.push({ path: name, told: "", ...hidden(name, dirname(folder ?? from)) });
    } else {
      const others = packages
        .map((other) => packageOf(other, engine))
        .filter((other) => manifestOf(other, from) !== null);
      const global = folder !== null && isGlobal(folder);
      attempts.push({ path: name, told: "", ...notInstalled(engine, name, others, global) });
    }
  }
  const lines = attempts.flatMap(({ path, told }) => (told ? [`${path}: ${told}`] : []));
  lines.push(...attempts.flatMap(({ mends }) => mends));
  if (engine === "native") lines.push(WITHOUT);
  const reason = [attempts.map(({ why }) => why).join("; "), ...new Set(lines)].join("\n  ");
  return { addon: null, attempts, absent, reason };
}

const WITHOUT = 'Without it: backend "auto" takes wasm, which is two to four times slower';

/** Loads what lies at a place; its failure is kept. */
function attempt(place: Place, attempts: Attempt[]): Addon | null {
  const { path } = place;
  try {
    const found = addonAt(place);
    if (!("why" in found)) return found;
    attempts.push({ path, told: "", ...found });
  } catch (error) {
    // Node adds the stack of requiring files in further lines.
    const [told] = (error as Error).message.split("\n");
    attempts.push({ path, told, ...refused(place, error as Error) });
  }
  return null;
}

/**
 * The addon at a place, or why it is not used.
 *
 * @throws what the runtime does where it may not be read or loaded
 */
function addonAt(place: Place): Addon | Failure {
  const { join } = nodeModule("node:path");
  let { path } = place;
  if (place.packageName !== null) {
    const text = nodeModule("node:fs").readFileSync(join(path, "package.json"), "utf8");
    const { version, main } = JSON.parse(text) as { version: string; main: string };
    if (version !== VERSION) return otherVersion(place, version);
    path = join(path, main);
  }
  const binary = binaryOf(path);
  if ("damage" in binary) return damaged(place, binary.damage);
  if (binary.platform !== null && binary.platform !== place.platform) return foreign(place, binary.platform);
  const addon = nodeModule("node:module").createRequire(path)(path) as Addon;
  if (typeof addon.answer !== "function") return unlike(place);
  const instructionSets = addon.instructionSets();
  // One that is forced and not there is told of where the backend is opened.
  const forced = environment("LOCAL_ENTROPY_INSTRUCTION_SET") ?? "";
  const used = instructionSets.includes(forced) ? forced : instructionSets[0];
  const answer = used === undefined ? "" : wrongAnswer(addon, used);
  return answer === "" ? addon : wrong(place, used, answer);
}

/** Whether a file is there, or nobody may tell (a permission model): then loading it says so. */
function mayExist(path: string): boolean {
  try {
    return nodeModule("node:fs").existsSync(path);
  } catch {
    return true;
  }
}

/** Whether Node's permission model, where there is one, lets a folder be read: what it hides looks like nothing there. */
function mayRead(folder: string): boolean {
  const { permission } = process as { permission?: { has(scope: string, path: string): boolean } };
  return permission?.has("fs.read", folder) ?? true;
}

/** The package.json of an installed package, or null. */
function manifestOf(name: string, from: string): string | null {
  const manifest = (packageName: string, place: string) =>
    nodeModule("node:module").createRequire(place).resolve(`${packageName}/package.json`);
  try {
    return manifest(name, from);
  } catch {
    // From a bundle only what its application depends on may be seen: this package, which sees its own.
    try {
      return manifest(name, manifest("local-entropy", from));
    } catch {
      return null;
    }
  }
}

/** Whether a package's folder belongs to no project: `npm install --global`. */
function isGlobal(folder: string): boolean {
  const { basename, dirname, join } = nodeModule("node:path");
  const modules = dirname(folder);
  return basename(modules) === "node_modules" && !mayExist(join(modules, "..", "package.json"));
}

/** Where this module lies, in the package or in what a bundler made; whatever the package's own layout is. */
function ownRoot(): Root {
  const { dirname, join } = nodeModule("node:path");
  const from = ownFile();
  for (let folder = dirname(from); folder !== dirname(folder); folder = dirname(folder)) {
    try {
      const text = nodeModule("node:fs").readFileSync(join(folder, "package.json"), "utf8");
      return JSON.parse(text).name === "local-entropy" ? { folder, from } : { folder: null, from };
    } catch {
      // No package's folder: the one above may be.
    }
  }
  return { folder: null, from };
}

const loaded = new Map<Engine, Loaded>();

/** An engine's addon of this package, looked for once a thread. */
export function loadAddon(engine: Engine): Loaded {
  const without = (reason: string) => ({ addon: null, attempts: [], absent: false, reason });
  if (!isNode) return without("a browser loads no native addon");
  const found = loaded.get(engine) ?? loadAddonFrom(ownRoot(), engine);
  loaded.set(engine, found);
  return found;
}
