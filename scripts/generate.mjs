/**
 * Writes what C++ and AssemblyScript know of `src/backends/description.ts`:
 *
 *     native/description.h      kinds, constants, places of a job's numbers and of its results
 *     assembly/machine/job.ts   the same, and the job as a struct
 *
 * `npm test` asks whether the two files are current.
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { importSource } from "./import-source.mjs";

const BY =
  "Written by scripts/generate.mjs from src/backends/description.ts. Do not edit: change that, and run it.";

/** "cross-entropy", "blocksInGroup" → ["cross", "entropy"], ["blocks", "In", "Group"]. */
const words = (name) => name.replace(/([a-z])([A-Z0-9])/g, "$1-$2").split("-");
const capitalized = (word) => word[0].toUpperCase() + word.slice(1);
/** kCrossEntropy. */
const constant = (name) => `k${words(name).map(capitalized).join("")}`;
/** CROSS_ENTROPY. */
const upper = (name) => words(name).join("_").toUpperCase();

const list = (names) => names.map((name) => `  ${constant(name)},\n`).join("");

function header({ KINDS, HAS_GRADIENT, READS, LINKS, CONSTANTS, SCALARS, RESULTS }) {
  const kinds = Object.entries(KINDS).map(([name, members]) => {
    const type = name === "activation" ? "Activation" : `${capitalized(name)}Kind`;
    return `enum class ${type} : uint8_t {\n${list(members)}};\nconstexpr size_t k${type}s = ${members.length};\n`;
  });
  const constants = Object.entries(CONSTANTS).map(([name, value]) => {
    const type = Number.isInteger(value) ? "uint32_t" : "double";
    return `constexpr ${type} ${constant(name)} = ${value};\n`;
  });
  const smooth = Object.values(HAS_GRADIENT.loss).filter(Boolean).length;
  const losses = (is) => KINDS.loss.map((kind) => `    ${is(kind)},  // ${kind}\n`).join("");
  const scalars = Object.keys(SCALARS);
  const results = Object.keys(RESULTS);
  return `// ${BY}
// clang-format off
#pragma once
#include <cstddef>
#include <cstdint>

namespace local_entropy {

${kinds.join("\n")}
// How many kinds of loss have a gradient.
constexpr size_t kLossesWithGradient = ${smooth};
// What a kind of loss reads of a row beside its inputs.
enum class Reads : uint8_t {
${list([...new Set(Object.values(READS))])}};
constexpr Reads kReads[] = {
${losses((kind) => `Reads::${constant(READS[kind])}`)}};
// What predict makes of the outputs that a kind of loss is for.
enum class Link : uint8_t {
${list([...new Set(Object.values(LINKS))])}};
constexpr Link kLinks[] = {
${losses((kind) => `Link::${constant(LINKS[kind])}`)}};

${constants.join("")}
// Stream of the noise of layer 1 … L.
constexpr uint32_t layer_stream(uint32_t layer) { return kStreamFirstLayer + layer - 1; }

// Places of a job's numbers.
enum class Scalar : uint8_t {
${list(scalars)}};
constexpr size_t kScalars = ${scalars.length};

// What a job answers.
enum class Result : uint8_t {
${list(results)}};
constexpr const char* kResultNames[] = {
${results.map((name) => `    "${name}",\n`).join("")}};

}  // namespace local_entropy
`;
}

const asField = ([name, type]) => `  ${name}: ${type};\n`;
const named = (fields, type) => Object.entries(fields).filter(([, is]) => is === type);

function struct({ KINDS, READS, LINKS, CONSTANTS, SCALARS, ARRAYS, RESULTS, MACHINE_WORDS }) {
  const fields = [
    ...named(SCALARS, "f64"),
    ...named(RESULTS, "f64"),
    ...named(SCALARS, "u32"),
    ...Object.keys(ARRAYS).map((name) => [name, "usize"]),
    ...named(RESULTS, "u32"),
    ...MACHINE_WORDS.map((name) => [name, name === "workspace" ? "usize" : "u32"]),
  ];
  const kinds = Object.entries(KINDS).map(([name, members]) => {
    // An operation and an activation share a name.
    const prefix = name === "operation" ? "OPERATION_" : "";
    return members.map((member, i) => `export const ${prefix}${upper(member)}: u32 = ${i};\n`).join("");
  });
  const oneOf = (is) =>
    KINDS.loss
      .filter(is)
      .map((kind) => `loss === ${upper(kind)}`)
      .join(" || ");
  const constants = Object.entries(CONSTANTS).map(
    ([name, value]) =>
      `export const ${upper(name)}: ${Number.isInteger(value) ? "u32" : "f64"} = ${value};\n`,
  );
  return `// ${BY}
// biome-ignore-all format: a generated file

/** The job: what the host asks for, and what the kernels answer. Arrays are byte addresses, 0 where there is none. */
@unmanaged
export class Job {
${fields.map(asField).join("")}}

${kinds.join("\n")}
/** Whether a kind of loss reads a row's targets. */
export function readsTargets(loss: u32): bool {
  return ${oneOf((kind) => READS[kind] === "targets")};
}

/** Whether predict makes of the outputs that a kind of loss is for probabilities of classes. */
export function hasClasses(loss: u32): bool {
  return ${oneOf((kind) => LINKS[kind] === "softmax")};
}

${constants.join("")}`;
}

/** @returns each file's text by its path */
export function generated(description) {
  return {
    "native/description.h": header(description),
    "assembly/machine/job.ts": struct(description),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const description = await importSource("src/backends/description.ts");
  for (const [path, text] of Object.entries(generated(description)))
    writeFileSync(new URL(`../${path}`, import.meta.url), text);
}
