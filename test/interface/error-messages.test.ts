/**
 * The page of all error messages: whoever pastes a message into its field finds the sentence. Messages are taken from where
 * they come up: calls that go wrong here, and what the other tests expect to be told.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "@jest/globals";
import ts from "typescript";
// @ts-expect-error: a script without types
import { HINTS } from "../../scripts/docs/error-hints.mjs";
// @ts-expect-error: a script without types
import * as sentences from "../../scripts/docs/sentences.mjs";
import { load, loadMnist, minimize, openBackend, train } from "../../src/index.ts";

interface Sentence {
  readonly kind: string | null;
  readonly parts: readonly object[];
  readonly file: string;
  readonly places: readonly string[];
}

const root = fileURLToPath(new URL("../..", import.meta.url));
process.chdir(root); // the sources are read from here
const all: Sentence[] = sentences.allSentences();
const patterns = all.map((one) => ({
  ...one,
  words: sentences.fixedWords(one.parts) as number,
  pattern: new RegExp(sentences.patternOf(one.parts)),
}));

/** As the page finds it: the sentences that are in a message, by the words that stand fixed in them. */
function found(message: string) {
  return patterns
    .filter(({ words, pattern }) => words > 2 && pattern.test(message))
    .sort((a, b) => b.words - a.words);
}

/** `Expected … for … but received …`, whatever stands in it. */
const BARE = 4;

const rows = { inputs: new Uint8Array(64), labels: new Uint8Array(32), count: 32, width: 2, classes: 2 };
const options = { network: [2, 2], data: { train: rows }, updates: 1 };

/** Calls that go wrong, each with where its sentence stands. */
const wrong: [what: string, file: string, call: () => unknown][] = [
  ["a misspelt option", "src/options/values.ts", () => train({ ...options, batchsize: 3 } as never)],
  ["too large a minibatch", "src/options/train.ts", () => train({ ...options, batchSize: 64 })],
  ["no rate", "src/options/objective.ts", () => train({ ...options, objective: { kind: "loss" } })],
  [
    "a step that a chain cannot take",
    "src/options/network.ts",
    () =>
      train({
        ...options,
        network: { layers: [2, 2, 2], activation: "step" },
        objective: {
          kind: "heat",
          estimator: { kind: "robbins-monro", samples: 2, steps: 2, stepSize: 0.1 },
        },
      }),
  ],
  [
    "τ that float32 loses",
    "src/options/precision.ts",
    () => train({ ...options, objective: { kind: "local-entropy", tau: 1e-30 } }),
  ],
  [
    "another run's checkpoint",
    "src/options/train.ts",
    () =>
      train({
        ...options,
        resume: {
          ...{
            update: 0,
            fingerprint: "x",
            parameters: new Float32Array(6),
            moments: [new Float32Array(6), new Float32Array(6)],
          },
          ...{
            chain: null,
            average: null,
            pending: [],
            backend: "native",
            instructionSet: "avx2",
            seconds: 0,
          },
        },
      }).result,
  ],
  ["no checkpoint", "src/runs/checkpoint.ts", () => load(join(tmpdir(), "nothing-there"))],
  ["no data", "src/data/mnist.ts", () => loadMnist({ directory: join(tmpdir(), "nothing-there") })],
  [
    "a damaged checkpoint",
    "src/runs/checkpoint.ts",
    async () => {
      const folder = mkdtempSync(join(tmpdir(), "local-entropy-"));
      try {
        writeFileSync(join(folder, "checkpoint.safetensors"), "no checkpoint at all");
        await load(folder);
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  ],
  [
    "a closed backend",
    "src/backends/reference.ts",
    async () => {
      const backend = await openBackend("reference");
      backend.close();
      await backend.gaussian({ stream: "layer-1", count: 1 });
    },
  ],
  [
    "a function that returns nothing",
    "src/minimize.ts",
    () =>
      minimize({ loss: { dimension: 1, value: () => undefined as never }, start: [0], updates: 1 }).result,
  ],
  [
    "a run that diverges",
    "src/means.ts",
    () =>
      minimize({
        loss: { dimension: 1, value: ([x]) => -(x ** 4), gradient: ([x]) => [-4 * x ** 3] },
        start: [2],
        objective: { kind: "loss" },
        optimizer: { kind: "gradient-descent", rate: 10 },
        updates: 100,
      }).result,
  ],
];

test.each(wrong)("%s is told by a sentence that is found", async (_what, file, call) => {
  const error = await (async () => call())().then(
    () => null,
    (reason: Error) => reason,
  );
  expect(error).toBeInstanceOf(Error);
  const telling = found(error!.message).filter(({ words }) => words > BARE);
  expect(telling.map((sentence) => sentence.file)).toContain(file);
});

/** Texts of the other tests that are whole sentences of an error. */
function expectedElsewhere(): string[] {
  const folder = join(root, "test", "interface");
  const texts = new Set<string>();
  // Those of errors.test.ts are examples of the form.
  for (const name of readdirSync(folder).filter(
    (one) => one.endsWith(".test.ts") && one !== "errors.test.ts",
  )) {
    const source = ts.createSourceFile(
      name,
      readFileSync(join(folder, name), "utf8"),
      ts.ScriptTarget.Latest,
    );
    const visit = (node: ts.Node): void => {
      if (
        ts.isStringLiteralLike(node) &&
        /^Expected .+ for .+ but received .|^Unknown option /.test(node.text)
      ) {
        texts.add(node.text);
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  return [...texts];
}

test("what other tests expect to be told is found, its range too", () => {
  const messages = expectedElsewhere();
  expect(messages.length).toBeGreaterThan(100);
  const lost = messages.filter((message) => {
    const range = /^Expected (.+?) for /.exec(message)?.[1] ?? "";
    // Names in quotes and lists of keys say by themselves what is allowed.
    if (
      /^(an object with|one of the |at (least|most)|an array|a |an |[\d"])|"/.test(range) ||
      /^\w+(, \w+)* or /.test(range)
    )
      return found(message).length === 0;
    return (
      !(found(message)[0]?.words > BARE) &&
      !patterns.some(({ words, pattern }) => words > 1 && pattern.test(range))
    );
  });
  expect(lost).toEqual([]);
});

test("each place that makes an error is in the list", () => {
  const told = new Set(all.flatMap((sentence) => sentence.places));
  const places: string[] = [];
  for (const entry of readdirSync(join(root, "src"), { recursive: true, withFileTypes: true })) {
    if (!entry.name.endsWith(".ts")) continue;
    const path = join(entry.parentPath, entry.name);
    readFileSync(path, "utf8")
      .split("\n")
      .forEach((line, i) => {
        if (/new (Option|Data|Backend|Checkpoint|Diverged|Usage|Format)Error\(/.test(line)) {
          places.push(`${path.slice(root.length).replaceAll("\\", "/")}:${i + 1}`);
        }
      });
  }
  expect(places.length).toBeGreaterThan(100);
  expect(places.filter((place) => !told.has(place))).toEqual([]);
});

test("each advice of the page belongs to a sentence", () => {
  const forms = all.map(({ parts }) => sentences.everyForm(parts) as string);
  const stale = (HINTS as [string, string][]).filter(([stem]) => !forms.some((form) => form.includes(stem)));
  expect(stale).toEqual([]);
});
