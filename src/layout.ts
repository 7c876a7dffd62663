/**
 * How a network's parameters and noise lie, as users ask for it: networks are given as everywhere else, and checked.
 */
import { initialParameters } from "./initialization.ts";
import { parameterCount as countParameters, layerShapes } from "./network.ts";
import { DEFAULTS } from "./options/defaults.ts";
import { checkNetwork } from "./options/network.ts";
import type { NetworkOptions } from "./options/types.ts";
import { parse, seed as seedSchema } from "./options/values.ts";
import { keyOf, layerStream } from "./reference/random/streams.ts";

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
 * Where a run starts that is given no parameters: weights uniform in ±√(6/(d_{ℓ−1} + d_ℓ)) (Glorot and Bengio, AISTATS
 * 2010), biases 0.
 *
 * The flat parameters of a network are its layers one after the other: of each the weights, inputs × outputs, row-major
 * (entry i · outputs + j leads from input i to output j), then the biases. `Model.layers` has them as views.
 *
 * @param network widths, or { layers, activation }
 * @param seed integer < 2⁵³ or bigint < 2⁶⁴ (default 1), as a run's
 * @returns n numbers
 * @throws OptionError for a network or a seed that is none
 */
export function initialize(network: NetworkOptions, seed: number | bigint = DEFAULTS.seed): Float32Array {
  return initialParameters(
    checkNetwork("initialize.network", network),
    keyOf(parse("initialize.seed", seedSchema(), seed)),
  );
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
