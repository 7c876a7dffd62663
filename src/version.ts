/** As package.json has it. Written by scripts/build.mjs. */
export const VERSION = "0.1.0";
