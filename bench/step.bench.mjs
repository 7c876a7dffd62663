/**
 * Adam with decoupled weight decay on 159,010 parameters: as an operation (three vectors copied in and out), and a
 * whole step of back-propagation with it, a hundred to a crossing.
 */
import { openReference } from "../lib/backends/reference.js";
import { expectClose } from "./harness.mjs";
import { backends, batch, loss, network, openRun, parameters } from "./problem.mjs";

const [beta1, beta2] = [0.9, 0.999];
const optimizer = { kind: "adam", beta1, beta2, epsilon: 1e-8, weightDecay: 0.05 };
const CROSSING = 100;
const zeros = () => new Float32Array(parameters.length);

async function compareOperation(harness, opened) {
  const reference = openReference();
  const { gradient } = await reference.operations.gradient({ network, loss, parameters, batch: batch() });
  const moments = [zeros(), zeros()];
  const input = { optimizer, rate: 1e-3, parameters, gradient: Float32Array.from(gradient), moments };
  const expected = await reference.operations.step({ ...input, index: 3 });
  const rivals = {};
  for (const [name, backend] of opened) {
    rivals[name] = () => backend.operations.step({ ...input, index: 3 });
    const got = await rivals[name]();
    expectClose(`step, ${name}`, got.parameters, expected.parameters, 1e-6);
    for (const [i, moment] of got.moments.entries()) {
      expectClose(`moment ${i + 1}, ${name}`, moment, expected.moments[i], 1e-6);
    }
  }
  await harness.compare("Adam's step", rivals, { unit: "step" });
}

async function compareTraining(harness, opened) {
  const options = (rate) => {
    const state = { parameters, moments: [zeros(), zeros()], chain: null };
    return { rate, optimizer, state };
  };
  const after = async (backend) => {
    const { session, run } = openRun(backend, { kind: "sgd" }, options(1e-2));
    await run(3);
    const { parameters: moved } = await session.read();
    session.close();
    return Float64Array.from(moved, (value, i) => value - parameters[i]);
  };
  const expected = await after(openReference());
  const ours = {};
  for (const [name, backend] of opened) {
    // Adam divides by |g|: entries whose gradient is rounding noise move by as much as any other.
    expectClose(`adam, ${name}`, await after(backend), expected, 2e-2);
    const { run } = openRun(backend, { kind: "sgd" }, options(1e-3));
    ours[name] = () => run(CROSSING);
  }
  const rivals = await harness.peerRivals("adam");
  await harness.compare(
    "back-propagation with Adam",
    { ...ours, ...rivals },
    { per: CROSSING, unit: "step" },
  );
}

export default async function (harness) {
  const opened = Object.entries(backends());
  await compareOperation(harness, opened);
  await compareTraining(harness, opened);
  for (const [, backend] of opened) backend.close();
}
