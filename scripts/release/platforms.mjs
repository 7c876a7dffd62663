/**
 * The platforms of a release, from the one list in `src/backends/addon/platforms.ts`, and what a compiler has to know of
 * each.
 */
import { importSource } from "../import-source.mjs";

export const { PLATFORMS, CUDA_PLATFORMS, packageOf } = await importSource("src/backends/addon/platforms.ts");

/** The oldest glibc that the binaries load with (2018), and the oldest macOS (2020). */
export const GLIBC = "2.28";
export const MACOS = "11.0";

const CPUS = { x64: "x86_64", arm64: "aarch64" };
const SYSTEMS = {
  linux: ({ libc }) => (libc === "musl" ? "linux-musl" : `linux-gnu.${GLIBC}`),
  darwin: () => `macos.${MACOS}`,
  win32: () => "windows-gnu",
};

/** As zig's option `-target` names a platform. */
export const zigTarget = (platform) => `${CPUS[platform.cpu]}-${SYSTEMS[platform.os](platform)}`;
