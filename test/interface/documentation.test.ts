/**
 * What is written of options and backends against what the code says of them: the guides' tables, and the defaults
 * in the docstrings.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "@jest/globals";
import { BACKENDS, whatIs } from "../../src/backends/registry.ts";
import { DEFAULTS, NAMES } from "../../src/options/defaults.ts";
import { KINDS } from "../../src/options/schemas.ts";
import { checkTrainOptions } from "../../src/options/train.ts";

const text = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

/** Cells of the first table under a heading of a guide, without its head. */
function table(guide: string, heading: string): string[][] {
  const [, section] = text(`docs/guides/${guide}.md`).split(`## ${heading}\n\n`);
  const lines = section.split("\n\n").find((part) => part.startsWith("|")) as string;
  return lines
    .split("\n")
    .slice(2)
    .map((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim()))
    .map((cells) => cells.slice(1, -1));
}

/** What `train` makes of options that leave out all that have a default. */
function bare(more: object = {}) {
  const rows = { inputs: new Uint8Array(64), labels: new Uint8Array(32), count: 32, width: 2, classes: 2 };
  return checkTrainOptions({ network: [2, 2], data: { train: rows }, updates: 1, ...more });
}

test("the guide's table of backends is the registry", () => {
  const rows = table("troubleshooting", "Backends");
  expect(rows.map(([name]) => name)).toEqual(BACKENDS.map((name) => `\`${name}\``));
  rows.forEach(([, what], i) => {
    expect(what.startsWith(whatIs(BACKENDS[i]))).toBe(true);
  });
});

test("the guide's table of options has each option, with its default and its names", () => {
  const rows = table("options", "Options of `train`");
  const options = rows.flatMap(([names, defaults, what]) => {
    const all = names.split(", ").map((name) => name.replaceAll("`", ""));
    const each = all.length === 1 ? [defaults] : defaults.split(", ");
    return all.map((name, i) => ({ name, byDefault: each[i].replaceAll("`", ""), what }));
  });
  let allowed = "";
  try {
    bare({ unheardOf: 1 });
  } catch (error) {
    allowed = (error as Error).message.split("allowed are ")[1];
  }
  expect(options.map(({ name }) => name).sort()).toEqual(allowed.split(", ").sort());

  const { description } = bare();
  const compared = ["loss", "batchSize", "backend", "recordEvery", "evaluateEvery", "averaging"];
  const said = options.filter(({ name }) => compared.includes(name));
  expect(said.map(({ name, byDefault }) => [name, byDefault.replace(" (at the end)", "")])).toEqual(
    compared.map((name) => [name, JSON.stringify(description[name])]),
  );
  const row = (wanted: string) => options.find(({ name }) => name === wanted) ?? { byDefault: "", what: "" };
  expect(row("seed").byDefault).toBe(String(description.seed));
  expect(row("objective").byDefault).toContain(`τ = ${DEFAULTS.tau}`);
  for (const [name, names] of [
    ["network", NAMES.activation],
    ["loss", NAMES.loss.slice(1)],
    ["objective", KINDS.objective],
    ["optimizer", KINDS.optimizer],
    ["backend", BACKENDS],
  ] as const) {
    expect(row(name).what.match(/"[\w-]+"/g)).toEqual(
      expect.arrayContaining(names.map((one) => JSON.stringify(one))),
    );
  }
});

test("docstrings of networks and of losses say each name", () => {
  const source = text("src/options/types.ts");
  for (const [type, names] of [
    ["NetworkOptions", NAMES.activation],
    ["LossOptions", NAMES.loss],
  ] as const) {
    const [, doc] = new RegExp(`/\\*\\*((?:(?!\\*/)[^])*)\\*/\\s*export type ${type}\\b`).exec(source) ?? [];
    expect(doc?.match(/"[\w-]+"/g)).toEqual(expect.arrayContaining(names.map((one) => JSON.stringify(one))));
  }
});

test("docstrings of options say the defaults that hold", () => {
  const { tau, momentum, temperature, adam, batchSize, seed, recordEvery, evaluateEvery, averaging } =
    DEFAULTS;
  const holds: Record<string, unknown> = {
    ...{ tau, momentum, temperature, ...adam, batchSize, seed, recordEvery, evaluateEvery, averaging },
    ...{ backend: NAMES.backend[0], loss: NAMES.loss[0], complement: NAMES.complement[0] },
  };
  const source = text("src/options/types.ts") + text("src/options/operation-types.ts");
  const seen = new Set<string>();
  for (const [, doc, name] of source.matchAll(/\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*readonly (\w+)\??:/g)) {
    const value = /default:? ("[\w-]+"|[\d.e-]*\d|true|false)/i.exec(doc)?.[1];
    if (value === undefined || !(name in holds)) continue;
    seen.add(name);
    expect([name, JSON.parse(value)]).toEqual([name, holds[name]]);
  }
  expect(seen.size).toBeGreaterThan(10);
});
