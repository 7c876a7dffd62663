/**
 * Whose a folder is while somebody writes into it: a run of the command as long as it lasts, a save for its moment.
 *
 * Who wants a folder first makes a file of its own in it, named
 *
 *     .local-entropy.KIND.PROCESS.START.PLACE.NUMBER        (KIND run or save, NUMBER random)
 *
 * and then looks for those of others. It has the folder if no living one has a file there. Of two, the later one to
 * look sees the other's file, so never do both find themselves alone; of several that see each other the one with the
 * least number stays and the others step back and come again. Nothing is taken over, so nothing can be taken over
 * twice: files of the dead are only litter, and whoever sees one removes it.
 *
 * Dead is a process that is gone, or whose number another one has now (START is when it began). A process elsewhere
 * (PLACE: another machine or container that shares the disk) and another thread of this one cannot be asked. Their
 * files' times move every few seconds while they live; no clock is compared, the file is watched.
 */
import { nodeModule } from "../host.ts";
import { makeFolder } from "./files.ts";

/** Others are kept out by a run, and wait for a save. */
export type LockKind = "run" | "save";

/** Milliseconds between two signs of life. */
const BEAT = 5_000;
/** Without one for so long, who cannot be asked is dead. */
const SILENCE = 30_000;
/** How long a folder is waited for: those who began at the same time sort themselves out; a save ends. */
const PATIENCE = { run: 400, save: 600_000 } as const;
/** Milliseconds until who stepped back comes again, at least; at most twice as long. */
const PAUSE = 15;

/** Files of those who cannot be asked: their time, since when it has not moved, and whether it ever did. */
type Watched = Map<string, { readonly time: bigint; readonly since: number; readonly moved: boolean }>;

interface Owner {
  readonly file: string;
  readonly kind: LockKind;
  readonly process: number;
  readonly start: string;
  readonly place: string;
  readonly number: string;
}

/** Locks that this thread holds or is about to. */
const own = new Map<string, FolderLock>();

/** A folder that is held; see above. */
export class FolderLock {
  readonly directory: string;
  readonly kind: LockKind;
  readonly #file: string;
  #beat: NodeJS.Timeout | undefined;

  private constructor(directory: string, kind: LockKind) {
    this.directory = nodeModule("node:path").resolve(directory);
    this.kind = kind;
    const number = nodeModule("node:crypto").randomBytes(8).toString("hex");
    this.#file = `.local-entropy.${kind}.${process.pid}.${startOfThis()}.${place()}.${number}`;
  }

  /**
   * Takes a folder, made if missing.
   *
   * @throws an Error with the code EBUSY if a living run has it; otherwise what the system says
   */
  static async take(directory: string, kind: LockKind): Promise<FolderLock> {
    const lock = new FolderLock(directory, kind);
    await lock.#take();
    return lock;
  }

  /** The run of this thread that holds the folder. */
  static runIn(directory: string): FolderLock | undefined {
    const resolved = nodeModule("node:path").resolve(directory);
    return [...own.values()].find((lock) => lock.kind === "run" && lock.directory === resolved);
  }

