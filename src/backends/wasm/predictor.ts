/**
 * Predictions of few rows by the kernels on the calling thread: a message to another thread and back takes longer than
 * they do.
 */
import type { Network } from "../../network.ts";
import type { Predictor, Vector } from "../backend.ts";
import { examplesPart, type Job, jobOf } from "../job.ts";
import type { Machine } from "./machine.ts";

/**
 * Places a network and its parameters in the machine's memory, until it is closed.
 *
 * @param job its network, loss and parameters
 * @param checkOpen throws where the backend is closed
 */
export function nearPredictor(
  machine: Machine,
  job: Job,
  network: Network,
  checkOpen: () => void,
): Predictor {
  const [width] = network.layers;
  const classes = network.layers[network.layers.length - 1];
  const kept = machine.pieces();
  const fields = machine.place(kept, job);
  return {
    predict(inputs) {
      checkOpen();
      const rows = inputs.length / width;
      const outputs = { output: rows * classes, outputLabels: rows };
      const question = jobOf(
        "predict",
        [examplesPart({ inputs }, width), { scalars: { batchSize: rows } }],
        outputs,
      );
      const pieces = machine.pieces();
      try {
        const { layers, parameters, depth, activation, lossKind } = fields;
        const asked = {
          ...machine.place(pieces, question),
          ...{ layers, parameters, depth, activation, lossKind },
        };
        machine.run(asked);
        const { output, outputLabels } = machine.arrays(asked, outputs);
        return { outputs: output as Vector, labels: outputLabels as Uint16Array };
      } finally {
        pieces.free();
      }
    },
    close: () => kept.free(),
  };
}
