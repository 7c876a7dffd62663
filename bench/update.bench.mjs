/**
 * What an update costs apart from its mathematics: crossing into the backend and bookkeeping, seen on a network of
 * 23 parameters. One update a crossing against a hundred.
 */
import { openReference } from "../lib/backends/reference.js";
import { expectClose } from "./harness.mjs";
import { backends, openRun } from "./problem.mjs";

const tiny = {
  network: { layers: [4, 3, 2], activation: "tanh" },
  data: {
    train: {
      inputs: Float32Array.from({ length: 4 * 32 }, (_, i) => Math.sin(i)),
      labels: Uint16Array.from({ length: 32 }, (_, i) => i % 2),
    },
  },
  batchSize: 2,
  rate: 0.05,
  state: { parameters: Float32Array.from({ length: 23 }, (_, i) => Math.cos(i)), moments: [], chain: null },
};
const CROSSING = 100;

export default async function (harness) {
  const after = async (backend) => {
    const { session, run } = openRun(backend, { kind: "sgd" }, tiny);
    await run(CROSSING);
    const { parameters } = await session.read();
    session.close();
    return parameters;
  };
  const expected = await after(openReference());
  const opened = Object.entries(backends()).slice(0, 2);
  for (const [name, backend] of opened) {
    expectClose(`update, ${name}`, await after(backend), expected, 1e-4);
  }
  const rivals = (count) =>
    Object.fromEntries(
      opened.map(([name, backend]) => {
        const { run } = openRun(backend, { kind: "sgd" }, tiny);
        return [name, () => run(count)];
      }),
    );
  await harness.compare("tiny update, one a crossing", rivals(1), { unit: "update" });
  await harness.compare(`tiny update, ${CROSSING} a crossing`, rivals(CROSSING), {
    per: CROSSING,
    unit: "update",
  });
  for (const [, backend] of opened) backend.close();
}
