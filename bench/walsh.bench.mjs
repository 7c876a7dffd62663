/**
 * An update of importance sampling with Walsh blocks, J = 1,024, twenty to a crossing: by rows and weights only, beside
 * uncoupled samples and beside the projection in other packages, whose error is another.
 */
import { ERRORS } from "./importance-sampling.bench.mjs";
import { compareEstimators } from "./problem.mjs";

function variant(coupling, rowwise, error) {
  const estimator = (coupling) => ({
    kind: "importance-sampling",
    coupling,
    temperature: 1,
    rowwise,
    projected: true,
  });
  const small = coupling.kind === "walsh" ? coupling : { ...coupling, samples: 16 };
  return { estimator: estimator(coupling), small: estimator(small), error };
}
const walsh = (blocks) => ({ kind: "walsh", blocks });
const antithetic = { kind: "antithetic", samples: 1024 };
const independent = { kind: "independent", samples: 1024, complement: "marginalize", centred: true };

export default async function (harness) {
  const estimators = {
    "row split, K = 2": variant(walsh(2), true, "Walsh + row split, K = 2"),
    "row split, K = 4 (J = 2,048)": variant(walsh(4), true, "Walsh + row split, K = 4"),
    "weights only, K = 2": variant(walsh(2), false, "Walsh, weights only, K = 2"),
    "antithetic pairs": variant(antithetic, false, "antithetic pairs"),
    "independent samples": variant(independent, false, ERRORS.centred),
  };
  const variants = ["projected"];
  const settings = { samples: 1024 };
  const rivals = await harness.peerRivals("importance-sampling", { variants, settings, error: ERRORS });
  const title = "importance sampling by Walsh blocks, J = 1,024";
  await compareEstimators(harness, title, estimators, { rivals, updates: 20 });
}
