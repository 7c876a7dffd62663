/**
 * What `import … from "local-entropy/report"` gives: the report of a run, one HTML file that needs nothing else.
 *
 * @module local-entropy/report
 */
export type { RunFile } from "../../src/runs/folder.ts";
export * from "../../src/runs/report.ts";
