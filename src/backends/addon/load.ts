/**
 * Finds and loads an addon, the CPU's or CUDA's: the build in this package, else the platform's own package.
 *
 * Each attempt's failure is kept; together with what to do about them they make one explanation, for the error of
 * `openNative` or `openCuda` and for `local-entropy doctor`.
 */
import { isNode, nodeModule } from "../../host.ts";
import { packageFolder } from "../../places.ts";
import type { Answer, Job, JobArrays } from "../job.ts";

/** A handle to something that the addon owns; collecting it frees that. */
type Handle<Name extends string> = { readonly handle: Name };
export type Queue = Handle<"queue">;
export type NativeSession = Handle<"session">;

/** A job among those of its queue, from 1. */
export type JobNumber = number;

export type Numbers = Answer["numbers"];
/** Called once for each job: the failure's code and message, or null and the job's results by name. */
export type Done = (code: string | null, message: string, numbers: Numbers) => void;

/**
 * What native/node/addon.cc registers. A job is given as its numbers and its arrays, which are copied before a call
 * returns; but the normals' `output`, which is written in place.
 */
export interface Addon {
  instructionSets(): string[];
  open(instructionSet: string, threads: number): Queue;
  instructionSet(queue: Queue): string;
  /** Fewer than it was opened with where the system refuses some. */
  threads(queue: Queue): number;
  close(queue: Queue): void;
  /** A job that was told of is let be. */
  cancel(queue: Queue, job: JobNumber): void;
  /** Inside `done`: copies that job's outputs into arrays of exactly their lengths, by name, and counts them. */
  collect(queue: Queue, arrays: JobArrays): number;

  /** Any operation but `run`. */
  start(queue: Queue, scalars: Float64Array, arrays: JobArrays, done: Done): JobNumber;

  /** A split's job may leave its `inputs` out; then they are to be added before the session's first call. */
  openSession(queue: Queue, job: Job, ...splits: (Job | undefined)[]): NativeSession;
  /** The next inputs of a split, by its place in `DATA_SPLITS`. */
  addInputs(session: NativeSession, split: number, inputs: Uint8Array | Float32Array): void;
  closeSession(session: NativeSession): void;
  run(session: NativeSession, scalars: Float64Array, arrays: JobArrays, done: Done): JobNumber;
  /** @param split its place in `DATA_SPLITS` */
  accuracy(session: NativeSession, split: number, done: Done): JobNumber;
  read(session: NativeSession, done: Done): JobNumber;
}

export interface Attempt {
  readonly path: string;
  readonly reason: string;
}

export interface Loaded {
  readonly addon: Addon | null;
  /** Failed attempts in order. */
  readonly attempts: readonly Attempt[];
  /** Why there is no addon and what to do, in a few lines; empty if there is one. */
  readonly reason: string;
}

/** The engines that come as an addon: one interface, a binary each, so that a broken driver stops no CPU. */
export type Engine = "native" | "cuda";

const BINARIES = {
  native: {
    file: ["build", "Release", "local_entropy.node"],
    suffix: "",
    make: "npm run build",
    needs: "it needs a C++17 compiler and CMake",
  },
  cuda: {
    file: ["build", "cuda", "Release", "local_entropy_cuda.node"],
    suffix: "-cuda",
    make: "npm run build:cuda",
    needs: "it needs a C++17 compiler and CMake, and fetches CUDA's compiler if CUDA_HOME names none",
  },
} as const satisfies Record<Engine, object>;

/** "linux-x64", "linux-arm64-musl", "darwin-arm64", …: builds for glibc and musl do not interchange. */
export function platformName(): string {
  const name = `${process.platform}-${process.arch}`;
  if (process.platform !== "linux") return name;
  const report = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  return report.header.glibcVersionRuntime ? name : `${name}-musl`;
}

/** What Node says when it cannot load a binary, in the words of its cause; the first that matches. */
const CAUSES: readonly [RegExp, (make: string) => string][] = [
  [
    /invalid ELF header|wrong ELF class|not a mach-o|incompatible architecture|not a valid Win32|file too short/i,
    (make) =>
      `The binary is damaged or was built for another platform: remove the folder build and run \`${make}\` here`,
  ],
  [
    /GLIBC|GLIBCXX|CXXABI|libc\.|libstdc\+\+|libgcc|ld-linux|ld-musl|cannot open shared object/,
    (make) =>
      `The binary needs another C or C++ library than this system has: run \`${make}\` here, or install that library`,
  ],
  [
    /loading addons is disabled/,
    () =>
      "Node was told to load no addon: leave out --no-addons, or under its permission model add --allow-addons",
  ],
  [/self-register|undefined symbol/, (make) => `The binary is of another version: run \`${make}\``],
];

function solutions(attempts: readonly Attempt[], packageName: string, engine: Engine): string[] {
  const { make, needs } = BINARIES[engine];
  const found = new Set<string>();
  for (const { reason } of attempts) {
    const cause = CAUSES.find(([pattern]) => pattern.test(reason));
    if (cause) found.add(cause[1](make));
  }
  if (found.size > 0) return [...found];
  return [
    `In the package's repository: run \`${make}\`; ${needs}`,
    `Where the package was installed: npm install ${packageName}, or npm install --include=optional`,
    'Without the addon: use backend "auto" or "wasm", which is slower',
  ];
}

function attempt(path: string, load: () => Addon, failed: Attempt[]): Addon | null {
  try {
    return load();
  } catch (error) {
    // Node adds the stack of requiring files in further lines.
    const [message] = (error as Error).message.split("\n");
    failed.push({ path, reason: message });
    return null;
  }
}

/** Loads an engine's addon of the package whose root is given. */
export function loadAddonFrom(root: string, engine: Engine = "native"): Loaded {
  const { createRequire } = nodeModule("node:module");
  const { existsSync } = nodeModule("node:fs");
  const { join } = nodeModule("node:path");
  const require = createRequire(import.meta.url);
  const { file, suffix } = BINARIES[engine];
  const attempts: Attempt[] = [];
  const built = join(root, ...file);
  const fromBuild = () => {
    if (!existsSync(built)) throw new Error("no such file");
    return require(built) as Addon;
  };
  const addon = attempt(built, fromBuild, attempts);
  if (addon) return { addon, attempts, reason: "" };

  const packageName = `@local-entropy/${platformName()}${suffix}`;
  const fromPackage = createRequire(join(root, "package.json"));
  const packaged = attempt(packageName, () => fromPackage(packageName) as Addon, attempts);
  if (packaged) return { addon: packaged, attempts, reason: "" };

  const lines = [
    `the ${engine} addon does not load:`,
    ...attempts.map(({ path, reason }) => `  ${path}: ${reason}`),
    "Possible solutions:",
    ...solutions(attempts, packageName, engine).map((solution) => `  ${solution}`),
  ];
  return { addon: null, attempts, reason: lines.join("\n") };
}

const BUNDLED =
  "a bundle of CommonJS knows no place to load an addon from: leave local-entropy out of the bundle, or bundle modules";

const loaded = new Map<Engine, Loaded>();

/** An engine's addon of this package, looked for once a thread. */
export function loadAddon(engine: Engine): Loaded {
  if (!isNode) return { addon: null, attempts: [], reason: "a browser loads no native addon" };
  const folder = packageFolder();
  if (folder === null) return { addon: null, attempts: [], reason: BUNDLED };
  const found = loaded.get(engine) ?? loadAddonFrom(folder, engine);
  loaded.set(engine, found);
  return found;
}
