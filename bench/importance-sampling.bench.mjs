/** An update of importance sampling, J = 1,000 (Algorithm 4): couplings, projected against direct. */
import { compareEstimators } from "./problem.mjs";

const J = 1000;
const estimator = (coupling, projected) => ({
  kind: "importance-sampling",
  coupling,
  temperature: 1,
  rowwise: false,
  projected,
});
const independent = (complement) => ({
  kind: "independent",
  samples: J,
  complement,
  centred: complement !== "sample",
});
const antithetic = { kind: "antithetic", samples: J };

export default (harness) =>
  compareEstimators(
    harness,
    `importance sampling, J = ${J}`,
    {
      "antithetic, projected": estimator(antithetic, true),
      "antithetic, direct": estimator(antithetic, false),
      "independent, projected": estimator(independent("marginalize"), true),
      "independent, projected, complement sampled": estimator(independent("sample"), true),
      "independent, direct": estimator(independent("marginalize"), false),
    },
    (whole) => ({ ...whole, coupling: { ...whole.coupling, samples: 16 } }),
    1e-3,
  );
