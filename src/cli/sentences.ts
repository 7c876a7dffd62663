/**
 * The library's sentences in the command's words.
 */
import { flagOf } from "./values.ts";

/** Options that flags set; a path may go deeper: objective.estimator.coupling.samples. */
const PATH = new RegExp(
  " for (?:train\\.|loadMnist\\.|table\\.)?(" +
    "(?:network|loss|objective|optimizer|batchSize|updates|seed|backend|threads|recordEvery|evaluateEvery|" +
    "validation|subset|label|missing|columns)[\\w.[\\]]*)",
);

/** An error's sentence, with flags in place of an option's path and of the options of tables that it advises. */
export function inFlags({ message }: Error): string {
  return advised(message).replace(PATH, (_, path: string) => {
    const parts = path.replace(/\[\d+\]/g, "").split(".");
    if (parts[0] === "network" && parts[1] !== "activation") return " for --network";
    if (parts[0] === "columns") return " for --ignore";
    if (parts[0] === "subset") return " for --train-size";
    // A kind is what the flag of the whole names: objective.estimator.kind is --estimator.
    return ` for ${flagOf(parts.findLast((part) => part !== "kind") ?? path)}`;
  });
}

function advised(sentence: string): string {
  return sentence
    .replace(/missing: "(fill|drop)"/g, "--missing $1")
    .replace(/columns: \{ (.+?): "ignore" \}/g, (_, name: string) => `--ignore ${name}`);
}
