/**
 * The packages with an addon that a release has beside `local-entropy` itself, one a platform: what the loader may look
 * for and advise, what the release builds, and what npm chooses by.
 */

/** A package for one platform; npm's fields `os`, `cpu` and `libc` choose it. */
export interface Platform {
  readonly os: "linux" | "darwin" | "win32";
  readonly cpu: "x64" | "arm64";
  /** On Linux; builds for one C library do not load with the other. */
  readonly libc?: "glibc" | "musl";
}

/** By the name that comes after the scope. */
export const PLATFORMS: Readonly<Record<string, Platform>> = {
  "linux-x64": { os: "linux", cpu: "x64", libc: "glibc" },
  "linux-arm64": { os: "linux", cpu: "arm64", libc: "glibc" },
  "linux-x64-musl": { os: "linux", cpu: "x64", libc: "musl" },
  "linux-arm64-musl": { os: "linux", cpu: "arm64", libc: "musl" },
  "darwin-x64": { os: "darwin", cpu: "x64" },
  "darwin-arm64": { os: "darwin", cpu: "arm64" },
  "win32-x64": { os: "win32", cpu: "x64" },
};

/** Of these platforms there is also a package with the CUDA engine, installed by who wants it. */
export const CUDA_PLATFORMS: readonly string[] = ["linux-x64"];

/** `@local-entropy/linux-x64`, and `@local-entropy/linux-x64-cuda` for the CUDA engine. */
export const packageOf = (platform: string, engine: "native" | "cuda" = "native"): string =>
  `@local-entropy/${platform}${engine === "cuda" ? "-cuda" : ""}`;
