/**
 * Calls as jobs of the WASM kernels: what each one is given in memory (`wasm/abi.ts`), and what is read back. It runs in
 * the thread that computes.
 *
 * Symbols: B rows of a minibatch, n parameters, J samples, τ the proposal's variance, δ the temperature.
 */
import type { Network } from "../../network.ts";
import type { Key } from "../../reference/random/streams.ts";
import { type Coupling, type Estimator, type Optimizer, sampleCount } from "../backend.ts";
import { ACTIVATIONS, COUPLINGS, ESTIMATORS, OPERATIONS, OPTIMIZERS } from "./abi.ts";
import type {
  copyBatch,
  copyGaussian,
  copyInputs,
  copyRobbinsMonro,
  copySampling,
  copySgld,
  copyStep,
  Rows,
} from "./inputs.ts";
import type { Fields, Machine, Pieces } from "./machine.ts";

/** What a copy of a call's input looks like. */
type InputOf<Copy extends (...input: never[]) => { input: unknown }> = ReturnType<Copy>["input"];
type Floats = Float32Array<ArrayBuffer>;

/** A call whose job was cancelled. */
export class Cancelled extends Error {}

export function networkFields(pieces: Pieces, { layers, activation }: Network, costs: Floats | null): Fields {
  return {
    depth: layers.length - 1,
    layers: pieces.put(Uint32Array.from(layers)),
    activation: ACTIVATIONS[activation],
    costs: costs === null ? 0 : pieces.put(costs),
  };
}

export function rowsFields(pieces: Pieces, { inputs, labels, count }: Rows): Fields {
  return {
    inputs: pieces.put(inputs),
    inputsAreFloats: Number(inputs.BYTES_PER_ELEMENT === 4),
    labels: labels.length > 0 ? pieces.put(labels) : 0,
    sampleCount: count,
  };
}

export function seedFields([seedLow, seedHigh]: Key): Fields {
  return { seedLow, seedHigh };
}

function couplingFields(coupling: Coupling): Fields {
  return {
    coupling: COUPLINGS[coupling.kind],
    samples: coupling.kind === "walsh" ? coupling.blocks : coupling.samples,
    centred: Number(coupling.kind === "independent" && coupling.centred),
    sampleComplement: Number(coupling.kind === "independent" && coupling.complement === "sample"),
  };
}

export function estimatorFields(pieces: Pieces, estimator: Estimator): Fields {
  const kind = { estimator: ESTIMATORS[estimator.kind], batches: 1, temperature: 1 };
  switch (estimator.kind) {
    case "sgd":
      return kind;
    case "importance-sampling":
    case "evolution-strategies": {
      const { coupling, rowwise, projected } = estimator;
      return {
        ...kind,
        ...couplingFields(coupling),
        rowwise: Number(rowwise),
        projected: Number(projected),
        temperature: estimator.kind === "importance-sampling" ? estimator.temperature : 1,
      };
    }
    case "sgld":
    case "robbins-monro":
      return {
        ...kind,
        ...(estimator.kind === "sgld"
          ? {
              noiseScales: pieces.put(estimator.noiseScales),
              chainPrevious: Number(estimator.chainStart === "previous"),
            }
          : { samples: estimator.samples }),
        steps: estimator.stepSizes.length,
        stepSizes: pieces.put(estimator.stepSizes),
        batches: estimator.batches,
        projected: Number(estimator.projected),
      };
    default:
      return estimator satisfies never;
  }
}

export function optimizerFields({ kind, ...constants }: Optimizer): Fields {
  return { optimizer: OPTIMIZERS[kind], ...constants };
}

