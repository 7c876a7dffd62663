/**
 * Threads of the WASM backend: workers of Node or of a browser; where none can be made, the calling thread itself,
 * reached by the same messages.
 *
 * What runs in them is in `wasm/worker.ts`.
 */
import { isNode, nextTurn } from "../../host.ts";
import { nodeWorker, webWorker } from "../../places.ts";
import { listen } from "./calls.ts";

export interface Thread {
  post(message: object, transfer?: readonly ArrayBuffer[]): void;
  /** Whether Node's process must not end while this thread lives. */
  hold(on: boolean): void;
  /** Ends it at once, whatever it is doing. */
  end(): void;
}

/** Who hears from a thread. */
export interface Listener {
  message(data: unknown): void;
  /** It ended by itself, or by somebody else's hand. */
  ended(reason: string): void;
}

/**
 * @param script the worker's, where its file is not to be used
 * @throws what the host does where it makes no worker; one that does not get on tells the listener later
 */
export function startThread(listener: Listener, script?: string): Thread {
  return isNode ? nodeThread(listener, script) : webThread(listener, script);
}

function nodeThread(listener: Listener, script?: string): Thread {
  const worker = nodeWorker(script);
  let ended = false;
  const end = (reason: string) => {
    if (!ended) listener.ended(reason);
    ended = true;
  };
  worker.on("message", (data) => {
    if (!ended) listener.message(data);
  });
  worker.on("error", ({ message }) => end(message.split("\n")[0]));
  worker.on("exit", (code) => end(`exit code ${code}`));
  worker.unref();
  return {
    post: (message, transfer = []) => worker.postMessage(message, transfer),
    hold: (on) => (on ? worker.ref() : worker.unref()),
    end() {
      ended = true;
      worker.terminate();
    },
  };
}

function webThread(listener: Listener, script?: string): Thread {
  const worker = webWorker(script);
  worker.addEventListener("message", ({ data }) => listener.message(data));
  worker.addEventListener("error", ({ message }) =>
    listener.ended(message ?? "a worker's script did not load"),
  );
  worker.addEventListener("messageerror", () => listener.ended("a worker cannot read what it is sent"));
  return {
    post: (message, transfer = []) => worker.postMessage(message, transfer),
    hold() {},
    end: () => worker.terminate(),
  };
}

/**
 * The calling thread itself, in turns. Messages are handed over as they are, since nobody else has their arrays; a
 * MessageChannel would do, but where memory is short Node dies of making the event.
 */
export function callingThread(listener: Listener): Thread {
  let ended = false;
  let last = Promise.resolve();
  const later = (deliver: () => void) => {
    last = last.then(nextTurn).then(deliver);
  };
  let hear: (event: { data: unknown }) => void;
  listen({
    postMessage: (data) =>
      later(() => {
        if (!ended) listener.message(data);
      }),
    addEventListener: (_, hears) => {
      hear = hears;
    },
  });
  const post = (data: object) => later(() => hear({ data }));
  return {
    post,
    hold() {}, // a turn that is to come holds the process
    end() {
      ended = true;
      post({ kind: "cancel" });
    },
  };
}
