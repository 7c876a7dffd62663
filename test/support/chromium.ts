/**
 * A headless Chromium by its debugging pipe: commands and events as JSON, each ended by a zero byte (Chrome DevTools
 * Protocol). The machine's own browser is used; none is fetched.
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";

const NAMES = ["chromium", "chromium-browser", "google-chrome"];

/** The browser's command, or null where there is none. */
export const chromium: string | null =
  NAMES.find((name) => spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0) ?? null;

interface Reply {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { readonly [key: string]: unknown };
  readonly result?: { readonly [key: string]: unknown };
  readonly error?: { readonly message: string };
}

export interface Page {
  /** The value of an expression or promise in the page; rejects with what it throws. */
  evaluate(expression: string): Promise<unknown>;
  /** The page as PNG, in base64. */
  picture(): Promise<string>;
  /** Errors and warnings that the page has written to its console, and what it did not catch. */
  readonly complaints: readonly string[];
}

/** Opens an address in a browser of its own, and gives the page to `use`. */
export async function withPage<T>(
  address: string,
  use: (page: Page) => Promise<T>,
  { dark = false, size = "900,1100" }: { dark?: boolean; size?: string } = {},
): Promise<T> {
  const profile = mkdtempSync(join(tmpdir(), "local-entropy-browser-"));
  const child = spawn(
    chromium!,
    [
      ...["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"],
      ...["--remote-debugging-pipe", `--user-data-dir=${profile}`, `--window-size=${size}`],
    ],
    { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"], detached: true },
  );
  const ended = new Promise((resolve) => child.once("close", resolve));
  try {
    const connection = connect(child.stdio[3] as Writable, child.stdio[4] as Readable);
    const { targetId } = await connection.send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await connection.send("Target.attachToTarget", { targetId, flatten: true });
    const send = (method: string, params: object = {}) =>
      connection.send(method, params, sessionId as string);
    await send("Runtime.enable");
    await send("Page.enable");
    if (dark) {
      await send("Emulation.setEmulatedMedia", {
        features: [{ name: "prefers-color-scheme", value: "dark" }],
      });
    }
    const loaded = connection.event("Page.loadEventFired");
    await send("Page.navigate", { url: address });
    await loaded;
    return await use({
      complaints: connection.complaints,
      async evaluate(expression) {
        const settings = { expression, awaitPromise: true, returnByValue: true };
        const { result, exceptionDetails } = await send("Runtime.evaluate", settings);
        if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails));
        return (result as { value: unknown }).value;
      },
      picture: async () =>
        (await send("Page.captureScreenshot", { format: "png", captureBeyondViewport: true })).data as string,
    });
  } finally {
    // The whole group: one of the browser's processes that outlives it would go on writing to the profile.
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    await ended;
    rmSync(profile, { recursive: true, force: true, maxRetries: 10 });
  }
}

function connect(input: Writable, output: Readable) {
  const waiting = new Map<number, (reply: Reply) => void>();
  const heard = new Map<string, () => void>();
  const complaints: string[] = [];
  let sent = 0;
  let rest = "";
  output.setEncoding("utf8");
  output.on("data", (chunk: string) => {
    const messages = (rest + chunk).split("\0");
    rest = messages.pop()!;
    for (const message of messages) hear(JSON.parse(message));
  });
  function hear(reply: Reply): void {
    const { id, method, params } = reply;
    if (id !== undefined) {
      waiting.get(id)?.(reply);
      waiting.delete(id);
    } else if (method === "Runtime.exceptionThrown") {
      complaints.push(JSON.stringify(params!.exceptionDetails));
    } else if (
      method === "Runtime.consoleAPICalled" &&
      ["error", "warning"].includes(params!.type as string)
    ) {
      complaints.push(JSON.stringify(params!.args));
    } else {
      heard.get(method!)?.();
    }
  }
  return {
    complaints,
    event: (name: string) => new Promise<void>((resolve) => heard.set(name, resolve)),
    send(method: string, params: object, sessionId?: string): Promise<{ readonly [key: string]: unknown }> {
      const id = ++sent;
      input.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
      return new Promise((resolve, reject) => {
        waiting.set(id, ({ result, error }) => (error ? reject(new Error(error.message)) : resolve(result!)));
      });
    },
  };
}
