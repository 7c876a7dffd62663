/**
 * What a host gives or lacks: Node's own modules, environment variables, processors, turns of the event loop.
 *
 * Nothing that `import { train }` loads imports a module of Node: bundlers and browsers cannot resolve one, not even
 * behind a condition. It is asked for here, at the moment of its use.
 */

/** The modules in use. */
interface Modules {
  "node:crypto": typeof import("node:crypto");
  "node:fs": typeof import("node:fs");
  "node:fs/promises": typeof import("node:fs/promises");
  "node:module": typeof import("node:module");
  "node:os": typeof import("node:os");
  "node:path": typeof import("node:path");
  "node:url": typeof import("node:url");
  "node:util": typeof import("node:util");
  "node:worker_threads": typeof import("node:worker_threads");
  "node:zlib": typeof import("node:zlib");
}

/** Absent in browsers, whatever the types say. */
const node: NodeJS.Process | undefined = globalThis.process?.versions?.node ? globalThis.process : undefined;

export const isNode = node !== undefined;

/** A module of Node by its name ("node:fs"). Only for code that runs where `isNode` holds. */
export function nodeModule<Name extends keyof Modules>(name: Name): Modules[Name] {
  return node!.getBuiltinModule(name) as Modules[Name];
}

/** An environment variable; undefined where it is not set and where there are none. */
export function environment(name: string): string | undefined {
  return node?.env[name];
}

/** Threads that run at once, at least 1. */
export function availableThreads(): number {
  if (isNode) return nodeModule("node:os").availableParallelism();
  return (globalThis as { navigator?: { hardwareConcurrency?: number } }).navigator?.hardwareConcurrency ?? 1;
}

/** Bytes of addresses that this process may still take; without a limit (`ulimit -v`) there is no end to them. */
export function addressesLeft(): number {
  if (!isNode) return Number.POSITIVE_INFINITY;
  try {
    const { readFileSync } = nodeModule("node:fs");
    const limit = /^Max address space +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"));
    const taken = /^VmSize:\s+(\d+) kB/m.exec(readFileSync("/proc/self/status", "utf8"));
    return limit && taken ? Number(limit[1]) - 1024 * Number(taken[1]) : Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY; // another system than Linux, or one that may not be read
  }
}

/** Lets the event loop run: timers, messages and abort signals have their turn. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    if (isNode) {
      setImmediate(resolve);
      return;
    }
    // setTimeout would wait 4 ms a turn.
    const { port1, port2 } = new MessageChannel();
    const hear = () => {
      port1.close();
      resolve();
    };
    port1.addEventListener("message", hear);
    port1.start();
    port2.postMessage(null);
  });
}
