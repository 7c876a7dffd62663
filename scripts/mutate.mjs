/**
 * Mutation testing: changes one constant of `mutations.mjs` at a time, in a copy of the tree, and fails if the
 * tests named with it stay green, as `npm test` runs them. `npm run mutate`, `npm run mutate -- --only TEXT` (in a
 * file's name or a reason).
 *
 * The tree itself is built, as by `npm run build`, and never changed. Tests that fail without a mutation, and a mutant
 * that does not compile, prove nothing: both are errors.
 */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
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

/**
 * What a mutant of each top folder needs: what builds it before tests see it (jest compiles TypeScript by itself) and
 * the backend that its tests run on, where one shows the fault as well as all. A part's mutants follow each other, so
 * that each build replaces the last one's; what is built of the later parts is then still the tree's own.
 */
const INSTRUCTION_SET = process.arch === "arm64" ? "neon" : "avx2";
const backend = `native ${INSTRUCTION_SET}`;
const PARTS = {
  src: {}, // all of them: the reference is one, and some tests hold each backend to numbers of their own
  assembly: { build: ["--only", "wasm:simd", "--only", "wasm:threads"] },
  native: { build: ["--only", `native:${INSTRUCTION_SET}`], backend },
};
const ORDER = Object.keys(PARTS);
const partOf = ({ file }) => file.split("/")[0];

const chosen = [...mutations, ...native, ...walsh, ...wasm]
  .filter(({ file, why }) => `${file} ${why}`.includes(values.only ?? ""))
  .sort((a, b) => ORDER.indexOf(partOf(a)) - ORDER.indexOf(partOf(b)));
if (chosen.length === 0) {
  console.error(`Expected part of a mutation's file or reason for --only but received ${values.only}`);
  process.exit(2);
}

const environment = { ...process.env };
delete environment.LOCAL_ENTROPY_TESTS;

/** Runs node in a folder; its output is kept for the case that it is wanted. */
function node(cwd, args, env = {}) {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd,
    encoding: "utf8",
    env: { ...environment, ...env },
    maxBuffer: 2 ** 28,
    timeout: 1_800_000,
  });
  if (signal === "SIGINT") process.exit(130);
  return { ok: status === 0, output: `${stdout}${stderr}` };
}

const built = node(root, ["scripts/build.mjs"]);
if (!built.ok) {
  console.error(built.output);
  process.exit(1);
}
const copy = mkdtempSync(join(tmpdir(), "mutants-"));
process.on("exit", () => rmSync(copy, { recursive: true, force: true }));
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(130));
const TREE = ["src", "native", "assembly", "scripts", "test", "package.json", "jest.config.js"];
const OPTIONAL = ["dist", "lib", "build/Release", "tsconfig.json", "tsconfig.test.json", "binding.gyp"];
for (const name of [...TREE, ...OPTIONAL.filter((path) => existsSync(join(root, path)))]) {
  cpSync(join(root, name), join(copy, name), { recursive: true, preserveTimestamps: true });
}
symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));

/** Builds a part; nothing to do for one that jest compiles. */
function build(part) {
  const flags = PARTS[part].build;
  return flags ? node(copy, ["scripts/build.mjs", ...flags]) : { ok: true, output: "" };
}

/** Runs test files by their stems. */
function tested(part, stems) {
  const jest = ["--experimental-vm-modules", "--no-warnings", "node_modules/jest/bin/jest.js"];
  const patterns = stems.map((stem) => `/${stem}\\.test\\.ts$`);
  const env = PARTS[part].backend ? { LOCAL_ENTROPY_TEST_BACKEND: PARTS[part].backend } : {};
  return node(copy, [...jest, "--bail", "--silent", ...patterns], env);
}

/** "killed", or what is wrong. */
function outcome({ file, from, to, tests }) {
  const path = join(copy, file);
  if (!existsSync(path)) return "stale: there is no such file";
  const text = readFileSync(path, "utf8");
  if (text.split(from).length !== 2) return `stale: "${from}" stands ${text.split(from).length - 1} times`;
  writeFileSync(
    path,
    text.replace(from, () => to),
  );
  try {
    const mutant = build(partOf({ file }));
    if (!mutant.ok) return `does not compile: ${mutant.output.trim().slice(-300)}`;
    const { ok, output } = tested(partOf({ file }), tests);
    if (ok) return "SURVIVED";
    // Jest could not even start, or a file could not be loaded: no test has judged the mutant.
    return /Test suite failed to run|No tests found/.test(output)
      ? `not judged: ${output.slice(-300)}`
      : "killed";
  } finally {
    writeFileSync(path, text);
  }
}

let wrong = 0;
for (const part of ORDER) {
  const mutants = chosen.filter((mutation) => partOf(mutation) === part);
  if (mutants.length === 0) continue;
  console.log(`${part}: its tests without a mutation`);
  const unchanged = build(part);
  if (!unchanged.ok) {
    console.error(unchanged.output);
    process.exit(1);
  }
  const stems = [...new Set(mutants.flatMap(({ tests }) => tests))];
  const red = stems.filter((stem) => {
    const { ok, output } = tested(part, [stem]);
    if (!ok) console.error(output.slice(-2000));
    return !ok;
  });
  wrong += red.length;
  if (red.length > 0)
    console.error(`Failing without any mutation, so their mutants are skipped: ${red.join(", ")}`);
  for (const mutation of mutants) {
    const start = performance.now();
    const result = mutation.tests.some((stem) => red.includes(stem)) ? "skipped" : outcome(mutation);
    if (result !== "killed") wrong++;
    const seconds = ((performance.now() - start) / 1000).toFixed(0);
    console.log(`${result.padEnd(9)} ${seconds.padStart(4)} s  ${mutation.file}: ${mutation.why}`);
  }
}
console.log(`\n${chosen.length} mutants, ${wrong === 0 ? "all killed" : `${wrong} problems`}`);
process.exitCode = wrong === 0 ? 0 : 1;
