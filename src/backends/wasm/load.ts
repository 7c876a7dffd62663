/**
 * The builds of the WASM kernels: which one runs here, by trying what each needs, and how its file is loaded.
 *
 * | build                 | needs beside SIMD                      | file                        |
 * | --------------------- | -------------------------------------- | --------------------------- |
 * | relaxed-simd+threads  | fused multiply-add (relaxed SIMD), shared memory | local-entropy.relaxed.wasm |
 * | simd+threads          | shared memory                          | local-entropy.threads.wasm  |
 * | simd                  | nothing                                | local-entropy.simd.wasm     |
 */
import { plainReason } from "../../disk.ts";
import { BackendError } from "../../errors.ts";
import { environment, isNode, nodeModule } from "../../host.ts";
import { wasmFiles } from "../../places.ts";
import type { BackendStatus } from "../backend.ts";
import { loadInlined } from "./inlined.ts";

/** The part of WebAssembly's interface in use: its types come with the DOM's, which is no part of this build. */
declare const WebAssembly: {
  validate(code: Uint8Array): boolean;
  compile(code: Uint8Array): Promise<object>;
};

export interface Build {
  /** What `backend.instructionSet` says. */
  readonly name: string;
  readonly threads: boolean;
  readonly bytes: () => Promise<Uint8Array>;
  /** The workers' script, where it is not the one in its file. */
  readonly script?: string;
}

/** What a build is before it is known where its bytes come from. */
interface Kind {
  readonly name: string;
  readonly threads: boolean;
  /** In its file's name. */
  readonly key: keyof typeof wasmFiles;
  readonly runsHere: () => boolean;
}

const KINDS: readonly Kind[] = [
  {
    name: "relaxed-simd+threads",
    threads: true,
    key: "relaxed",
    runsHere: () => hasRelaxedSimd() && hasSharedMemory(),
  },
  {
    name: "simd+threads",
    threads: true,
    key: "threads",
    runsHere: () => hasSimd() && hasSharedMemory(),
  },
  {
    name: "simd",
    threads: false,
    key: "simd",
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
  const runnable = KINDS.filter(({ runsHere }) => runsHere());
  const kinds = loadInlined === null ? runnable.filter(exists) : runnable;
  const reason =
    runnable.length === 0
      ? typeof WebAssembly === "object"
        ? "this host runs no WebAssembly with SIMD: use Node 20.19 or newer, or a browser of 2023 or newer"
        : "this host has no WebAssembly: leave out --jitless and what else switches it off"
      : kinds.length === 0
        ? NOT_THERE
        : "";
  return { available: kinds.length > 0, instructionSets: kinds.map(({ name }) => name), reason };
}

/** Whether a build's file is there; a browser knows when it asks for it. */
function exists({ key }: Kind): boolean {
  try {
    const url = wasmFiles[key]();
    return !isNode || url.protocol !== "file:" || nodeModule("node:fs").existsSync(url);
  } catch {
    return false; // a bundle that knows no place
  }
}

/** A build that runs here, from where it can be had. */
export interface Choice {
  readonly name: string;
  readonly threads: boolean;
  /** In its file; null where that is not there. */
  readonly file: Build | null;
  /** From the text in the code, for when the file or the workers' script does not load; null where it has none. */
  readonly inCode: () => Promise<Build | null>;
}

/**
 * The builds to start with, best first: the one of a name, by default that of the environment variable
 * LOCAL_ENTROPY_WASM_BUILD, else all that run here.
 *
 * @throws BackendError for an unknown name and for a build that does not run here
 */
export function chooseBuilds(name: string = environment("LOCAL_ENTROPY_WASM_BUILD") ?? ""): Choice[] {
  const { instructionSets, reason } = wasmStatus();
  if (instructionSets.length === 0) throw new BackendError(`The wasm backend cannot be used: ${reason}`);
  if (name !== "" && !instructionSets.includes(name)) {
    throw new BackendError(
      `Expected one of ${instructionSets.join(", ")} for the build of the wasm backend but received "${name}"`,
    );
  }
  const wanted = name === "" ? instructionSets : [name];
  return KINDS.filter((kind) => wanted.includes(kind.name)).map((kind) => ({
    name: kind.name,
    threads: kind.threads,
    file: exists(kind) ? FILES.get(kind)! : null,
    inCode: () => buildInCode(kind),
  }));
}

/** One of each kind, since what was compiled of it is kept. */
const FILES: ReadonlyMap<Kind, Build> = new Map(
  KINDS.map((kind) => {
    const { name, threads, key } = kind;
    return [kind, { name, threads, bytes: async () => bytesOf(wasmFiles[key]()) }];
  }),
);
const IN_CODE = new Map<Kind, Build>();

async function buildInCode(kind: Kind): Promise<Build | null> {
  if (loadInlined === null) return null;
  const known = IN_CODE.get(kind);
  if (known !== undefined) return known;
  const { kernels, worker } = await loadInlined();
  const script = new TextDecoder().decode(await unpacked(worker));
  const { name, threads, key } = kind;
  const build = { name, threads, bytes: () => unpacked(kernels[key]), script };
  IN_CODE.set(kind, build);
  return build;
}

const compiled = new WeakMap<Build, Promise<object>>();

/** Loads and compiles a build, its file once a thread; a failure is tried again. */
export function loadBuild(build: Build): Promise<object> {
  const known = compiled.get(build);
  if (known !== undefined) return known;
  const module = build.bytes().then((bytes) => WebAssembly.compile(bytes));
  compiled.set(build, module);
  module.catch(() => compiled.delete(build));
  return module;
}

/** A file is not there, or something else is in its place. */
export class NotThere extends BackendError {}

async function bytesOf(file: URL): Promise<Uint8Array> {
  const bytes = await (isNode && file.protocol === "file:" ? read(file) : fetched(file));
  if (MAGIC.every((byte, i) => bytes[i] === byte)) return bytes;
  const advice = isNode
    ? "install the package again"
    : "serve the package's folder dist/wasm, and keep bundlers from optimizing local-entropy away from it";
  const what = bytes[0] === "<".charCodeAt(0) ? "a page of HTML" : "something else";
  throw new NotThere(`${file} is ${what} in place of WebAssembly: ${advice}`);
}

/** What a file of WebAssembly begins with. */
const MAGIC = [0, 0x61, 0x73, 0x6d];

async function read(file: URL): Promise<Uint8Array> {
  try {
    return await nodeModule("node:fs/promises").readFile(file);
  } catch (cause) {
    throw new NotThere(`${file} could not be read: ${plainReason(cause, "reading")}`, { cause });
  }
}

async function fetched(file: URL): Promise<Uint8Array> {
  let why: string;
  try {
    const response = await fetch(file);
    if (response.ok) return new Uint8Array(await response.arrayBuffer());
    why = `status ${response.status}`;
  } catch (cause) {
    why = (cause as Error).message;
  }
  throw new NotThere(`${file} could not be fetched: ${why}`);
}

/** The bytes of a text of `inlined.ts`. */
async function unpacked(text: string): Promise<Uint8Array> {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  if (isNode) return nodeModule("node:zlib").gunzipSync(packed);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
