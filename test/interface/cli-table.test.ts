/**
 * The command on a CSV file, as its users run it: child processes of the built `dist/cli/main.js`.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, expect, test } from "@jest/globals";
import { patience } from "../support/patience.ts";

const root = resolve(import.meta.dirname, "..", "..");
const directory = mkdtempSync(join(tmpdir(), "cli-table-"));
afterAll(() => rmSync(directory, { recursive: true }));

const iris = readFileSync(join(root, "examples/iris.csv"), "utf8").trim().split("\n");
const numbered = iris.map((line, i) => (i === 0 ? `id,${line}` : `${i},${line}`));
writeFileSync(join(directory, "iris.csv"), numbered.join("\n"));
writeFileSync(
  join(directory, "gap.csv"),
  numbered.map((line, i) => (i === 8 ? line.replace(/\d\.\d/, "") : line)).join("\n"),
);

function command(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(root, "dist/cli/main.js"), "train", ...args],
    {
      cwd: directory,
      encoding: "utf8",
      timeout: patience(60_000),
    },
  );
  return { status, stdout, stderr };
}

test("trains on a CSV file, and goes on with the run from anywhere", () => {
  const few = ["--updates", "300", "--rate", "0.01", "--backend", "reference", "--no-report", "--json"];
  const ran = command("--data", "iris.csv", "--label", "species", "--ignore", "id", "--run", "first", ...few);
  expect(ran.stderr).toContain("Training into first");
  expect(ran.status).toBe(0);
  const told = JSON.parse(ran.stdout);
  expect(told).toMatchObject({ updates: 300, completed: true, validationAccuracy: null });
  expect(told.testAccuracy).toBeGreaterThan(0.85);
  const run = JSON.parse(readFileSync(join(directory, "first", "run.json"), "utf8"));
  expect(run.command).toMatchObject({ data: join(directory, "iris.csv"), label: "species", ignore: "id" });
  expect(run.options.network.layers).toEqual([4, 32, 3]);
  expect(run.confusion.flat().reduce((sum: number, n: number) => sum + n)).toBe(30);
  const checkpoint = readFileSync(join(directory, "first", "checkpoint.safetensors"), "latin1");
  expect(checkpoint).toContain("local-entropy-table-1");
});

test.each([
  ["a gap", ["--data", "gap.csv", "--label", "species"], "line 9 of", "--missing fill"],
  [
    "a label that is none",
    ["--data", "iris.csv", "--label", "spices"],
    "for --label but",
    'did you mean "species"?',
  ],
  ["no file", ["--label", "species"], "Expected a CSV file for --data", ""],
  [
    "a column that is none",
    ["--data", "iris.csv", "--label", "species", "--ignore", "ids"],
    "for --ignore but",
    "",
  ],
  ["a policy", ["--data", "iris.csv", "--label", "species", "--missing", "guess"], "for --missing but", ""],
  [
    "a flag of images",
    ["--data", "iris.csv", "--label", "species", "--train-size", "9"],
    "--train-size has no effect with --label",
    "",
  ],
  ["a flag of tables", ["--ignore", "id"], "--ignore has no effect with no --label", ""],
])("%s is told in flags", (_name, args, what, advice) => {
  const { status, stderr } = command(...args);
  expect(stderr).toContain(what);
  expect(stderr).toContain(advice);
  expect(status).toBeGreaterThan(0);
});
