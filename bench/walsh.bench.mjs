/** An update of importance sampling with Walsh blocks, J = 1,024: by rows and weights only, beside uncoupled samples. */
import { compareEstimators } from "./problem.mjs";

const estimator = (coupling, rowwise) => ({
  kind: "importance-sampling",
  coupling,
  temperature: 1,
  rowwise,
  projected: true,
});
const walsh = (blocks) => ({ kind: "walsh", blocks });

export default (harness) =>
  compareEstimators(
    harness,
    "importance sampling by Walsh blocks, J = 1,024",
    {
      "weights only, K = 2": estimator(walsh(2), false),
      "row split, K = 2": estimator(walsh(2), true),
      "row split, K = 4 (J = 2,048)": estimator(walsh(4), true),
      "antithetic pairs": estimator({ kind: "antithetic", samples: 1024 }, false),
      "independent samples": estimator(
        { kind: "independent", samples: 1024, complement: "marginalize", centred: true },
        false,
      ),
    },
    (whole) =>
      whole.coupling.kind === "walsh" ? whole : { ...whole, coupling: { ...whole.coupling, samples: 16 } },
    1e-3,
  );
