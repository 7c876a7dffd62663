/**
 * Why a binary is not used, told as what it is, with what mends it where this package lies: in its repository, where it
 * can be built, or installed, where the release may have a package for the platform.
 */
import { VERSION } from "../../version.ts";

/** The engines that come as an addon: one interface, a binary each, so that a broken driver stops no CPU. */
export type Engine = "native" | "cuda";

/** Why a binary is not used. */
export interface Failure {
  /** In a few words, the binary's name included. */
  readonly why: string;
  /** What to do, each a sentence. */
  readonly mends: readonly string[];
}

/** Where a binary was looked for. */
export interface Place {
  readonly engine: Engine;
  /** Its name: that of the package that has it, or of the file that a build makes. */
  readonly name: string;
  /** The file, or the package's folder. */
  readonly path: string;
  /** The package that has it; null for a build. */
  readonly packageName: string | null;
  /** This process's, as in `platforms.ts`. */
  readonly platform: string;
}

const BUILDS = {
  native: ["npm run build", "it needs a C++17 compiler and CMake"],
  cuda: [
    "npm run build:cuda",
    "it needs a C++17 compiler and CMake, and fetches CUDA's compiler if CUDA_HOME names none",
  ],
} as const satisfies Record<Engine, readonly string[]>;

/** What runs this process: "Node 20.19.0", "Bun 1.4.5". */
export function runtime(): string {
  const { node, bun, deno, electron } = process.versions;
  if (bun) return `Bun ${bun}`;
  if (deno) return `Deno ${deno}`;
  return electron ? `Electron ${electron}` : `Node ${node}`;
}

const build = (engine: Engine) => `Build it: \`${BUILDS[engine][0]}\`; ${BUILDS[engine][1]}`;

const clone = (engine: Engine) =>
  `Build it in a clone of the repository (\`npm ci && ${BUILDS[engine][0]}\`; ${BUILDS[engine][1]}) and install that ` +
  "folder: `npm install FOLDER`";

/** Not built, in the package's repository. */
export const notBuilt = (engine: Engine): Failure => ({
  why: "its addon is not built",
  mends: [build(engine)],
});

/** A platform that the release has no package for. */
export const noPackage = (engine: Engine, platform: string): Failure => ({
  why: `no release has ${engine === "cuda" ? "a CUDA package" : "a package"} for ${platform}`,
  mends: engine === "cuda" && !platform.startsWith("linux") ? [] : [clone(engine)],
});

/** A package that may be there, in a folder that a permission model does not show. */
export const hidden = (name: string, folder: string): Failure => ({
  why: `${runtime()} was not allowed to look for ${name}`,
  mends: [
    `Let its permission model read where packages lie, and load addons: --allow-fs-read=${folder} --allow-addons`,
  ],
});

/**
 * A package that is not there.
 *
 * @param others packages for other platforms that are
 * @param global whether the package was installed for the machine, not into a project
 */
export function notInstalled(
  engine: Engine,
  name: string,
  others: readonly string[],
  global: boolean,
): Failure {
  // Tried with npm 10 and 11: `--include=optional` alone does nothing where npm 10 made the lock file on another system,
  // `--save-optional` alone nothing where a setting omits optional dependencies, and together they always do.
  const project =
    engine === "cuda"
      ? `npm install ${name}@${VERSION}`
      : `npm install --include=optional --save-optional ${name}@${VERSION}`;
  const install = global
    ? `npm install --global ${engine === "cuda" ? `${name}@${VERSION} ` : "--include=optional "}local-entropy@${VERSION}`
    : project;
  if (others.length === 0) return { why: `${name} is not installed`, mends: [`Install it: \`${install}\``] };
  return {
    why: `${name} is not installed, but ${others.join(" and ")}: the dependencies were installed on or for another system`,
    mends: [
      `Install them anew on this one, by the Node that runs here; or add what is missing: \`${install}\``,
    ],
  };
}

/** A package whose version is another one. */
export const otherVersion = ({ name }: Place, version: string): Failure => ({
  why: `${name} is of version ${version}, and local-entropy of ${VERSION}`,
  mends: [`Install the same version: \`npm install ${name}@${VERSION}\``],
});

/** What makes a binary anew: its build, or its package's installation. */
function anew({ engine, packageName, path }: Place): string {
  if (packageName === null) return `Remove the folder build and run \`${BUILDS[engine][0]}\` here`;
  // `npm install` alone leaves a damaged file as it is, with --force too.
  return `Remove the folder ${path} and run \`npm install\` again`;
}

export const damaged = (place: Place, damage: string): Failure => ({
  why: `${place.name} is damaged: ${damage}`,
  mends: [anew(place)],
});

