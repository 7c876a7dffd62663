/**
 * A clock that stands still while the main thread waits for a processor, where the system tells (Linux): what a program
 * on a busy machine takes for itself.
 */
import { openSync, readSync } from "node:fs";

function opened() {
  try {
    return openSync("/proc/self/schedstat");
  } catch {
    return null;
  }
}

const file = opened();
const text = Buffer.alloc(128);

/** Milliseconds since some moment, those left out in which the thread was ready to run and not let. */
export function clock() {
  if (file === null) return performance.now();
  const [, waited] = text.toString("latin1", 0, readSync(file, text, 0, text.length, 0)).split(" ");
  return performance.now() - Number(waited) / 1e6;
}

/** The longest that the event loop stood still while `work` was awaited, in ms. */
export async function longestDelay(work) {
  let longest = 0;
  let last = clock();
  const timer = setInterval(() => {
    const now = clock();
    longest = Math.max(longest, now - last - 1);
    last = now;
  }, 1);
  await new Promise((resolve) => setTimeout(resolve, 5));
  longest = 0;
  await work();
  await new Promise((resolve) => setTimeout(resolve, 5));
  clearInterval(timer);
  return longest;
}
