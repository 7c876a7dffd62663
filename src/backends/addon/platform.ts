/**
 * Which platform this process is of, by the names of `platforms.ts`, and whether it sees a GPU's driver.
 */
import { nodeModule } from "../../host.ts";

/** "linux-x64", "linux-arm64-musl", "darwin-arm64", …: builds for glibc and musl do not interchange. */
export function platformName(): string {
  const name = `${process.platform}-${process.arch}`;
  return process.platform === "linux" && runsOnMusl() ? `${name}-musl` : name;
}

/**
 * Whether this process runs on musl: what it has mapped says so in half a millisecond, in Node, Bun and Deno. Where that
 * may not be read (a permission model) Node's report does, in some 20 ms without network interfaces, whose names it
 * would otherwise look up, in seconds where nobody answers.
 */
function runsOnMusl(): boolean {
  try {
    const libc = libcInMaps(nodeModule("node:fs").readFileSync("/proc/self/maps", "latin1"));
    if (libc !== null) return libc === "musl";
  } catch {
    // The report is asked.
  }
  // Since Node 20.13; runtimes that are not Node have no report, or one that is made up.
  const report = process.report as (NodeJS.ProcessReport & { excludeNetwork?: boolean }) | undefined;
  const before = report?.excludeNetwork;
  try {
    if (report === undefined) return false;
    report.excludeNetwork = true;
    const { header } = report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
    return !header.glibcVersionRuntime;
  } catch {
    return false; // Deno, where it may not tell
  } finally {
    if (report !== undefined && before !== undefined) report.excludeNetwork = before;
  }
}

/** The C library among the files that a process has mapped (Linux's /proc/self/maps), or null. */
export function libcInMaps(maps: string): "glibc" | "musl" | null {
  // Musl's loader is its library, whatever name it was found by; a file that was replaced meanwhile is "(deleted)".
  if (/\/(ld-musl-[^/\n]*|libc\.musl-[^/\n]*|libc\.so)( \(deleted\))?$/m.test(maps)) return "musl";
  return /\/(libc\.so\.6|libc-2\.\d+\.so|ld-linux-[^/\n]*)( \(deleted\))?$/m.test(maps) ? "glibc" : null;
}

/** Where NVIDIA's driver shows on Linux: its module, and the library that Windows gives to its Linux. */
const DRIVER = ["proc/driver/nvidia/version", "usr/lib/wsl/lib/libcuda.so.1"];

/** Whether NVIDIA's driver is on this machine, by looking for its files. */
export function seesDriver(root = "/"): boolean {
  const { existsSync } = nodeModule("node:fs");
  const { join } = nodeModule("node:path");
  try {
    return DRIVER.some((file) => existsSync(join(root, file)));
  } catch {
    return false; // a permission model, which refuses the question
  }
}
