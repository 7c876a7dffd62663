/**
 * What the checks of several operations share: a network at parameters, a place in the random numbers, a loss and rows.
 * Arrays are checked once the network is known.
 */
import type * as z from "zod/mini";
import type { Examples, Vector } from "../backends/backend.ts";
import { type Network, parameterCount } from "../network.ts";
import { checkVector } from "./arrays.ts";
import { DEFAULTS } from "./defaults.ts";
import { checkRowsOf } from "./model.ts";
import { answersOf, checkLoss, checkNetwork, fewestOutputs } from "./network.ts";
import type { LossOptions, NetworkOptions } from "./types.ts";
import { checkedElsewhere, optional, seed, signal, withDefault, word } from "./values.ts";

export const position = { seed: withDefault(seed(), DEFAULTS.seed), update: withDefault(word(), 0) };
export const located = {
  network: checkedElsewhere<NetworkOptions>(),
  parameters: checkedElsewhere<Vector>(),
  signal: signal(),
};
export const withLoss = { ...located, loss: optional(checkedElsewhere<LossOptions>()) };

export type Located = z.output<z.ZodMiniObject<typeof located>>;
export type WithLoss = Located & { readonly loss?: LossOptions };

/** The network and its parameters; of outputs that are no classes one is enough. */
export function locate(root: string, given: WithLoss, fewest = fewestOutputs(given.loss)) {
  const network = checkNetwork(`${root}.network`, given.network, fewest);
  const parameters = checkVector(`${root}.parameters`, given.parameters, parameterCount(network));
  return { network, parameters, signal: given.signal };
}

/** The place, the loss on rows like `rows`, and the check of such rows. */
export function locateWithLoss(root: string, given: WithLoss, rows: unknown) {
  const place = locate(root, given);
  const { layers } = place.network;
  const checked = checkLoss(`${root}.loss`, given.loss, layers[layers.length - 1], answersOf(rows));
  return {
    place: { ...place, loss: checked.loss },
    check: (path: string, value: unknown) => checkRowsOf(path, value, place.network, checked),
  };
}

/** How many rows there are. */
export const rowCount = ({ inputs }: Pick<Examples, "inputs">, { layers }: Network) =>
  inputs.length / layers[0];
