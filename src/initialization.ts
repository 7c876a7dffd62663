/** Where a run starts that is given no parameters. */
import { layerShapes, type Network, parameterCount } from "./network.ts";
import { philoxBlock } from "./reference/random/philox.ts";
import { type Key, STREAMS } from "./reference/random/streams.ts";

/**
 * Glorot's uniform initialization: weights uniform in ±√(6/(d_{ℓ−1} + d_ℓ)), biases 0.
 *
 * Glorot and Bengio, AISTATS 2010. Weight number i of layer ℓ takes word i of stream "initialization", index ℓ − 1.
 */
export function initialParameters(network: Network, key: Key): Float32Array {
  const parameters = new Float32Array(parameterCount(network));
  const words = new Uint32Array(4);
  layerShapes(network).forEach(({ offset, rows, columns }, index) => {
    const bound = Math.sqrt(6 / (rows - 1 + columns));
    const weights = (rows - 1) * columns;
    for (let i = 0; i < weights; i++) {
      if (i % 4 === 0) philoxBlock(i / 4, index, 0, STREAMS.initialization, key[0], key[1], words);
      parameters[offset + i] = (2 * ((words[i % 4] + 0.5) / 2 ** 32) - 1) * bound;
    }
  });
  return parameters;
}