/** A binary for another platform. */
export function foreign(place: Place, platform: string): Failure {
  const { name, platform: here } = place;
  const where = { [`${here}-musl`]: "glibc", [here.replace(/-musl$/, "")]: "musl" }[platform];
  const why =
    where === undefined
      ? `${name} is for ${platform}, and ${runtime()} here for ${here}`
      : `${name} is for ${where === "glibc" ? "musl" : "glibc"}, and this system has ${where}`;
  return { why, mends: [anew(place)] };
}

/** A binary that computes something else. */
export const wrong = (place: Place, instructionSet: string, answer: string): Failure => ({
  why: `${place.name} answers a known question wrongly (${instructionSet}): ${answer}`,
  mends: [
    anew(place),
    "If it stays so, this machine computes wrongly: another instruction set may do, named by LOCAL_ENTROPY_INSTRUCTION_SET",
  ],
});

/** A binary that the runtime loaded, and that lacks what this version calls. */
export const unlike = (place: Place): Failure => ({
  why: `${place.name} was made from other sources than this version's`,
  mends: [anew(place)],
});

/** What runtimes and systems say where they do not load a binary, told as its cause; the first that matches. */
const CAUSES: readonly {
  readonly when: RegExp;
  /** @param found what the expression found */
  readonly failure: (place: Place, found: RegExpExecArray) => Failure;
}[] = [
  {
    when: /ERR_DLOPEN_DISABLED|loading addons is disabled/,
    failure: () => ({ why: `${runtime()} was told to load no addon`, mends: addonsRefused() }),
  },
  {
    when: /run again with the (--allow-\w+)/, // Deno
    failure: (_, [, flag]) => ({
      why: `${runtime()} was not allowed to load an addon`,
      mends: [`Add ${[...new Set([flag, "--allow-ffi"])].join(" and ")} to its flags`],
    }),
  },
  {
    when: /ERR_ACCESS_DENIED|Access to this API has been restricted/,
    failure: ({ name, path }) => ({
      why: `${runtime()} was not allowed to read ${name}`,
      mends: [`Let its permission model read it and load it: --allow-fs-read=${path} --allow-addons`],
    }),
  },
  { when: /ENOENT/, failure: (place) => damaged(place, "its binary is missing") },
  {
    when: /failed to map segment|Operation not permitted/,
    failure: ({ name }) => ({
      why: `the system lets no code run from where ${name} lies`,
      mends: ["Install on a file system that is not mounted noexec"],
    }),
  },
  {
    when: /EACCES|EPERM|[Pp]ermission denied/,
    failure: ({ name, path }) => ({
      why: `this user may not read ${name}`,
      mends: [`Give it the right to read ${path}`],
    }),
  },
  {
    when: /code sign|system policy|Application Control|blocked/i, // macOS, Windows
    failure: ({ name }) => ({
      why: `a policy of this system refuses ${name}`,
      mends: ["Allow it in the system's security settings"],
    }),
  },
  {
    when: /version [`']?(GLIBC|GLIBCXX|CXXABI)_([\d.]+)'? not found/,
    failure: (place, [, library, version]) => ({
      why: `${place.name} needs ${library === "GLIBC" ? "glibc" : `libstdc++'s ${library}`} ${version}, and this system's is older`,
      mends: [place.packageName === null ? anew(place) : clone(place.engine), "Or use a newer system"],
    }),
  },
  {
    when: /\b((?:napi|node_api)_\w+)/,
    failure: ({ name }, [, symbol]) => ({
      why: `${runtime()} is too old for ${name}: it lacks ${symbol}`,
      mends: ["Use a newer one: Node 20.19, or another runtime with Node-API 8"],
    }),
  },
  {
    when: /self-register|undefined symbol|symbol not found|procedure could not be found/i,
    failure: unlike,
  },
  {
    when: /(\S+): cannot open shared object|loading shared library (\S+):|Library not loaded: (\S+)|module could not be found/,
    failure: (place, [, ...names]) => ({
      why: `${place.name} needs a library that this system lacks: ${names.find(Boolean) ?? "it is not named"}`,
      mends: [place.packageName === null ? anew(place) : "Install that library"],
    }),
  },
];

/** Who said that no addon is to be loaded, and how to say otherwise. */
function addonsRefused(): string[] {
  const flags = [...process.execArgv, ...(process.env.NODE_OPTIONS ?? "").split(/\s+/)];
  const said = flags.includes("--no-addons") ? ["Leave out --no-addons"] : [];
  const model = (process as { permission?: object }).permission !== undefined;
  return model || said.length === 0 ? [...said, "Under the permission model add --allow-addons"] : said;
}

/** What a runtime threw where it was to find or load a binary. */
export function refused(place: Place, error: Error & { readonly code?: string }): Failure {
  const told = `${error.code ?? ""} ${error.message}`;
  for (const { when, failure } of CAUSES) {
    const found = when.exec(told);
    if (found) return failure(place, found);
  }
  // Node adds the stack of requiring files in further lines.
  return { why: `${place.name} does not load: ${error.message.split("\n")[0]}`, mends: [anew(place)] };
}
