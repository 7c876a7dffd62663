/** A million normals: each instruction set (the copy to JavaScript included), the WASM build, the reference. */
import { gaussian } from "../dist/reference/gaussian.js";
import { expectClose } from "./harness.mjs";
import { openWasm } from "./philox.bench.mjs";
import { backends, key } from "./problem.mjs";

const COUNT = 1_000_000;
const STREAM = 16;

export default async function (harness) {
  const expected = gaussian(key, STREAM, 3, 5, COUNT);
  const opened = backends();
  const rivals = {};
  for (const [name, backend] of Object.entries(opened)) {
    const run = () =>
      backend.operations.gaussian({ key, stream: STREAM, update: 3, sample: 5, count: COUNT });
    expectClose(`gaussian, ${name}`, await run(), expected, 0);
    rivals[name] = run;
  }
  const wasm = await openWasm();
  rivals.wasm = async () => wasm.gaussian(key[0], key[1], STREAM, 3, 5, COUNT, 1024);
  await rivals.wasm();
  expectClose("gaussian, wasm", new Float32Array(wasm.memory.buffer, 1024, COUNT), expected, 0);
  rivals.reference = async () => gaussian(key, STREAM, 3, 5, COUNT);
  await harness.compare("gaussian", rivals, { per: COUNT, unit: "normal" });
  for (const backend of Object.values(opened)) backend.close();
}
