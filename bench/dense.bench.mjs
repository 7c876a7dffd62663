/** Loss and gradient of one minibatch as operations (parameters copied in), accuracy on 10,000 images in a session. */
import { openReference } from "../lib/backends/reference.js";
import { expectClose } from "./harness.mjs";
import { B, backends, batch, data, loss, network, openRun, parameters } from "./problem.mjs";

const input = { network, loss, parameters, batch: batch() };

export default async function (harness) {
  const reference = openReference();
  const expected = await reference.operations.gradient(input);
  const expectedAccuracy = await openRun(reference, { kind: "sgd" }).session.accuracy("test");
  const opened = Object.entries(backends());
  const operations = { loss: {}, gradient: {}, accuracy: {} };
  for (const [name, backend] of opened) {
    operations.loss[name] = () => backend.operations.loss(input);
    operations.gradient[name] = () => backend.operations.gradient(input);
    const { session } = openRun(backend, { kind: "sgd" });
    operations.accuracy[name] = () => session.accuracy("test");
    const { gradient, loss: value } = await backend.operations.gradient(input);
    expectClose(`gradient, ${name}`, gradient, expected.gradient, 1e-5);
    expectClose(`loss of the gradient, ${name}`, value, expected.loss, 1e-5);
    expectClose(`loss, ${name}`, await backend.operations.loss(input), expected.loss, 1e-5);
    // One image in 10,000 may stand on the border between two classes.
    expectClose(`accuracy, ${name}`, await session.accuracy("test"), expectedAccuracy, 2e-3);
  }
  await harness.compare(`loss, B = ${B}`, operations.loss);
  await harness.compare(`gradient, B = ${B}`, operations.gradient);
  const images = data.test.labels.length;
  await harness.compare(`accuracy, ${images} images`, operations.accuracy);
  for (const [, backend] of opened) backend.close();
}
