/**
 * What estimates a gradient, in the seam's numbers: a part of `backend.ts`, which says what its symbols are.
 */
import { type Network, transformLength } from "../network.ts";

/** How the J samples of an update are coupled; each one has the law N(x, τI) whichever it is. */
export type Coupling =
  | {
      readonly kind: "independent";
      readonly samples: number;
      readonly complement: "sample" | "marginalize";
      readonly centred: boolean;
    }
  /** `samples` counts all evaluations, so it is even: pair p gives samples 2p (+) and 2p + 1 (−). */
  | { readonly kind: "antithetic"; readonly samples: number }
  /** J = 2m · blocks, m the power of two ≥ d_1 + d_2. */
  | { readonly kind: "walsh"; readonly blocks: number };

/** J: the number of loss evaluations of one update. */
export function sampleCount(coupling: Coupling, network: Network, rowwise: boolean): number {
  if (coupling.kind !== "walsh") return coupling.samples;
  return 2 * transformLength(network, rowwise) * coupling.blocks;
}

/** What estimates the gradient of the objective at x_k; the settings that stay the same for a whole run. */
export type Estimator =
  | { readonly kind: "sgd" }
  | {
      readonly kind: "importance-sampling";
      readonly coupling: Coupling;
      readonly temperature: number;
      readonly rowwise: boolean;
      readonly projected: boolean;
    }
  | {
      readonly kind: "evolution-strategies";
      readonly coupling: Coupling;
      readonly rowwise: boolean;
      readonly projected: boolean;
    }
  | {
      readonly kind: "sgld";
      /** ε_1 … ε_J. */
      readonly stepSizes: Float64Array;
      /** Scale of the normals of the transition after x^j: √ε_j, or ε_j in the second reading. */
      readonly noiseScales: Float64Array;
      readonly chainStart: "previous" | "center";
      /** 1, or J − 1: a fresh minibatch for each transition (then never projected). */
      readonly batches: number;
      readonly projected: boolean;
    }
  | {
      readonly kind: "robbins-monro";
      /** M. */
      readonly samples: number;
      /** a_1 … a_J. */
      readonly stepSizes: Float64Array;
      /** 1, or J: a fresh minibatch for each transition (then never projected). */
      readonly batches: number;
      readonly projected: boolean;
    };
