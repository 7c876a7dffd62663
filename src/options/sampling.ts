/**
 * Coupling and row split of an estimator that is made of samples, resolved against the network.
 *
 * Defaults: Walsh blocks where there is at most one hidden layer, else antithetic pairs; by rows, but for a sampled
 * complement, which the row split does not have. A user's function (`minimize`) has no rows and no layers: antithetic
 * pairs, not by rows.
 */
import type { Coupling } from "../backends/backend.ts";
import { expected, OptionError } from "../errors.ts";
import type { Network } from "../network.ts";
import { DEFAULTS } from "./defaults.ts";

export interface Sampling {
  readonly coupling: Coupling;
  readonly rowwise: boolean;
}

/**
 * @param path of the estimator's options, for errors
 * @param network null for a function
 * @throws OptionError for Walsh blocks on a deeper network or a function, and for a sampled complement by rows
 */
export function resolveSampling(
  path: string,
  given: { readonly coupling?: Coupling; readonly rowwise?: boolean },
  network: Network | null,
): Sampling {
  const transformable = network !== null && network.layers.length <= 3;
  const coupling = given.coupling ?? (transformable ? DEFAULTS.coupling : DEFAULTS.uncoupled);
  if (coupling.kind === "walsh" && !transformable) {
    const why =
      network === null
        ? "a function has no layers to transform"
        : `Walsh blocks need at most one hidden layer, and this network has ${network.layers.length - 2}`;
    throw new OptionError(expected('"antithetic" or "independent"', `${path}.coupling.kind`, "walsh", why));
  }
  const sampled = coupling.kind === "independent" && coupling.complement === "sample";
  const rowwise = given.rowwise ?? (network !== null && !sampled);
  if (rowwise && sampled) {
    const why = "the row split leaves the complement at its mean";
    throw new OptionError(
      expected('"marginalize" with rowwise', `${path}.coupling.complement`, "sample", why),
    );
  }
  return { coupling, rowwise };
}
