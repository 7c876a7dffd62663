/**
 * What the projection costs before it saves: an update of importance sampling with one antithetic pair, so that
 * the Gram matrix, its Cholesky factor and the way back to the parameters are most of it, for several B.
 */
import { backends, checkEstimator, openRun } from "./problem.mjs";

const estimator = (projected) => ({
  kind: "importance-sampling",
  coupling: { kind: "antithetic", samples: 2 },
  temperature: 1,
  rowwise: false,
  projected,
});

export default async function (harness) {
  const [[name, backend], ...others] = Object.entries(backends());
  for (const [, other] of others) other.close();
  await checkEstimator(`projection, ${name}`, backend, estimator(true), 1e-3);
  for (const batchSize of [1, 20, 100]) {
    const rivals = {};
    for (const projected of [true, false]) {
      const { run } = openRun(backend, estimator(projected), { batchSize });
      rivals[projected ? "projected" : "direct"] = () => run();
    }
    await harness.compare(`one pair, B = ${batchSize}, ${name}`, rivals, { unit: "update" });
  }
  backend.close();
}
