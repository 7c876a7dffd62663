/** A million normals: each backend (the copy to JavaScript included), the reference, and other packages. */
import { gaussian } from "../lib/reference/random/gaussian.js";
import { expectClose } from "./harness.mjs";
import { backends, key } from "./problem.mjs";

const COUNT = 1_000_000;
const STREAM = 16;

export default async function (harness) {
  const expected = gaussian(key, STREAM, 3, 5, COUNT);
  const opened = backends();
  const ours = {};
  for (const [name, backend] of Object.entries(opened)) {
    const run = () =>
      backend.operations.gaussian({ key, stream: STREAM, update: 3, sample: 5, count: COUNT });
    expectClose(`gaussian, ${name}`, await run(), expected, 0);
    ours[name] = run;
  }
  ours.reference = async () => gaussian(key, STREAM, 3, 5, COUNT);
  const rivals = await harness.peerRivals("gaussian");
  await harness.compare("gaussian", { ...ours, ...rivals }, { per: COUNT, unit: "normal" });
  for (const backend of Object.values(opened)) backend.close();
}