  /** Whether the folder is still there and held: somebody may have removed or moved it. */
  get held(): boolean {
    return nodeModule("node:fs").existsSync(this.#path);
  }

  /** Makes sure that the folder is still there and held. */
  async keep(): Promise<void> {
    if (!this.held) await this.#take();
  }

  async release(): Promise<void> {
    clearInterval(this.#beat);
    await this.#leave();
  }

  get #path(): string {
    return nodeModule("node:path").join(this.directory, this.#file);
  }

  async #take(): Promise<void> {
    const { writeFile } = nodeModule("node:fs/promises");
    const began = performance.now();
    const waited = () => performance.now() - began;
    const watched: Watched = new Map();
    clearInterval(this.#beat);
    this.#beat = setInterval(() => {
      const now = new Date();
      nodeModule("node:fs").utimes(this.#path, now, now, () => {}); // `keep` tells of a folder that is gone
    }, BEAT);
    this.#beat.unref();
    try {
      while (true) {
        await makeFolder(this.directory);
        own.set(this.#file, this);
        try {
          await writeFile(this.#path, "");
        } catch (error) {
          // Whoever made the folder may have taken it back: then it is made again.
          if ((error as NodeJS.ErrnoException).code === "ENOENT" && waited() < PATIENCE.run) continue;
          throw error;
        }
        const others = await this.#others(watched);
        if (others.length === 0) return;
        const run = others.find(({ kind }) => kind === "run");
        const patience = others.some(({ file }) => watched.get(file)?.moved === false)
          ? 2 * SILENCE
          : PATIENCE.run;
        if (waited() > (run ? patience : PATIENCE.save)) {
          throw Object.assign(new Error(sentence(run ?? others[0])), { code: "EBUSY" });
        }
        const first = others.every(({ number }) => this.#file.slice(-number.length) < number);
        if (!first) await this.#leave();
        await new Promise((wake) => setTimeout(wake, PAUSE * (1 + Math.random())));
      }
    } catch (error) {
      await this.release();
      throw error;
    }
  }

  async #leave(): Promise<void> {
    own.delete(this.#file);
    await nodeModule("node:fs/promises")
      .rm(this.#path, { force: true })
      .catch(() => {}); // it is litter once this process ends
  }

  /** The living who have a file in the folder, but for this lock and the run whose save it is. */
  async #others(watched: Watched): Promise<Owner[]> {
    const { readdir, rm } = nodeModule("node:fs/promises");
    const living: Owner[] = [];
    for (const file of await readdir(this.directory)) {
      const owner = ownerOf(file);
      if (owner === null || file === this.#file) continue;
      if (this.kind === "save" && own.get(file)?.kind === "run") continue;
      const path = nodeModule("node:path").join(this.directory, file);
      if (await lives(owner, path, watched)) living.push(owner);
      else await rm(path, { force: true }).catch(() => {}); // litter that may not be removed harms nobody
    }
    return living;
  }
}

function ownerOf(file: string): Owner | null {
  const match = /^\.local-entropy\.(run|save)\.(\d+)\.(\d+)\.([\da-f]+)\.([\da-f]{16})$/.exec(file);
  if (match === null) return null;
  const [, kind, number, start, where, token] = match;
  return { file, kind: kind as LockKind, process: Number(number), start, place: where, number: token };
}

function sentence({ kind, process: number, place: where, file }: Owner): string {
  const who = `process ${number}${where === place() ? "" : " on another machine or in another container"}`;
  const what =
    kind === "run" ? "a run is under way in this folder" : "another one is being saved into this folder";
  return `${what} (${who}; if that is not so, remove ${file} from the folder)`;
}

async function lives({ file, process: number, start, place: where }: Owner, path: string, watched: Watched) {
  if (own.has(file)) return true;
  if (where !== place()) return beats(file, path, watched);
  if (number === process.pid) return start === startOfThis() && beats(file, path, watched);
  try {
    process.kill(number, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  const since = runningSince(number);
  return since === null || since === start;
}

/** False once a file's time has not moved for long enough. */
async function beats(file: string, path: string, watched: Watched): Promise<boolean> {
  const time = await timeOf(path);
  if (time === null) return false;
  const before = watched.get(file);
  if (before === undefined) watched.set(file, { time, since: performance.now(), moved: false });
  else if (before.time !== time) watched.set(file, { time, since: performance.now(), moved: true });
  return before === undefined || before.time !== time || performance.now() - before.since < SILENCE;
}

/** A file's time, null if it is gone. Opened, since a disk on the network may keep an old answer otherwise. */
async function timeOf(path: string): Promise<bigint | null> {
  try {
    const file = await nodeModule("node:fs/promises").open(path, "r");
    try {
      return (await file.stat({ bigint: true })).mtimeNs;
    } finally {
      await file.close();
    }
  } catch {
    return null;
  }
}

/**
 * When a process began, in the system's ticks since it started; null where that is not told. "dead" for one that has
 * ended and of which only the number is left.
 */
function runningSince(number: number): string | null {
  try {
    const text = nodeModule("node:fs").readFileSync(`/proc/${number}/stat`, "utf8");
    // The command's name, in parentheses, may hold anything.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? "dead" : fields[19];
  } catch {
    return null;
  }
}

function startOfThis(): string {
  return runningSince(process.pid) ?? "0";
}

let here: string | undefined;

/** Where process numbers mean what they mean here: a machine's name and its namespace of processes. */
function place(): string {
  if (here !== undefined) return here;
  let namespace = "";
  try {
    namespace = nodeModule("node:fs").readlinkSync("/proc/self/ns/pid");
  } catch {} // not Linux: there is one
  const text = `${nodeModule("node:os").hostname()} ${namespace}`;
  here = nodeModule("node:crypto").createHash("sha256").update(text).digest("hex").slice(0, 8);
  return here;
}

/** The last of this thread's saves into each folder: they queue here, and only one at a time asks for the folder. */
const queues = new Map<string, Promise<unknown>>();

/** Does `work` while no other save and no run but this thread's own writes into the folder, made if missing. */
export async function holdingFolder<Result>(directory: string, work: () => Promise<Result>): Promise<Result> {
  const key = nodeModule("node:path").resolve(directory);
  const turn = (queues.get(key) ?? Promise.resolve()).then(async () => {
    await FolderLock.runIn(directory)?.keep();
    const lock = await FolderLock.take(directory, "save");
    try {
      return await work();
    } finally {
      await lock.release();
    }
  });
  const settled = turn.catch(() => {});
  queues.set(key, settled);
  settled.then(() => {
    if (queues.get(key) === settled) queues.delete(key);
  });
  return turn;
}
