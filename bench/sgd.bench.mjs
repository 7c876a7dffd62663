/** A step of SGD on the loss itself, a hundred to a crossing. */
import { backends, checkEstimator, openRun } from "./problem.mjs";

const CROSSING = 100;
const SGD = { kind: "sgd" };

export default async function (harness) {
  const opened = Object.entries(backends());
  const ours = {};
  for (const [name, backend] of opened) {
    await checkEstimator(`sgd, ${name}`, backend, SGD, 1e-4);
    const { run } = openRun(backend, SGD, { rate: 0.01 });
    ours[name] = () => run(CROSSING);
  }
  const rivals = await harness.peerRivals("sgd");
  await harness.compare("SGD", { ...ours, ...rivals }, { per: CROSSING, unit: "step" });
  for (const [, backend] of opened) backend.close();
}
