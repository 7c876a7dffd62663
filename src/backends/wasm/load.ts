/**
 * The builds of the WASM kernels: which one runs here, by trying what each needs, and how its file is loaded.
 *
 * | build                 | needs beside SIMD                      | file                        |
 * | --------------------- | -------------------------------------- | --------------------------- |
 * | relaxed-simd+threads  | fused multiply-add (relaxed SIMD), shared memory | local-entropy.relaxed.wasm |
 * | simd+threads          | shared memory                          | local-entropy.threads.wasm  |
 * | simd                  | nothing                                | local-entropy.simd.wasm     |
 */
import { BackendError } from "../../errors.ts";
import { environment, isNode, nodeModule } from "../../host.ts";
import { wasmFiles } from "../../places.ts";
import type { BackendStatus } from "../backend.ts";

/** The part of WebAssembly's interface in use: its types come with the DOM's, which is no part of this build. */
declare const WebAssembly: {
  validate(code: Uint8Array): boolean;
  compile(code: Uint8Array): Promise<object>;
};

export interface Build {
  /** What `backend.instructionSet` says. */
  readonly name: string;
  readonly threads: boolean;
  /** Asked for when it is used: a bundle of CommonJS knows no place, and must load all the same. */
  readonly file: () => URL;
  readonly runsHere: () => boolean;
}

const BUILDS: readonly Build[] = [
  {
    name: "relaxed-simd+threads",
    threads: true,
    file: wasmFiles.relaxed,
    runsHere: () => hasRelaxedSimd() && hasSharedMemory(),
  },
  {
    name: "simd+threads",
    threads: true,
    file: wasmFiles.threads,
    runsHere: () => hasSimd() && hasSharedMemory(),
  },
  {
    name: "simd",
    threads: false,
    file: wasmFiles.simd,
    runsHere: () => hasSimd(),
  },
];

/** Opcodes of vector instructions and of threads (WebAssembly core specification, its relaxed SIMD and its threads). */
const ZERO_VECTOR = [0x41, 0, 0xfd, 0x0f]; // i32.const 0, i8x16.splat
const FENCE = [0xfe, 0x03, 0]; // atomic.fence
const FUSED = [0xfd, 0x85, 0x02]; // f32x4.relaxed_madd

const hasSimd = () => accepts(ZERO_VECTOR);
const hasRelaxedSimd = () => accepts([...ZERO_VECTOR, ...ZERO_VECTOR, ...ZERO_VECTOR, ...FUSED]);

/** Whether a function () → v128 of these instructions is valid here. */
function accepts(instructions: readonly number[]): boolean {
  const body = [0, ...instructions, 0x0b];
  const module = [
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...[1, 5, 1, 0x60, 0, 1, 0x7b], // type section: () → v128
    ...[3, 2, 1, 0], // function section: one of that type
    ...[10, body.length + 2, 1, body.length, ...body], // code section
  ];
  return typeof WebAssembly === "object" && WebAssembly.validate(Uint8Array.from(module));
}

/**
 * A browser shares memory with its workers only in a page that is isolated from other sites. No memory is made to see it:
 * each takes ten gigabytes of addresses, which under a limit the start would then lack.
 */
function hasSharedMemory(): boolean {
  if ((globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === false) return false;
  return typeof SharedArrayBuffer === "function" && accepts([...FENCE, ...ZERO_VECTOR]);
}

const NOT_THERE =
  "its kernels are not beside its code: run `npm run build`, or where a bundler has moved the code, leave local-entropy " +
  "out of the bundle";

/** Which builds of the WASM backend run here, as far as can be told before one starts. */
export function wasmStatus(): BackendStatus {
  const runnable = BUILDS.filter(({ runsHere }) => runsHere());
  const builds = runnable.filter(({ file }) => exists(file));
  const reason =
    runnable.length === 0
      ? typeof WebAssembly === "object"
        ? "this host runs no WebAssembly with SIMD: use Node 20.19 or newer, or a browser of 2023 or newer"
        : "this host has no WebAssembly: leave out --jitless and what else switches it off"
      : builds.length === 0
        ? NOT_THERE
        : "";
  return { available: builds.length > 0, instructionSets: builds.map(({ name }) => name), reason };
}

/** Whether a file is there; a browser knows when it asks for it. */
function exists(file: () => URL): boolean {
  try {
    const url = file();
    return !isNode || url.protocol !== "file:" || nodeModule("node:fs").existsSync(url);
  } catch {
    return false; // a bundle that knows no place
  }
}

/**
 * The builds to start with, best first: the one of a name, by default that of the environment variable
 * LOCAL_ENTROPY_WASM_BUILD, else all that run here.
 *
 * @throws BackendError for an unknown name and for a build that does not run here
 */
export function chooseBuilds(name: string = environment("LOCAL_ENTROPY_WASM_BUILD") ?? ""): Build[] {
  const { instructionSets, reason } = wasmStatus();
  if (instructionSets.length === 0) throw new BackendError(`The wasm backend cannot be used: ${reason}`);
  if (name !== "" && !instructionSets.includes(name)) {
    throw new BackendError(
      `Expected one of ${instructionSets.join(", ")} for the build of the wasm backend but received "${name}"`,
    );
  }
  const wanted = name === "" ? instructionSets : [name];
  return BUILDS.filter((build) => wanted.includes(build.name));
}

const compiled = new Map<Build, Promise<object>>();

/** Loads and compiles a build's file, once a thread; a failure is tried again. */
export function loadBuild(build: Build): Promise<object> {
  const known = compiled.get(build);
  if (known !== undefined) return known;
  const module = bytesOf(build.file()).then((bytes) => WebAssembly.compile(bytes));
  compiled.set(build, module);
  module.catch(() => compiled.delete(build));
  return module;
}

async function bytesOf(file: URL): Promise<Uint8Array> {
  const bytes =
    isNode && file.protocol === "file:"
      ? await nodeModule("node:fs/promises").readFile(file)
      : await fetched(file);
  if (MAGIC.every((byte, i) => bytes[i] === byte)) return bytes;
  const advice = isNode
    ? "install the package again"
    : "serve the package's folder dist/wasm, and keep bundlers from optimizing local-entropy away from it";
  const what = bytes[0] === "<".charCodeAt(0) ? "a page of HTML" : "something else";
  throw new BackendError(`${file} is ${what} in place of WebAssembly: ${advice}`);
}

/** What a file of WebAssembly begins with. */
const MAGIC = [0, 0x61, 0x73, 0x6d];

async function fetched(file: URL): Promise<Uint8Array> {
  const response = await fetch(file);
  if (!response.ok) throw new BackendError(`${file} could not be fetched: status ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}
