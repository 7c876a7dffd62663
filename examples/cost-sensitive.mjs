/**
 * Trains for a cost that no gradient sees: taking a 4 for a 9 costs ten times as much as any other mistake.
 * `npm run build && node examples/cost-sensitive.mjs [seconds]` (default three times about 30 s on one core).
 *
 * The mean cost of what is predicted is a step function of the parameters; smoothed by local entropy it has a slope,
 * and Walsh-coupled importance sampling estimates that slope from costs alone. The usual way, cross-entropy and the
 * most likely class, does not know that the cost exists.
 */
import { cosine, loadMnist, openBackend, train } from "local-entropy";

const updates = Math.round(1500 * Number(process.argv[2] ?? 30));
const data = await loadMnist();
const costs = Array.from({ length: 10 }, (_, label) =>
  Array.from({ length: 10 }, (_, predicted) =>
    label === predicted ? 0 : label === 4 && predicted === 9 ? 10 : 1,
  ),
);
const settings = {
  network: [784, 200, 10],
  data,
  objective: { kind: "local-entropy", tau: 0.01 },
  optimizer: { kind: "adam", rate: cosine(1e-3, 0), weightDecay: 0.05 },
  updates,
  threads: 1,
};

/** Mean cost on the test images, and how often a 4 was taken for a 9. */
async function judge(parameters) {
  const backend = await openBackend("auto");
  const { labels } = await backend.predict({
    network: settings.network,
    parameters,
    inputs: data.test.inputs,
  });
  backend.close();
  let cost = 0;
  let costly = 0;
  let wrong = 0;
  labels.forEach((predicted, i) => {
    const label = data.test.labels[i];
    cost += costs[label][predicted] / labels.length;
    if (label !== predicted) wrong++;
    if (label === 4 && predicted === 9) costly++;
  });
  return `mean cost ${cost.toFixed(4)}, ${wrong} of ${labels.length} wrong, ${costly} of them a 4 taken for a 9`;
}

const { parameters: start } = await train({ ...settings, loss: "cross-entropy" }).result;
console.log(`cross-entropy: ${await judge(start)}`);
for (const [name, loss] of [
  ["as long again by cross-entropy", "cross-entropy"],
  ["as long again by the cost itself", { kind: "cost-matrix", costs }],
]) {
  const { parameters } = await train({ ...settings, loss, parameters: start, seed: 2 }).result;
  console.log(`${name}: ${await judge(parameters)}`);
}
