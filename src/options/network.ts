/**
 * The checks of networks and of losses.
 */
import type { Loss } from "../backends/backend.ts";
import { HAS_GRADIENT, KINDS, LINKS, READS } from "../backends/description.ts";
import { expected, OptionError } from "../errors.ts";
import { type Network, parameterCount } from "../network.ts";
import { type Answers, type CheckedLoss, checkNumbers } from "./arrays.ts";
import { NAMES } from "./defaults.ts";
import type { NetworkOptions } from "./types.ts";
import { choice, integer, leaf, number, object, parse, withDefault } from "./values.ts";

/** Largest width but the last, and number of parameters: what arrays and counters hold with room to spare. */
const LARGEST_WIDTH = 2 ** 24;
/** Class 65535 would be the label that says that nothing is predicted. */
const LARGEST_CLASSES = 2 ** 16 - 1;
const MOST_PARAMETERS = 2 ** 30;

const networkSchema = object({
  layers: leaf<readonly number[]>("an array of widths, inputs first and classes last,", Array.isArray),
  activation: choice(NAMES.activation),
});

/**
 * @param fewest the least last width: 2 for classes
 * @returns the network, its layers copied
 */
export function checkNetwork(path: string, value: NetworkOptions | unknown, fewest = 1): Network {
  const bare = Array.isArray(value);
  if (!bare && (typeof value !== "object" || value === null)) {
    throw new OptionError(
      expected("an array of widths, or { layers, activation },", path, value, "for example [784, 200, 10]"),
    );
  }
  const network = parse(path, networkSchema, bare ? { layers: value } : value);
  const at = bare ? path : `${path}.layers`;
  if (network.layers.length < 2) throw new OptionError(expected("at least two widths", at, network.layers));
  const layers = Array.from(network.layers, (width, i) => {
    const [low, high] = i === network.layers.length - 1 ? [fewest, LARGEST_CLASSES] : [1, LARGEST_WIDTH];
    return parse(`${at}[${i}]`, integer(low, high), width);
  });
  const checked = { layers, activation: network.activation };
  const count = parameterCount(checked);
  if (count > MOST_PARAMETERS) {
    throw new OptionError(
      expected(`at most ${MOST_PARAMETERS} parameters in all`, at, count, "use smaller widths"),
    );
  }
  return checked;
}

const costMatrixSchema = object({
  kind: leaf<"cost-matrix">('"cost-matrix"', (v) => v === "cost-matrix"),
  costs: leaf<readonly (readonly number[])[]>("an array of rows", Array.isArray),
});
const smoothedSchema = object({
  kind: leaf<"cross-entropy">('"cross-entropy"', (v) => v === "cross-entropy"),
  smoothing: withDefault(
    number("a number from 0 to below 1", (v) => v >= 0 && v < 1),
    0,
  ),
});

/** What some rows have; labels where they are no rows, which is told of elsewhere. */
export function answersOf(rows: unknown): Answers {
  const given = typeof rows === "object" && rows !== null && (rows as { targets?: unknown }).targets;
  return given === false || given === undefined ? "labels" : "targets";
}

/** A function's losses, which come with each update. */
const GIVEN: Loss = { kind: "given", losses: new Float32Array(0) };

/** The least last width of a network under a loss: classes are two at least. */
export function fewestOutputs(value: unknown, answers: Answers = "labels"): number {
  if (typeof value === "function" && answers === "targets") return 1;
  const kind = KINDS.loss.find((kind) => kind === value);
  return kind === undefined || LINKS[kind] === "softmax" ? 2 : 1;
}

/**
 * Zero-one is the cost matrix 1 − I; cross-entropy with targets, or smoothed, is the seam's soft one.
 *
 * @param outputs d_L
 * @param answers what the data has
 */
export function checkLoss(path: string, value: unknown, outputs: number, answers: Answers): CheckedLoss {
  const wanted = value === undefined ? NAMES.loss[0] : value;
  if (typeof wanted === "function") return { loss: GIVEN, answers, smoothing: 0 };
  if (wanted === "cross-entropy" || kindOf(wanted) === "cross-entropy") {
    const { smoothing } = wanted === "cross-entropy" ? { smoothing: 0 } : parse(path, smoothedSchema, wanted);
    const soft = answers === "targets" || smoothing > 0;
    return { loss: { kind: soft ? "soft-cross-entropy" : "cross-entropy" }, answers, smoothing };
  }
  if (answers === "targets") {
    for (const kind of NAMES.lossOfTargets)
      if (kind === wanted) return { loss: { kind }, answers, smoothing: 0 };
    const range = `${quoted(NAMES.lossOfTargets).join(", ")} or { kind: "cross-entropy", smoothing }`;
    throw new OptionError(expected(range, path, value, "the data has targets, no labels"));
  }
  return { loss: costMatrix(path, wanted, outputs), answers, smoothing: 0 };
}

/** A cost matrix (classes × classes), by itself or by its name. */
function costMatrix(path: string, value: unknown, classes: number): Loss {
  if (value === "zero-one") {
    const costs = new Float64Array(classes * classes).fill(1);
    for (let c = 0; c < classes; c++) costs[c * classes + c] = 0;
    return { kind: "cost-matrix", costs };
  }
  if (typeof value !== "object" || value === null) {
    const range = `${quoted(NAMES.lossOfLabels).join(", ")} or { kind: "cost-matrix", costs }`;
    const ofTargets = NAMES.lossOfTargets.some((name) => name === value);
    const advice = "it reads targets, a Float32Array of rows × outputs, and the data has labels";
    throw new OptionError(expected(range, path, value, ofTargets ? advice : ""));
  }
  const rows: unknown[] = [...parse(path, costMatrixSchema, value).costs];
  if (rows.length !== classes) {
    throw new OptionError(expected(`${classes} rows, one a class,`, `${path}.costs`, rows));
  }
  const costs = rows.flatMap((row, label) => [...checkNumbers(`${path}.costs[${label}]`, row, classes)]);
  return { kind: "cost-matrix", costs: Float64Array.from(costs) };
}

function kindOf(value: unknown): unknown {
  return typeof value === "object" && value !== null ? (value as { kind?: unknown }).kind : undefined;
}

/** Says which part has no useful gradient, to an estimator that needs one. */
export function refuseWithoutGradient(root: string, who: string, network: Network, loss: Loss): void {
  const advice = `${who} needs gradients: use the estimator "importance-sampling", which does not`;
  const { activation } = network;
  if (!HAS_GRADIENT.activation[activation]) {
    const allowed = quoted(KINDS.activation.filter((kind) => HAS_GRADIENT.activation[kind]));
    throw new OptionError(expected(allowed.join(" or "), `${root}.network.activation`, activation, advice));
  }
  if (loss.kind === "given") {
    throw new OptionError(
      `Expected a loss that has a gradient for ${root}.loss but received a function; ${advice}`,
    );
  }
  if (!HAS_GRADIENT.loss[loss.kind]) {
    const others = KINDS.loss.filter((kind) => READS[kind] === READS[loss.kind] && HAS_GRADIENT.loss[kind]);
    const allowed = quoted(others);
    const received = loss.kind === "cost-matrix" ? "zero-one or a cost matrix" : loss.kind;
    throw new OptionError(
      `Expected ${allowed.join(" or ")} for ${root}.loss but received a loss without a gradient (${received}); ${advice}`,
    );
  }
}

function quoted(names: readonly string[]): string[] {
  return names.map((name) => `"${name}"`);
}