/** The operations, each one job; arrays in and out belong to the caller. */
export function operationJobs(machine: Machine) {
  /** Runs a job on pieces that are freed after `read` has copied what it wants. */
  async function job<T>(fill: (pieces: Pieces) => Fields, read: (fields: Fields) => T): Promise<T> {
    const pieces = machine.pieces();
    try {
      const fields = fill(pieces);
      machine.run(fields);
      if (machine.field("cancel") !== 0) throw new Cancelled();
      return read(fields);
    } finally {
      pieces.free();
    }
  }

  const pointFields = (
    pieces: Pieces,
    { network, costs, parameters, rows, batches }: InputOf<typeof copyBatch>,
  ): Fields => ({
    ...networkFields(pieces, network, costs),
    ...rowsFields(pieces, rows),
    parameters: pieces.put(parameters),
    batchSize: rows.count / batches,
  });

  interface Place {
    readonly key: Key;
    readonly update: number;
    readonly tau: number;
    readonly noiseScale: number;
  }

  /** The estimator at a point: `more` adds fields, `read` takes what it wants of gradient, mean and the rest. */
  function estimate<T>(
    point: InputOf<typeof copyBatch>,
    { key, update, tau, noiseScale }: Place,
    estimator: Estimator,
    more: (pieces: Pieces) => Fields,
    read: (fields: Fields) => T,
  ): Promise<T> {
    return job(
      (pieces) => ({
        ...pointFields(pieces, point),
        ...estimatorFields(pieces, estimator),
        ...seedFields(key),
        operation: OPERATIONS.estimate,
        first: update,
        count: 1,
        tau: pieces.put(Float64Array.of(tau)),
        noiseScale: pieces.put(Float64Array.of(noiseScale)),
        gradient: pieces.room(4 * point.parameters.length),
        wantsError: 1,
        ...more(pieces),
      }),
      read,
    );
  }

  /** mean = x − (τ/δ)·gradient, eq. 12 of García Trillos, Kaplan, Sanz-Alonso, Entropy 2019. */
  const meanOf = (parameters: Floats, gradient: Floats, scale: number): Floats =>
    gradient.map((slope, i) => parameters[i] - scale * slope);

  const gradientOf = ({ gradient }: Fields, { parameters }: { parameters: Floats }) =>
    machine.floats(gradient!, parameters.length);

  const standardError = () => {
    const error = machine.field("standardError");
    return Number.isNaN(error) ? null : error;
  };

  const nothing = () => ({});

  return {
    gaussian: ({ key, stream, update, sample, count }: InputOf<typeof copyGaussian>) =>
      job(
        (pieces) => ({
          ...seedFields(key),
          ...{ operation: OPERATIONS.gaussian, stream, first: update, sample, entries: count },
          output: pieces.room(4 * Math.ceil(count / 64) * 64),
        }),
        ({ output }) => machine.floats(output!, count),
      ),

    loss: (input: InputOf<typeof copyBatch>) =>
      job(
        (pieces) => ({ ...pointFields(pieces, input), operation: OPERATIONS.loss }),
        () => machine.field("loss"),
      ),

    gradient: (input: InputOf<typeof copyBatch>) => {
      const place = { key: [0, 0], update: 0, tau: 0, noiseScale: 0 } as const;
      return estimate(input, place, { kind: "sgd" }, nothing, (fields) => ({
        gradient: gradientOf(fields, input),
        loss: machine.field("loss"),
      }));
    },

    predict: (input: InputOf<typeof copyInputs>) => {
      const { rows, network } = input;
      const classes = network.layers[network.layers.length - 1];
      return job(
        (pieces) => ({
          ...pointFields(pieces, input),
          operation: OPERATIONS.predict,
          output: pieces.room(4 * rows.count * classes),
          outputLabels: pieces.room(2 * rows.count),
        }),
        ({ output, outputLabels }) => ({
          probabilities: machine.floats(output!, rows.count * classes),
          labels: machine.shorts(outputLabels!, rows.count),
        }),
      );
    },

    accuracy: (input: InputOf<typeof copyBatch>) =>
      job(
        (pieces) => ({ ...pointFields(pieces, input), operation: OPERATIONS.correct }),
        () => machine.field("correct") / input.rows.count,
      ),

    weights: (input: InputOf<typeof copySampling>) => {
      const { coupling, network, temperature, rowwise, projected } = input;
      const count = sampleCount(coupling, network, rowwise);
      const estimator = {
        kind: "importance-sampling",
        ...{ coupling, temperature, rowwise, projected },
      } as const;
      const more = (pieces: Pieces) => ({ losses: pieces.room(4 * count), wantsError: 0 });
      return estimate(input, input, estimator, more, ({ losses }) => ({
        losses: machine.floats(losses!, count),
      }));
    },

    importanceSampling: (input: InputOf<typeof copySampling>) => {
      const { coupling, network, parameters, tau, temperature, rowwise, projected } = input;
      const estimator = {
        kind: "importance-sampling",
        ...{ coupling, temperature, rowwise, projected },
      } as const;
      return estimate(input, input, estimator, nothing, (fields) => {
        const gradient = gradientOf(fields, input);
        return {
          mean: meanOf(parameters, gradient, tau / temperature),
          gradient,
          loss: machine.field("loss"),
          freeEnergy: machine.field("freeEnergy"),
          effectiveSampleSize: machine.field("effectiveSampleSize"),
          largestWeight: machine.field("largestWeight"),
          standardError: standardError(),
          samples: sampleCount(coupling, network, rowwise),
        };
      });
    },

    evolutionStrategies: (input: InputOf<typeof copySampling>) => {
      const { coupling, network, parameters, tau, rowwise, projected } = input;
      const estimator = { kind: "evolution-strategies", coupling, rowwise, projected } as const;
      return estimate(input, input, estimator, nothing, (fields) => {
        const gradient = gradientOf(fields, input);
        return {
          mean: meanOf(parameters, gradient, tau),
          gradient,
          loss: machine.field("loss"),
          standardError: standardError(),
          samples: sampleCount(coupling, network, rowwise),
        };
      });
    },

    sgld: (input: InputOf<typeof copySgld>) => {
      const { stepSizes, noiseScales, batches, projected, parameters, tau, start } = input;
      const estimator = {
        kind: "sgld",
        ...{ stepSizes, noiseScales, batches, projected },
        chainStart: "previous",
      } as const;
      const more = (pieces: Pieces) => ({ chain: pieces.put(start) });
      return estimate(input, { ...input, noiseScale: 0 }, estimator, more, (fields) => ({
        mean: meanOf(parameters, gradientOf(fields, input), tau),
        last: machine.floats(fields.chain!, start.length),
        loss: machine.field("loss"),
      }));
    },

    robbinsMonro: (input: InputOf<typeof copyRobbinsMonro>) => {
      const { samples, stepSizes, batches, projected, parameters, tau } = input;
      const estimator = { kind: "robbins-monro", samples, stepSizes, batches, projected } as const;
      return estimate(input, input, estimator, nothing, (fields) => ({
        mean: meanOf(parameters, gradientOf(fields, input), tau),
        loss: machine.field("loss"),
      }));
    },

    step: ({ optimizer, rate, parameters, gradient, moments, index }: InputOf<typeof copyStep>) => {
      const n = parameters.length;
      return job(
        (pieces) => ({
          ...optimizerFields(optimizer),
          ...{ operation: OPERATIONS.step, entries: n, first: index - 1 },
          rate: pieces.put(Float64Array.of(rate)),
          parameters: pieces.put(parameters),
          gradient: pieces.put(gradient),
          moment1: moments.length > 0 ? pieces.put(moments[0]) : 0,
          moment2: moments.length > 1 ? pieces.put(moments[1]) : 0,
        }),
        ({ parameters, moment1, moment2 }) => ({
          parameters: machine.floats(parameters!, n),
          moments: [moment1!, moment2!].slice(0, moments.length).map((at) => machine.floats(at, n)),
        }),
      );
    },
  };
}
