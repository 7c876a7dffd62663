#!/usr/bin/env node
/**
 * The command `local-entropy`: results to stdout, progress and errors to stderr.
 *
 * Exit codes: 0 done, 1 failed, 2 a command line that makes no sense, 130 and 143 stopped by a signal.
 */
import { Command, CommanderError } from "commander";
import { DataError, OptionError } from "../errors.ts";
import { packageVersion } from "../runs/files.ts";
import { addTrainFlags, type Given } from "./flags.ts";
import type { PaperFlags } from "./paper.ts";
import { inFlags } from "./sentences.ts";
import { UsageError } from "./values.ts";

const program = new Command("local-entropy")
  .description("Trains dense networks by local entropy and heat regularization.")
  .version(packageVersion())
  .showSuggestionAfterError()
  .exitOverride();

addTrainFlags(program.command("train").description("train a network into a run's folder"))
  .allowExcessArguments(false)
  .action(async (options: Record<string, string | boolean>) => {
    // Without --no-report commander says report: true, which nobody gave.
    const given: Given = Object.fromEntries(
      Object.entries(options).filter(([name, value]) => name !== "report" || !value),
    );
    const { trainCommand } = await import("./train.ts");
    process.exitCode = await trainCommand(given);
  });

program
  .command("export")
  .description("write a run's model for another tool")
  .argument("<run>", "folder of a run, or a model's file")
  .requiredOption("--to <format>", "onnx, safetensors (PyTorch's names), json or tfjs (TensorFlow.js)")
  .option("--out <path>", "file, for tfjs folder (default: stdout, but for tfjs)")
  .allowExcessArguments(false)
  .action(async (run: string, options: { to: string; out?: string }) => {
    const { exportCommand } = await import("./export.ts");
    process.exitCode = await exportCommand(run, options);
  });

program
  .command("report")
  .description("write a run's report.html again")
  .argument("<run>", "folder of a run")
  .allowExcessArguments(false)
  .action(async (run: string) => {
    const { writeReport } = await import("../runs/report.ts");
    process.stdout.write(`${await writeReport(run)}\n`);
  });

program
  .command("doctor")
  .description("say what this machine can run, and why not the rest")
  .option("--json", "one line of JSON on stdout")
  .allowExcessArguments(false)
  .action(async (options: { json?: boolean }) => {
    const { doctorCommand } = await import("./doctor.ts");
    process.exitCode = await doctorCommand(options);
  });

program
  .command("bench")
  .description("measure the operations of every backend that runs here")
  .option("--quick", "little effort: whether everything works, in well under a minute")
  .option("--only <stems>", "only these, separated by commas: gaussian, sgd, walsh, …")
  .option("--json", "one line of JSON on stdout, the tables on stderr")
  .allowExcessArguments(false)
  .action(async (options: { quick?: boolean; only?: string; json?: boolean }) => {
    const { benchCommand } = await import("./bench.ts");
    process.exitCode = await benchCommand(options);
  });

program
  .command("paper")
  .description("the paper again: its tables, figures and theorems beside what is found here")
  .argument("[names...]", "experiments, as table-1, figure-4, theorem-2, or all (default)")
  .option("--quick", "few seeds and short runs: whether everything works, in minutes")
  .option("--backend <name>", "what computes; none takes its place where it is absent (default: native)")
  .option("--threads <n>", "(default: the machine's cores)")
  .option(
    "--out <dir>",
    "folder of results, plots and report; goes on with what it holds (default: runs/paper)",
  )
  .action(async (names: string[], options: PaperFlags) => {
    const { paperCommand } = await import("./paper.ts");
    process.exitCode = await paperCommand(names, options);
  });

// Commander says which command it does not know, but not which there are.
program.on("command:*", ([name]: string[]) => {
  const names = program.commands.map((command) => command.name()).join(", ");
  throw new UsageError(`Expected one of the commands ${names} but received "${name}"`);
});

function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2; // it has said why
  const usage = error instanceof UsageError || error instanceof OptionError;
  const message =
    error instanceof OptionError || error instanceof DataError
      ? inFlags(error)
      : error instanceof Error
        ? error.message
        : String(error);
  process.stderr.write(`local-entropy: ${message}\n`);
  if (process.env.LOCAL_ENTROPY_DEBUG && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  return usage ? 2 : 1;
}

// A reader that has enough, as in `… | head`, is no failure; a full disk behind `> file` is, but ends no run.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") return;
  process.stderr.write(`local-entropy: The output could not be written: ${error.message}\n`);
  process.on("exit", (code) => {
    process.exitCode = code || 1;
  });
});
// Progress and errors that nobody hears: there is no other place to tell them.
process.stderr.on("error", () => {});

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = exitCodeOf(error);
}
