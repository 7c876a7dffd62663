/**
 * `local-entropy bench`: the throughput of this machine's backends, operation by operation, each checked against the
 * reference before it is timed. The benchmarks are the repository's folder bench/, without rivals from other packages.
 */
import { UsageError } from "./values.ts";

/** Runs the command; resolves to the exit code. Tables go to stdout, or with `json` to stderr and JSON to stdout. */
export async function benchCommand({
  quick = false,
  only,
  json = false,
}: {
  quick?: boolean;
  only?: string;
  json?: boolean;
}): Promise<number> {
  if (json) console.log = console.error;
  const suite = await import("../../bench/suite.mjs");
  const stems = only?.split(",");
  const unknown = stems?.find((stem) => !suite.STEMS.includes(stem));
  if (unknown !== undefined) {
    throw new UsageError(`Expected some of ${suite.STEMS.join(", ")} for --only but received "${unknown}"`);
  }
  console.log(`784-200-10, B = 20, on ${suite.dataName}; Node ${process.version}`);
  for (const { name, reason } of suite.missing()) console.log(`Without the backend ${name}: ${reason}`);
  const results = await suite.runSuite({ quick, only: stems });
  if (json) process.stdout.write(`${JSON.stringify({ machine: suite.machine(), quick, results })}\n`);
  return 0;
}
