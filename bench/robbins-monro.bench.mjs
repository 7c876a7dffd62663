/** An update of heat by Robbins–Monro (Algorithm 5), M = J = 30 with a_j = 0.1 j^−0.7: projected against direct. */
import { compareEstimators } from "./problem.mjs";

const M = 30;
const J = 30;
const estimator = (samples, steps, projected) => ({
  kind: "robbins-monro",
  samples,
  stepSizes: Float64Array.from({ length: steps }, (_, i) => 0.1 * (i + 1) ** -0.7),
  batches: 1,
  projected,
});

export default (harness) =>
  compareEstimators(
    harness,
    `Robbins–Monro, M = ${M}, J = ${J}`,
    { projected: estimator(M, J, true), direct: estimator(M, J, false) },
    (whole) => estimator(3, 4, whole.projected),
    1e-3,
  );
