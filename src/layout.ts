/**
 * How a network's parameters and noise lie, as users ask for it: networks are given as everywhere else, and checked.
 */
import { parameterCount as countParameters, layerShapes } from "./network.ts";
import { checkNetwork } from "./options/network.ts";
import type { NetworkOptions } from "./options/types.ts";
import { layerStream } from "./reference/random/streams.ts";

/**
 * Number of parameters: 7,850 for [784, 10], 159,010 for [784, 200, 10].
 *
 * @param network widths, or { layers, activation }
 * @throws OptionError for a network that is none
 */
export function parameterCount(network: NetworkOptions): number {
  return countParameters(checkNetwork("parameterCount.network", network));
}

/**
 * The streams that hold each layer's noise: entry (row, column) of sample j of update k is normal number
 * `row · columns + column` of `gaussian({ seed, stream, update: k, sample: j })`.
 *
 * @param network widths, [784, 200, 10], or { layers, activation }
 * @returns for each layer the stream's name ("layer-1", …), number, rows (d_{ℓ−1} + 1) and columns (d_ℓ). A
 *   projected estimator uses the first B rows of "layer-1".
 * @throws OptionError for a network that is none
 */
export function noiseLayout(network: NetworkOptions): {
  streams: { name: string; number: number; rows: number; columns: number }[];
} {
  return {
    streams: layerShapes(checkNetwork("noiseLayout.network", network)).map(({ rows, columns }, index) => ({
      name: `layer-${index + 1}`,
      number: layerStream(index + 1),
      rows,
      columns,
    })),
  };
}
