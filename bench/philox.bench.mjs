/** Philox4x32-10: a block of four words by the reference, and by the WASM build eight at a time. */
import { readFileSync } from "node:fs";
import { philox4x32 } from "../dist/reference/philox.js";
import { expectClose } from "./harness.mjs";

export async function openWasm() {
  const memory = new WebAssembly.Memory({ initial: 128 });
  const code = readFileSync(new URL("../dist/wasm/local-entropy.simd.wasm", import.meta.url));
  const { instance } = await WebAssembly.instantiate(code, { env: { memory } });
  return { ...instance.exports, memory };
}

export default async function (harness) {
  const { philox, memory } = await openWasm();
  const blocks = 4096;
  const words = new Uint32Array(memory.buffer, 1024, 32);
  philox(7, 1, 2, 3, 4, 5, 1024);
  for (let lane = 0; lane < 8; lane++) {
    const lanes = [0, 1, 2, 3].map((word) => words[8 * word + lane]);
    expectClose("philox, wasm", lanes, philox4x32([7 + lane, 1, 2, 3], [4, 5]), 0);
  }
  let sink = 0;
  await harness.compare(
    "philox",
    {
      wasm: async () => {
        for (let block = 0; block < blocks; block += 8) philox(block, 1, 2, 3, 4, 5, 1024);
        sink ^= words[0];
      },
      reference: async () => {
        for (let block = 0; block < blocks; block++) sink ^= philox4x32([block, 1, 2, 3], [4, 5])[0];
      },
    },
    { per: blocks, unit: "block" },
  );
  return sink;
}
