/** Philox4x32-10: a block of four words, one at a time; vectorized, it is inside gaussian.bench.mjs. */
import { philox4x32 } from "../lib/reference/random/philox.js";
import { expectClose } from "./harness.mjs";

const BLOCKS = 4096;

export default async function (harness) {
  // The published vector of counter and key 0.
  const known = [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8];
  expectClose("philox, reference", philox4x32([0, 0, 0, 0], [0, 0]), known, 0);
  let sink = 0;
  const reference = async () => {
    for (let block = 0; block < BLOCKS; block++) sink ^= philox4x32([block, 1, 2, 3], [4, 5])[0];
  };
  await harness.compare("philox", { reference }, { per: BLOCKS, unit: "block" });
  return sink;
}
