/**
 * `local-entropy bench`: the throughput of this machine's backends, operation by operation, each checked against the
 * reference before it is timed. The benchmarks are the package's folder bench/, without rivals from other packages.
 */
import { UsageError } from "./values.ts";

/** What bench/suite.mjs exports; plain JavaScript, since it measures what is compiled. */
interface Suite {
  readonly STEMS: readonly string[];
  machine(): object;
  runSuite(options: { quick: boolean; only?: readonly string[] }): Promise<object[]>;
}

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
  const suite: Suite = await import(new URL("../../bench/suite.mjs", import.meta.url).href);
  const stems = only?.split(",");
  const unknown = stems?.find((stem) => !suite.STEMS.includes(stem));
  if (unknown !== undefined) {
    throw new UsageError(`Expected some of ${suite.STEMS.join(", ")} for --only but received "${unknown}"`);
  }
  const { dataName, missing } = await import(new URL("../../bench/problem.mjs", import.meta.url).href);
  console.log(`784-200-10, B = 20, on ${dataName}; Node ${process.version}`);
  for (const { name, reason } of missing()) console.log(`Without the backend ${name}: ${reason}`);
  const results = await suite.runSuite({ quick, only: stems });
  if (json) process.stdout.write(`${JSON.stringify({ machine: suite.machine(), quick, results })}\n`);
  return 0;
}
