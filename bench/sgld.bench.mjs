/** An update of local entropy by SGLD (Algorithm 3), J = 1,000 with ε_j = 1/(1000 + j): projected against direct. */
import { compareEstimators } from "./problem.mjs";

const J = 1000;
const estimator = (steps, projected) => {
  const stepSizes = Float64Array.from({ length: steps }, (_, i) => 1 / (1000 + i + 1));
  return {
    kind: "sgld",
    stepSizes,
    noiseScales: stepSizes.map(Math.sqrt),
    chainStart: "previous",
    batches: 1,
    projected,
  };
};

export default (harness) =>
  compareEstimators(
    harness,
    `SGLD, J = ${J}`,
    { projected: estimator(J, true), direct: estimator(J, false) },
    (whole) => estimator(16, whole.projected),
    1e-3,
  );
