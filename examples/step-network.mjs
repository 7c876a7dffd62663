/**
 * Trains a network whose hidden units are on or off, by the number of images it gets wrong: neither the activation
 * nor the loss has a useful gradient. `npm run build && node examples/step-network.mjs [seconds]` (default about 30 s
 * on one core).
 */
import { cosine, loadMnist, train } from "local-entropy";

const updates = Math.round(1500 * Number(process.argv[2] ?? 30));
const run = train({
  network: { layers: [784, 200, 10], activation: "step" },
  loss: "zero-one",
  data: await loadMnist(),
  objective: { kind: "local-entropy", tau: 0.01 },
  optimizer: { kind: "adam", rate: cosine(1e-3, 0), weightDecay: 0.05 },
  updates,
  recordEvery: Math.ceil(updates / 10),
  evaluateEvery: Math.ceil(updates / 10),
  threads: 1,
});
for await (const { update, loss, testAccuracy } of run) {
  console.log(
    `update ${update}: ${(100 * loss).toFixed(2)} % of the training images wrong, ` +
      `${(100 * testAccuracy).toFixed(2)} % of the test images right`,
  );
}
