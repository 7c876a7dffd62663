/**
 * Mutation testing: changes one constant of `mutations.mjs` at a time, in a copy of the tree, and fails if the
 * tests named with it stay green. `npm run mutate`, `npm run mutate -- --only TEXT` (in a file's name or a reason).
 *
 * The tree itself is never touched. Tests that fail without a mutation, and a mutant that does not compile, prove
 * nothing: both are errors.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { mutations } from "./mutations.mjs";
import { native } from "./mutations-native.mjs";
import { walsh } from "./mutations-walsh.mjs";
import { wasm } from "./mutations-wasm.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const { values } = parseArgs({ options: { only: { type: "string" } } });
const chosen = [...mutations, ...native, ...walsh, ...wasm].filter(({ file, why }) =>
  `${file} ${why}`.includes(values.only ?? ""),
);
if (chosen.length === 0) {
  console.error(`Expected part of a mutation's file or reason for --only but received ${values.only}`);
  process.exit(2);
}

const copy = mkdtempSync(join(tmpdir(), "mutants-"));
process.on("exit", () => rmSync(copy, { recursive: true, force: true }));
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(130));
const TREE = ["src", "native", "assembly", "scripts", "test", "package.json", "jest.config.js"];
const OPTIONAL = ["tsconfig.json", "tsconfig.test.json", "binding.gyp", "CMakeLists.txt"];
for (const name of [...TREE, ...OPTIONAL]) {
  try {
    cpSync(join(root, name), join(copy, name), { recursive: true });
  } catch (error) {
    if (TREE.includes(name) || error.code !== "ENOENT") throw error;
  }
}
symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));

/** Runs node in the copy; its output is kept for the case that it is wanted. */
function node(...args) {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: copy,
    encoding: "utf8",
    maxBuffer: 2 ** 28,
    timeout: 900_000,
  });
  if (signal === "SIGINT") process.exit(130);
  return { ok: status === 0, output: `${stdout}${stderr}` };
}

/** A file's top folder: what is built as one. */
const partOf = (file) => file.split("/")[0];

/** What a changed part needs before tests see it; jest compiles TypeScript by itself. */
function rebuild(part) {
  const compiled = part === "native" || part === "assembly";
  return compiled ? node("scripts/build.mjs") : { ok: true, output: "" };
}

const tested = (tests) =>
  node(
    "--experimental-vm-modules",
    "--no-warnings",
    "node_modules/jest/bin/jest.js",
    "--bail",
    "--silent",
    ...tests.map((stem) => `/${stem}\\.test\\.ts$`),
  );

/** "killed", or what is wrong. */
function outcome({ file, from, to, tests }) {
  const path = join(copy, file);
  const text = readFileSync(path, "utf8");
  if (text.split(from).length !== 2) return `stale: "${from}" stands ${text.split(from).length - 1} times`;
  writeFileSync(
    path,
    text.replace(from, () => to),
  );
  try {
    const built = rebuild(partOf(file));
    if (!built.ok) return `does not compile: ${built.output.trim().slice(-300)}`;
    const { ok, output } = tested(tests);
    if (ok) return "SURVIVED";
    // Jest could not even start, or a file could not be loaded: no test has judged the mutant.
    return /Test suite failed to run|No tests found/.test(output)
      ? `not judged: ${output.slice(-300)}`
      : "killed";
  } finally {
    writeFileSync(path, text);
  }
}

console.log(`Building a copy in ${copy}`);
const built = node("scripts/build.mjs");
if (!built.ok) {
  console.error(built.output);
  process.exit(1);
}
const stems = [...new Set(chosen.flatMap(({ tests }) => tests))];
const red = stems.filter((stem) => !tested([stem]).ok);
if (red.length > 0)
  console.error(`Failing without any mutation, so their mutants are skipped: ${red.join(", ")}`);

let wrong = red.length;
let last = "";
for (const mutation of chosen) {
  const start = performance.now();
  // What the mutation before left built must not judge this one; within a part, this one's build replaces it.
  if (last !== partOf(mutation.file)) rebuild(last);
  last = partOf(mutation.file);
  const result = mutation.tests.some((stem) => red.includes(stem)) ? "skipped" : outcome(mutation);
  if (result !== "killed") wrong++;
  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  console.log(`${result.padEnd(9)} ${seconds.padStart(4)} s  ${mutation.file}: ${mutation.why}`);
}
console.log(`\n${chosen.length} mutants, ${wrong === 0 ? "all killed" : `${wrong} problems`}`);
process.exitCode = wrong === 0 ? 0 : 1;
