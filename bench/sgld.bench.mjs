/**
 * An update of local entropy by SGLD (Algorithm 3), J = 1,000 with ε_j = 1/(1000 + j): projected against direct, and
 * the direct form in other packages.
 */
import { compareEstimators } from "./problem.mjs";

const J = 1000;
function variant(projected) {
  const estimator = (steps) => {
    const stepSizes = Float64Array.from({ length: steps }, (_, i) => 1 / (1000 + i + 1));
    const noiseScales = stepSizes.map(Math.sqrt);
    return { kind: "sgld", stepSizes, noiseScales, chainStart: "previous", batches: 1, projected };
  };
  return { estimator: estimator(J), small: estimator(16) };
}

export default async function (harness) {
  const estimators = { projected: variant(true), direct: variant(false) };
  const rivals = await harness.peerRivals("sgld");
  await compareEstimators(harness, `SGLD, J = ${J}`, estimators, { rivals, everywhere: 2 });
}
