/**
 * The guides against the package: their TypeScript compiles against the sources and runs, their commands have the options
 * that they name, their pages' links lead somewhere.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import ts from "typescript";
// @ts-expect-error: a script without types
import { blocksOf } from "../../scripts/docs/blocks.mjs";
import { chromium, withPage } from "../support/chromium.ts";
import { testAll } from "../support/everything.ts";

interface Block {
  readonly language: string;
  readonly marks: readonly string[];
  readonly code: string;
  readonly line: number;
  readonly prints: string | null;
}

const root = fileURLToPath(new URL("../..", import.meta.url));
const guides = ["README.md", ...readdirSync(join(root, "docs/guides")).map((name) => `docs/guides/${name}`)];
const blocks = guides.flatMap((guide) => {
  const found: Block[] = blocksOf(readFileSync(join(root, guide), "utf8"));
  return found.map((block) => ({ ...block, guide, name: `${basename(guide, ".md")}-${block.line}` }));
});
const programs = blocks.filter(({ language }) => language === "ts");

// Within the package, so that `local-entropy` is this one.
mkdirSync(join(root, "build"), { recursive: true });
const folder = mkdtempSync(join(root, "build", "guides-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Updates of a run on MNIST: enough to come through. */
const FEW = 12;
const shortened = ({ code, marks }: Block) =>
  marks.includes("mnist") ? code.replace(/\bupdates: [\d_]+/g, `updates: ${FEW}`) : code;

beforeAll(() => {
  for (const block of programs) writeFileSync(join(folder, `${block.name}.ts`), shortened(block));
});

test("there are programs in every guide but the lists", () => {
  const without = guides.filter((guide) => !programs.some((block) => block.guide === guide));
  expect(without).toEqual(["docs/guides/errors.md"]);
  expect(programs.filter(({ marks }) => !marks.includes("check")).length).toBeGreaterThan(20);
});

test("every program compiles against the sources", () => {
  const files = programs.map(({ name }) => join(folder, `${name}.ts`));
  const program = ts.createProgram(files, {
    strict: true,
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    moduleDetection: ts.ModuleDetectionKind.Force,
    lib: ["lib.es2023.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts", "lib.esnext.disposable.d.ts"],
    types: ["node"],
    skipLibCheck: true,
    noEmit: true,
    allowImportingTsExtensions: true,
    paths: {
      "local-entropy": [join(root, "src/index.ts")],
      "local-entropy/formats": [join(root, "src/formats/index.ts")],
      "local-entropy/report": [join(root, "src/runs/report.ts")],
      "local-entropy/table": [join(root, "src/table/table.ts")],
    },
  });
  const faults = files.flatMap((file) => {
    const source = program.getSourceFile(file)!;
    return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map(
      ({ messageText, start }) => {
        const line = source.getLineAndCharacterOfPosition(start!).line + 1;
        return `${basename(file)}:${line} ${ts.flattenDiagnosticMessageText(messageText, "\n")}`;
      },
    );
  });
  expect(faults).toEqual([]);
});

/** Runs a guide's programs one after the other in a process, in a folder of their own; what each printed. */
async function outputs(some: readonly (typeof programs)[number][]): Promise<string[]> {
  const names = some.map((block) => {
    const { outputText } = ts.transpileModule(shortened(block), {
      compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
    });
    const path = join(folder, `${block.name}.mjs`);
    writeFileSync(path, outputText);
    return path;
  });
  const place = mkdtempSync(join(folder, "place-"));
  cpSync(join(root, "examples/iris.csv"), join(place, "iris.csv"));
  const script = `for (const path of ${JSON.stringify(names)}) { await import(path); console.log("\\u0001"); }`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    cwd: place,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  let told = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    printed += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text) => {
    told += text;
  });
  const [status] = await once(child, "close");
  const parts = printed.split("\u0001");
  if (status !== 0) throw new Error(`${some[parts.length - 1]?.name} ended with status ${status}: ${told}`);
  return parts;
}

const run = programs.filter(({ marks }) => !marks.includes("check"));
for (const guide of guides.filter((guide) => run.some((block) => block.guide === guide))) {
  const kept = ["README", "get-started"].some((name) => guide.includes(name)) ? test : testAll;
  kept(`the programs of ${guide} run, and print what stands below them`, async () => {
    const some = run.filter((block) => block.guide === guide);
    const printed = await outputs(some);
    some.forEach(({ name, prints }, i) => {
      if (prints !== null) expect(`${name}: ${printed[i]}`).toContain(prints.trim());
    });
  });
}

test("commands have the options that the guides name", () => {
  const main = join(root, "dist/cli/main.js");
  const help = (command: string) =>
    spawnSync(process.execPath, [main, command, "--help"], { encoding: "utf8" }).stdout;
  const known = new Map<string, string>();
  const wrong: string[] = [];
  for (const { guide, code } of blocks.filter(({ language }) => language === "sh")) {
    for (const [line, command] of code.matchAll(/npx local-entropy (\w+)[^\n#]*/g)) {
      const text = known.get(command) ?? help(command);
      known.set(command, text);
      for (const [flag] of line.matchAll(/--[\w-]+/g)) {
        if (!new RegExp(`${flag}(?![\\w-])`).test(text)) wrong.push(`${guide}: ${command} ${flag}`);
      }
    }
  }
  expect(wrong).toEqual([]);
  expect(known.size).toBeGreaterThan(2);
});

test("scripts that the guides name are there", () => {
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const named = guides.flatMap((guide) =>
    [...readFileSync(join(root, guide), "utf8").matchAll(/npm run ([\w:]+)/g)].map(([, name]) => name),
  );
  expect(named.filter((name) => !(name in scripts))).toEqual([]);
});

test("every link of the site's pages leads to a page and a part that are there", () => {
  const { status, stderr } = spawnSync(process.execPath, [join(root, "scripts/docs.mjs"), "--check"], {
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  expect(status).toBe(0);
});

testAll("the whole site is made without a complaint, and fits a narrow window", async () => {
  const { status, stderr } = spawnSync(process.execPath, [join(root, "scripts/docs.mjs")], {
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  expect(status).toBe(0);
  if (chromium === null) return;
  const address = (path: string) => pathToFileURL(join(root, "build/site", path)).href;
  for (const path of ["index.html", "guides/method.html", "guides/choosing.html", "performance.html"]) {
    const fits = "document.documentElement.scrollWidth <= innerWidth";
    const seen = await withPage(
      address(path),
      async ({ evaluate, complaints }) => [path, await evaluate(fits), [...complaints]],
      { size: "500,900" },
    );
    expect(seen).toEqual([path, true, []]);
  }
  const found = await withPage(address("errors.html"), ({ evaluate }) =>
    evaluate(`
      message.value = "OptionError: Expected an integer 1 … 2 for train.batchSize but received 64; the training data has 2 rows";
      message.dispatchEvent(new Event("input"));
      document.querySelector(".errors li.best").textContent;
    `),
  );
  expect(found).toContain("the training data has");
});
