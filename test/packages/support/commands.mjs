/**
 * Commands of other programs, in an environment that has nothing of the one that started the tests: npm hands its own
 * settings on to what it runs, and a client would take those for the user's.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";

/** A part that cannot be tried here; the message says what is lacking. */
export class Skipped extends Error {}

/** Without npm's variables, with a home of its own so that no user's settings or caches are read. */
export function cleanEnvironment(home) {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(npm_|yarn_|node_options|init_cwd)/i.test(name),
  );
  return { ...Object.fromEntries(kept), HOME: home, USERPROFILE: home, CI: "", NO_COLOR: "1" };
}

/**
 * Runs a command to its end.
 *
 * @param words the command and its arguments
 * @param options.seconds until it is ended (default 300)
 * @returns what it wrote to stdout
 * @throws an Error with the end of all that it wrote, where its status is not `status` (default 0)
 */
export async function run(words, { cwd, env, seconds = 300, status: expected = 0 } = {}) {
  const [command, ...args] = words;
  const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"], detached: true });
  let stdout = "";
  let all = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    stdout += text;
    all += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text) => {
    all += text;
  });
  let late = false;
  const clock = setTimeout(() => {
    late = true;
    process.kill(-child.pid, "SIGKILL"); // with what it started
  }, seconds * 1000);
  const [status, signal] = await once(child, "close").finally(() => clearTimeout(clock));
  if (status === expected) return stdout;
  const how = late ? `it took more than ${seconds} s` : (signal ?? `status ${status}`);
  throw new Error(`${words.join(" ")}: ${how}\n${all.trim().slice(-3000)}`);
}
