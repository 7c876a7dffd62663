/**
 * What the checks of `hessianProduct` and `hessianEigenvalues` add to those of a batch.
 */
import type { HessianProductInput, Loss, Vector } from "../backends/backend.ts";
import { expected, OptionError } from "../errors.ts";
import type { Key } from "../reference/random/streams.ts";
import { DEFAULTS } from "./defaults.ts";
import { checkedElsewhere, integer, optional, positive, seed, withDefault } from "./values.ts";

/** What `hessianEigenvalues` is told, checked. */
export interface EigenvaluesInput extends Omit<HessianProductInput, "vector"> {
  readonly largest: number;
  readonly smallest: number;
  readonly tolerance: number;
  /** At most. */
  readonly products: number;
  readonly key: Key;
}

export const productShape = { vector: checkedElsewhere<Vector>() };

const { eigenvalues } = DEFAULTS;
const count = () => integer(0, 2 ** 30);

export const eigenvaluesShape = {
  largest: withDefault(count(), eigenvalues.largest),
  smallest: withDefault(count(), eigenvalues.smallest),
  tolerance: withDefault(positive(), eigenvalues.tolerance),
  products: optional(count()),
  seed: withDefault(seed(), DEFAULTS.seed),
};

/** The cross-entropy of labels is the one loss whose second derivatives the backends know. */
export function requireCrossEntropy(root: string, { kind }: Loss): void {
  if (kind === "cross-entropy") return;
  const advice = "of no other loss are there second derivatives";
  throw new OptionError(expected('"cross-entropy", on labels,', `${root}.loss`, kind, advice));
}

/** How many eigenvalues of each end, and how many products at most, of a matrix of n rows. */
export function checkCounts(
  root: string,
  { largest, smallest, products }: { largest: number; smallest: number; products: number | undefined },
  n: number,
): Pick<EigenvaluesInput, "largest" | "smallest" | "products"> {
  const wanted = largest + smallest;
  if (wanted < 1 || wanted > n) {
    const advice = "the network has so many parameters";
    throw new OptionError(
      expected(`1 … ${n} eigenvalues in all`, `${root}.largest and ${root}.smallest`, wanted, advice),
    );
  }
  const most = products ?? Math.min(n, Math.max(eigenvalues.products, 2 * wanted));
  if (most < wanted || most > n) {
    const advice = "each product gives one eigenvalue at most";
    throw new OptionError(expected(`an integer ${wanted} … ${n}`, `${root}.products`, products, advice));
  }
  return { largest, smallest, products: most };
}
