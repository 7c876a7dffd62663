// What a user's TypeScript does with the package; compiled only.

import {
  cosine,
  type Dataset,
  load,
  loadMnist,
  minimize,
  OptionError,
  openBackend,
  paper,
  type TrainRecord,
  train,
} from "local-entropy";
import { writeReport } from "local-entropy/report";

export async function all(data: Dataset): Promise<number> {
  const run = train({
    network: { layers: [6, 8, 3], activation: "relu" },
    data: { train: data },
    objective: {
      kind: "local-entropy",
      tau: 0.01,
      estimator: { kind: "importance-sampling", coupling: { kind: "walsh", blocks: 2 } },
    },
    optimizer: { kind: "adam", rate: cosine(1e-3, 0) },
    updates: 10,
  });
  const records: TrainRecord[] = [];
  for await (const record of run) records.push(record);
  const result = await run.result;
  const names: string[] = result.backend.declined.map(({ name }) => name);
  await result.save("run");
  const { parameters, resume } = await load("run");
  train({ network: [6, 8, 3], data: { train: data }, ...paper.sgld(), updates: 20, resume });
  await writeReport("run");
  const backend = await openBackend("auto", { threads: 1 });
  const { labels } = await backend.predict({ network: [6, 8, 3], parameters, inputs: data.inputs });
  backend.close();
  const { parameters: least } = await minimize({
    loss: { dimension: 1, value: (x) => x[0]! ** 2 },
    start: [2],
    objective: { kind: "local-entropy", tau: 0.05 },
    updates: 10,
  }).result;
  try {
    await loadMnist();
  } catch (error) {
    if (error instanceof OptionError) names.push(error.message);
  }
  // @ts-expect-error there is no such optimizer
  train({ network: [6, 8, 3], data: { train: data }, updates: 1, optimizer: { kind: "newton" } });
  return labels.length + least.length + names.length;
}
