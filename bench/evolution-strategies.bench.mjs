/**
 * An update of heat by evolution strategies, whose gradient comes from values of the loss alone: Walsh blocks and
 * antithetic pairs, by rows, and pairs without the row split.
 */
import { compareEstimators } from "./problem.mjs";

const variant = (coupling, small, rowwise) => ({
  estimator: { kind: "evolution-strategies", coupling, rowwise, projected: true },
  small: { kind: "evolution-strategies", coupling: small, rowwise, projected: true },
});
const walsh = (blocks) => ({ kind: "walsh", blocks });
const antithetic = (samples) => ({ kind: "antithetic", samples });

export default async function (harness) {
  const estimators = {
    "Walsh, K = 2, row split": variant(walsh(2), walsh(1), true),
    "antithetic, row split": variant(antithetic(1000), antithetic(16), true),
    "antithetic, projected": variant(antithetic(1000), antithetic(16), false),
  };
  await compareEstimators(harness, "evolution strategies, J = 1,024 and 1,000", estimators, {
    everywhere: 2,
  });
}
