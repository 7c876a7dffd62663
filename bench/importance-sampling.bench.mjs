/**
 * Weight evaluations, and an update of importance sampling (Algorithm 4), J = 1,000: couplings, projected against
 * direct, and the direct form in other packages. Walsh blocks, the default, are walsh.bench.mjs's.
 */
import { openReference } from "../lib/backends/reference.js";
import { expectClose } from "./harness.mjs";
import { B, backends, batch, compareEstimators, key, loss, network, parameters, TAU } from "./problem.mjs";

const J = 1000;
const independent = (samples, complement) => ({
  kind: "independent",
  samples,
  complement,
  centred: complement !== "sample",
});
const antithetic = (samples) => ({ kind: "antithetic", samples });

/** An estimator with J samples, the same with 16 for the check, and its name in the study of errors. */
function variant(coupling, projected, error, rowwise = false) {
  const estimator = (samples) => ({
    kind: "importance-sampling",
    coupling: coupling(samples),
    temperature: 1,
    rowwise,
    projected,
  });
  return { estimator: estimator(J), small: estimator(16), error };
}

/** Names in the study of errors. */
export const ERRORS = {
  direct: "independent, raw weights, complement sampled (Algorithm 4)",
  projected: "independent, raw weights (Algorithm 4, marginalized)",
  centred: "independent, centred",
};
const sampled = (samples) => independent(samples, "sample");
const marginalized = (samples) => independent(samples, "marginalize");

async function compareWeights(harness) {
  const input = (coupling, projected, rowwise = false) => ({
    ...{ network, loss, parameters, batch: batch(), key, update: 0, tau: TAU, noiseScale: Math.sqrt(TAU) },
    ...{ coupling, temperature: 1, rowwise, projected },
  });
  const forms = {
    "Walsh, K = 2": { input: input({ kind: "walsh", blocks: 2 }, true, true), per: 1024 },
    "independent, projected": { input: input(marginalized(J), true), small: input(marginalized(16), true) },
    "independent, direct": { input: input(marginalized(J), false), small: input(marginalized(16), false) },
  };
  const [[name, backend], ...others] = Object.entries(backends());
  for (const [, other] of others) other.close();
  const reference = openReference().operations;
  const ours = {};
  for (const [form, { input, small = input, per }] of Object.entries(forms)) {
    const expected = await reference.weights(small);
    const { losses } = await backend.operations.weights(small);
    expectClose(`weights, ${form}, ${name}`, losses, expected.losses, 1e-4);
    ours[`${form}; ${name}`] = { run: () => backend.operations.weights(input), per };
  }
  const rivals = await harness.peerRivals("weights");
  await harness.compare(`weights, B = ${B}`, { ...ours, ...rivals }, { per: J, unit: "weight" });
  backend.close();
}

export default async function (harness) {
  await compareWeights(harness);
  const estimators = {
    "independent, projected": variant(marginalized, true, ERRORS.centred),
    "independent, direct": variant(sampled, false, ERRORS.direct),
    "independent, projected, complement sampled": variant(sampled, true, ERRORS.direct),
    "antithetic, projected": variant(antithetic, true, "antithetic pairs"),
    "antithetic, direct": variant(antithetic, false),
    "antithetic, row split": variant(antithetic, true, "antithetic + row split", true),
  };
  const rivals = await harness.peerRivals("importance-sampling", { error: ERRORS });
  await compareEstimators(harness, `importance sampling, J = ${J}`, estimators, { rivals, everywhere: 2 });
}
