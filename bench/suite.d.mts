/** What the command takes of bench/suite.mjs, which is plain JavaScript, since it measures what is compiled. */
export const STEMS: readonly string[];
/** What is computed on. */
export const dataName: string;
/** The backends that do not run here, and why. */
export function missing(): { readonly name: string; readonly reason: string }[];
export function machine(): object;
export function runSuite(options: { quick: boolean; only?: readonly string[] }): Promise<object[]>;
