/** A step of Adam with decoupled weight decay on 159,010 parameters, as an operation: three vectors copied in and out. */
import { openReference } from "../dist/backends/reference.js";
import { expectClose } from "./harness.mjs";
import { backends, batch, loss, network, parameters } from "./problem.mjs";

const [beta1, beta2] = [0.9, 0.999];
const optimizer = { kind: "adam", beta1, beta2, epsilon: 1e-8, weightDecay: 0.05 };

export default async function (harness) {
  const reference = openReference();
  const { gradient } = await reference.operations.gradient({ network, loss, parameters, batch: batch() });
  const zeros = () => new Float32Array(parameters.length);
  const input = {
    optimizer,
    rate: 1e-3,
    parameters,
    gradient: Float32Array.from(gradient),
    moments: [zeros(), zeros()],
  };
  const expected = await reference.operations.step({ ...input, index: 3 });
  const opened = Object.entries(backends());
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
  for (const [, backend] of opened) backend.close();
}
