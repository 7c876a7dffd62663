/**
 * What `import … from "local-entropy/formats"` gives: models for other tools, and theirs for here.
 *
 * @module local-entropy/formats
 */
export * from "../../src/formats/index.ts";
