/**
 * What `import … from "local-entropy/table"` gives: tables as the data of a run, from CSV or rows in memory.
 *
 * @module local-entropy/table
 */
export * from "../../src/table/table.ts";
