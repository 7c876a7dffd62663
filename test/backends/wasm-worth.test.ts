/**
 * Whether a team of WASM's threads is worth its cost: what `Worth` chooses where the team and one thread take given
 * times, as a clock would tell them.
 */
import { describe, expect, test } from "@jest/globals";
import { Worth } from "../../src/backends/wasm/worth.ts";

interface Conditions {
  /** Milliseconds an update. */
  readonly team: number;
  readonly alone: number;
  /** Waits for each other that block, an update of the team. */
  readonly blocked: number;
}

/** Milliseconds of jobs of some ten milliseconds each, and how many of their updates were done alone. */
function work(worth: Worth, updates: number, { team, alone, blocked }: Conditions) {
  let milliseconds = 0;
  let alonely = 0;
  for (let done = 0; done < updates; ) {
    const pace = worth.alone ? alone : team;
    const count = Math.ceil(10 / pace);
    if (worth.alone) alonely += count;
    milliseconds += count * pace;
    worth.count(count, count * pace, worth.alone ? 0 : count * blocked);
    done += count;
  }
  return { milliseconds, alone: alonely / updates };
}

describe("whether a team is worth its cost", () => {
  const quiet: Conditions = { team: 0.6, alone: 1, blocked: 0 };
  const busy: Conditions = { team: 3, alone: 1, blocked: 1 };
  const crowded: Conditions = { team: 0.8, alone: 1, blocked: 0.5 };

  test("where nobody blocks, one thread is never tried", () => {
    expect(work(new Worth(), 10_000, quiet).alone).toBe(0);
  });

  test("where the team costs more, nearly all is done on one thread, in little more time", () => {
    const { milliseconds, alone } = work(new Worth(), 10_000, busy);
    expect(alone).toBeGreaterThan(0.97);
    expect(milliseconds).toBeLessThan(1.05 * 10_000 * busy.alone);
  });

  test("where the team blocks and yet is faster, one thread is tried and left", () => {
    const { milliseconds, alone } = work(new Worth(), 10_000, crowded);
    expect(alone).toBeGreaterThan(0);
    expect(milliseconds).toBeLessThan(1.02 * 10_000 * crowded.team);
  });

  test("a team comes back when the machine is quiet again, and rests again when it is not", () => {
    const worth = new Worth();
    work(worth, 5_000, busy);
    work(worth, 3_000, quiet); // the longest rest takes some 1,500 of them
    expect(work(worth, 5_000, quiet).alone).toBe(0);
    expect(work(worth, 5_000, busy).alone).toBeGreaterThan(0.9);
  });
});
