/**
 * The kernels and the workers' script as text, for where their files are not beside the code: many bundlers leave the
 * address of a file as it is, and the file where it was.
 *
 * Here there are none, since beside `src` the files always are; `scripts/bundle.mjs` puts them in this module's place,
 * loaded when they are asked for.
 */

/** Each text is gzip in base64. */
export interface Inlined {
  /** By the name in the file's. */
  readonly kernels: Readonly<Record<"relaxed" | "threads" | "simd", string>>;
  /** One script, without imports. */
  readonly worker: string;
}

export const loadInlined: (() => Promise<Inlined>) | null = null;
