/**
 * An update of heat by Robbins–Monro (Algorithm 5), M = J = 30 with a_j = 0.1 j^−0.7: projected against direct, and
 * the direct form in other packages.
 */
import { compareEstimators } from "./problem.mjs";

function variant(projected) {
  const estimator = (samples, steps) => {
    const stepSizes = Float64Array.from({ length: steps }, (_, i) => 0.1 * (i + 1) ** -0.7);
    return { kind: "robbins-monro", samples, stepSizes, batches: 1, projected };
  };
  return { estimator: estimator(30, 30), small: estimator(3, 4) };
}

export default async function (harness) {
  const estimators = { projected: variant(true), direct: variant(false) };
  const rivals = await harness.peerRivals("robbins-monro");
  await compareEstimators(harness, "Robbins–Monro, M = 30, J = 30", estimators, { rivals, everywhere: 2 });
}
