/** Each operation of the native backend and each estimator in a run, once, as small as they come; for slow machines. */
import { openBackend, train } from "../../../dist/index.js";

const inputs = Float32Array.from({ length: 12 * 5 }, (_, i) => Math.sin(i));
const labels = Uint8Array.from({ length: 12 }, (_, i) => i % 3);
const network = [5, 4, 3];
const n = 39;
const batch = { inputs, labels };
const point = { network, parameters: Float32Array.from({ length: n }, (_, i) => Math.cos(i) / 4), batch };
const drawn = { ...point, seed: 1, update: 0, tau: 0.1 };
const couplings = [
  { kind: "walsh", blocks: 1 },
  { kind: "antithetic", samples: 4 },
  { kind: "independent", samples: 4 },
];

const backend = await openBackend("native", { threads: 2 });
await backend.gaussian({ seed: 1, stream: 20, update: 0, sample: 0, count: 100 });
await backend.loss(point);
await backend.gradient(point);
await backend.predict({ network, parameters: point.parameters, inputs });
await backend.accuracy({ network, parameters: point.parameters, data: batch });
await backend.hessianProduct({ ...point, vector: point.parameters });
await backend.hessianEigenvalues({ ...point, largest: 2, smallest: 1 });
for (const projection of ["auto", "off"]) {
  for (const coupling of couplings) {
    for (const rowwise of [true, false]) {
      await backend.weights({ ...drawn, coupling, rowwise, projection });
      await backend.importanceSampling({ ...drawn, coupling, rowwise, projection });
      await backend.evolutionStrategies({ ...drawn, coupling, rowwise, projection });
    }
  }
  await backend.sgld({ ...drawn, stepSizes: [0.01, 0.01, 0.01], projection });
  await backend.robbinsMonro({ ...drawn, samples: 2, stepSizes: [0.5, 0.25], projection });
}
for (const kind of ["gradient-descent", "momentum", "adam"])
  await backend.step({
    ...{ parameters: point.parameters, gradient: point.parameters, rate: 0.1, index: 1 },
    optimizer: { kind },
  });
backend.close();

const data = { train: { inputs, labels, count: 12, width: 5, classes: 3 } };
const steps = { steps: 3, stepSize: 0.01 };
const objectives = [
  { kind: "loss" },
  { kind: "local-entropy" },
  { kind: "local-entropy", estimator: { kind: "sgld", ...steps } },
  { kind: "heat", estimator: { kind: "evolution-strategies" } },
  { kind: "heat", estimator: { kind: "robbins-monro", samples: 2, ...steps } },
];
for (const objective of objectives)
  await train({
    ...{ network, data, objective, optimizer: { kind: "adam", rate: 0.01 } },
    ...{ updates: 2, batchSize: 4, seed: 1, backend: "native", threads: 2 },
  }).result;
console.log("every operation");
