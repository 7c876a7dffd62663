/**
 * The published declarations in projects of users: without the DOM's types and Node's, and with them, under each way of
 * resolving modules, strict and not, every declaration checked (`skipLibCheck: false`).
 */
import { execFile, execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { testAll } from "../support/everything.ts";
import { patience } from "../support/patience.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");
const folder = mkdtempSync(join(tmpdir(), "local-entropy-declarations-"));

const PROGRAM = `
import {
  cosine, type Data, DivergedError, load, loadMnist, minimize, noiseLayout, OptionError, openBackend, paper,
  parameterCount, philox4x32, type Run, type Schedule, subset, train, type TrainOptions,
} from "local-entropy";
import { type ReportData, renderReport, writeReport } from "local-entropy/report";
import { decode, encode, type Encoding, table } from "local-entropy/table";

const network = { layers: [6, 8, 3], activation: "relu" } as const;
const split = { inputs: new Float32Array(384), labels: new Uint8Array(64), count: 64, width: 6, classes: 3 };
const data: Data = { train: split };
const rate: Schedule = cosine(1e-3, 0);
const options: TrainOptions = { network, data, updates: 10, optimizer: { kind: "adam", rate } };
const run: Run = train(options);
for await (const { update, loss, testAccuracy } of run) update + loss + (testAccuracy ?? 0);
const { parameters, backend, save } = await run.result;
await save("runs/first");
const { resume } = await load("runs/first");
train({ ...options, ...paper.sgld(), resume });
const batch = { inputs: split.inputs, labels: split.labels };
const opened = await openBackend("auto", { threads: backend.threads });
const { gradient } = await opened.importanceSampling({ network, parameters, batch, tau: 0.01 });
gradient[0]?.toFixed();
opened[Symbol.dispose]();
const least = minimize({ loss: { dimension: 1, value: (x) => Number(x[0]) ** 2 }, start: [2], updates: 3 });
(await least.result).parameters.length + subset((await loadMnist()).test, 5).count;
philox4x32([0, 0, 0, 0], [0, 0])[0] + parameterCount(network) + noiseLayout(network).streams.length;
const report: string = await writeReport("runs/first");
const page: (data: ReportData) => string = renderReport;
const wrong: Error = new OptionError(report + page.name);
if (wrong instanceof DivergedError) wrong.message;
const flowers = await table([{ size: 1, kind: "a" }, { size: 2, kind: "b" }], { label: "kind", test: 0 });
train({ ...options, data: flowers });
const encoding: Encoding = (await load("runs/first")).encoding ?? flowers.encoding;
decode((await encode("flowers.csv", encoding)).labels ?? [], encoding).length;
`;
/** What only a project with the DOM's types, or Node's, can write. */
const ABORTED = "train({ ...options, signal: new AbortController().signal });\n";

const PROJECTS: [name: string, program: string, options: object][] = [
  ["nodenext, strict, lib ES2022 alone", PROGRAM, { module: "nodenext", strict: true }],
  [
    "bundler, not strict, lib ES2022 alone",
    PROGRAM,
    { module: "esnext", moduleResolution: "bundler", strict: false, strictNullChecks: true },
  ],
  [
    "nodenext, with the DOM's types and Node's",
    PROGRAM + ABORTED,
    {
      module: "nodenext",
      strict: false,
      exactOptionalPropertyTypes: false,
      lib: ["es2022", "dom"],
      types: ["node"],
    },
  ],
];

beforeAll(() => {
  const installed = join(folder, "node_modules", "local-entropy");
  const packed = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  for (const { path } of JSON.parse(packed)[0].files) {
    if (!/\.d\.ts$|^package\.json$/.test(path)) continue;
    mkdirSync(dirname(join(installed, path)), { recursive: true });
    cpSync(join(root, path), join(installed, path));
  }
  mkdirSync(join(folder, "node_modules", "@types"));
  for (const name of ["@types/node", "undici-types"]) {
    symlinkSync(join(root, "node_modules", name), join(folder, "node_modules", name));
  }
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
});
afterAll(() => rmSync(folder, { recursive: true }));

PROJECTS.forEach(([name, program, options], i) => {
  (i === 0 ? test : testAll)(name, async () => {
    const [config, file] = ["json", "ts"].map((ending) =>
      join(folder, `${name.replaceAll(" ", "-")}.${ending}`),
    );
    writeFileSync(file, program);
    const common = { noEmit: true, target: "es2022", lib: ["es2022"], types: [], skipLibCheck: false };
    const compilerOptions = { ...common, exactOptionalPropertyTypes: true, ...options };
    writeFileSync(config, JSON.stringify({ compilerOptions, files: [file] }));
    const told = await new Promise<string>((resolve) => {
      execFile(process.execPath, [tsc, "-p", config], { timeout: patience(30_000) }, (_, stdout) =>
        resolve(stdout),
      );
    });
    expect(told).toBe("");
  });
});

test("they name no other package, and only each other", () => {
  const seen = new Set<string>();
  const foreign: string[] = [];
  const follow = (path: string) => {
    if (seen.has(path)) return;
    seen.add(path);
    const text = readFileSync(path, "utf8");
    for (const [, name] of text.matchAll(/\b(?:from |import\(|types=)["']([^"']+)["']/g)) {
      if (name.startsWith(".")) follow(join(dirname(path), name.replace(/\.js$/, ".d.ts")));
      else foreign.push(name);
    }
  };
  for (const name of ["index", "formats/index", "runs/report"]) follow(join(root, "dist", `${name}.d.ts`));
  expect(seen.size).toBeGreaterThan(10);
  expect(foreign).toEqual([]);
});
