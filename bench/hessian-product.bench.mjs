/** A product with the Hessian on a minibatch and on 1,000 images, beside the gradient of the same rows. */
import { openReference } from "../lib/backends/reference.js";
import { expectClose } from "./harness.mjs";
import { B, backends, batch, loss, network, parameters } from "./problem.mjs";

const ROWS = 1000;
const vector = parameters.map((_, i) => Math.sin(7 * i) / 300);

export default async function (harness) {
  const opened = Object.entries(backends());
  for (const rows of [B, ROWS]) {
    const input = { network, parameters, batch: batch(rows), vector };
    const expected = rows === B ? await openReference().operations.hessianProduct(input) : null;
    const rivals = {};
    for (const [name, { operations }] of opened) {
      rivals[`product, ${name}`] = () => operations.hessianProduct(input);
      rivals[`gradient, ${name}`] = () => operations.gradient({ ...input, loss });
      if (expected) expectClose(`product, ${name}`, await operations.hessianProduct(input), expected, 1e-5);
    }
    await harness.compare(`Hessian times a vector, ${rows} rows`, rivals);
  }
  for (const [, backend] of opened) backend.close();
}
