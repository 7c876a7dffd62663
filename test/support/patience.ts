/**
 * Limits of tests that look at the clock, scaled by what else this machine does: a test that would pass on a quiet
 * machine fails nowhere for its clock alone, and one that hangs still ends.
 */
import { availableParallelism, loadavg } from "node:os";

/** At most so many times: a limit that grows without end tests nothing. */
const MOST = 12;
/** Milliseconds of work by which the moment's load is measured: some turns of the system's scheduler. */
const SPIN = 12;

/** What so many milliseconds of a quiet machine are here and now, in whole ones. */
export function patience(milliseconds: number): number {
  const load = Math.max(1, loadavg()[0] / availableParallelism(), slowdown());
  return Math.ceil(milliseconds * Math.min(MOST, load));
}

/** How much longer than its processor time a piece of work takes at the moment. */
function slowdown(): number {
  const [begin, before] = [performance.now(), process.cpuUsage()];
  for (let used = 0; used < SPIN; ) {
    const { user, system } = process.cpuUsage(before);
    used = (user + system) / 1000;
  }
  return (performance.now() - begin) / SPIN;
}
