/**
 * The checks of networks and of losses.
 */
import type { Loss } from "../backends/backend.ts";
import { HAS_GRADIENT, KINDS } from "../backends/description.ts";
import { expected, OptionError } from "../errors.ts";
import { type Network, parameterCount } from "../network.ts";
import { checkNumbers } from "./arrays.ts";
import { NAMES } from "./defaults.ts";
import type { NetworkOptions } from "./types.ts";
import { choice, integer, leaf, object, parse } from "./values.ts";

/** Largest width but the last, and number of parameters: what arrays and counters hold with room to spare. */
const LARGEST_WIDTH = 2 ** 24;
/** Class 65535 would be the label that says that nothing is predicted. */
const LARGEST_CLASSES = 2 ** 16 - 1;
const MOST_PARAMETERS = 2 ** 30;

const networkSchema = object({
  layers: leaf<readonly number[]>("an array of widths, inputs first and classes last,", Array.isArray),
  activation: choice(NAMES.activation),
});

/** @returns the network, its layers copied */
export function checkNetwork(path: string, value: NetworkOptions | unknown): Network {
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
    const [low, high] = i === network.layers.length - 1 ? [2, LARGEST_CLASSES] : [1, LARGEST_WIDTH];
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

/** Zero-one is the cost matrix 1 − I. `classes`: d_L. */
export function checkLoss(path: string, value: unknown, classes: number): Loss {
  const wanted = value === undefined ? NAMES.loss[0] : value;
  for (const kind of KINDS.loss) if (kind === wanted && kind !== "cost-matrix") return { kind };
  if (wanted === "zero-one") {
    const costs = new Float64Array(classes * classes).fill(1);
    for (let c = 0; c < classes; c++) costs[c * classes + c] = 0;
    return { kind: "cost-matrix", costs };
  }
  if (typeof value !== "object" || value === null) {
    throw new OptionError(
      expected(`${quoted(NAMES.loss).join(", ")} or { kind: "cost-matrix", costs }`, path, value),
    );
  }
  const rows: unknown[] = [...parse(path, costMatrixSchema, value).costs];
  if (rows.length !== classes) {
    throw new OptionError(expected(`${classes} rows, one a class,`, `${path}.costs`, rows));
  }
  const costs = rows.flatMap((row, label) => [...checkNumbers(`${path}.costs[${label}]`, row, classes)]);
  return { kind: "cost-matrix", costs: Float64Array.from(costs) };
}

/** Says which part has no useful gradient, to an estimator that needs one. */
export function refuseWithoutGradient(root: string, who: string, network: Network, loss: Loss): void {
  const advice = `${who} needs gradients: use the estimator "importance-sampling", which does not`;
  const { activation } = network;
  if (!HAS_GRADIENT.activation[activation]) {
    const allowed = quoted(KINDS.activation.filter((kind) => HAS_GRADIENT.activation[kind]));
    throw new OptionError(expected(allowed.join(" or "), `${root}.network.activation`, activation, advice));
  }
  if (!HAS_GRADIENT.loss[loss.kind]) {
    const allowed = quoted(KINDS.loss.filter((kind) => HAS_GRADIENT.loss[kind]));
    const received = loss.kind === "cost-matrix" ? "zero-one or a cost matrix" : loss.kind;
    throw new OptionError(
      `Expected ${allowed.join(" or ")} for ${root}.loss but received a loss without a gradient (${received}); ${advice}`,
    );
  }
}

function quoted(names: readonly string[]): string[] {
  return names.map((name) => `"${name}"`);
}
