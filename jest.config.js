import { availableParallelism } from "node:os";

export default {
  extensionsToTreatAsEsm: [".ts"],
  transform: { "\\.ts$": ["@swc/jest", { jsc: { target: "es2022", parser: { syntax: "typescript" } } }] },
  testMatch: ["<rootDir>/test/**/*.test.ts"],
  testEnvironment: "node",
  setupFilesAfterEnv: ["<rootDir>/test/support/setup.ts"],
  maxWorkers: Math.max(2, availableParallelism() - 1), // jest's own choice on two cores is one
};
