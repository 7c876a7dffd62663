/**
 * Copies of what a call hands over: made before it returns, in the kernels' number types, whose buffers then move to the
 * thread that computes. An array of another length than its call implies (a detached one has none) is an error here.
 *
 * Symbols: B rows of a minibatch, d_0 the width of a row, n parameters.
 */
import { OptionError, typeName } from "../../errors.ts";
import { type Network, parameterCount } from "../../network.ts";
import type {
  BatchInput,
  EvolutionStrategiesInput,
  Examples,
  GaussianInput,
  Loss,
  Optimizer,
  Plan,
  PredictInput,
  RobbinsMonroInput,
  SessionSetup,
  SessionState,
  SgldInput,
  StepInput,
  Vector,
  WeightsInput,
} from "../backend.ts";

/** A call on its way to the computing thread: plain data, and the buffers that move there. */
export interface Copied<T> {
  readonly input: T;
  readonly buffers: readonly ArrayBuffer[];
}

/** Rows as the kernels take them; `labels` is empty for predict. */
export interface Rows {
  /** count × d_0. */
  readonly inputs: Uint8Array<ArrayBuffer> | Float32Array<ArrayBuffer>;
  readonly labels: Uint16Array<ArrayBuffer>;
  readonly count: number;
}

type NumberArray = Uint8Array | Uint16Array | Uint32Array | Vector;

class Copies {
  readonly buffers: ArrayBuffer[] = [];

  #kept<T extends { readonly buffer: ArrayBuffer }>(copy: T): T {
    this.buffers.push(copy.buffer);
    return copy;
  }

  floats(name: string, from: NumberArray, length: number) {
    checkLength(name, from, length);
    return this.#kept(new Float32Array(from));
  }

  doubles(name: string, from: NumberArray, length: number) {
    checkLength(name, from, length);
    return this.#kept(new Float64Array(from));
  }

  words(name: string, from: Uint32Array, length: number) {
    checkLength(name, from, length);
    return this.#kept(new Uint32Array(from));
  }

  rows({ inputs, labels }: { inputs: Examples["inputs"]; labels?: Uint16Array }, width: number): Rows {
    const count = labels?.length ?? inputs.length / width;
    if (count === 0) {
      throw new OptionError(
        "Expected at least one row of inputs but received none; a detached array has none",
      );
    }
    checkLength("inputs", inputs, count * width);
    const copy = typeName(inputs) === "Uint8Array" ? new Uint8Array(inputs) : new Float32Array(inputs);
    return {
      inputs: this.#kept(copy),
      labels: this.#kept(labels ? new Uint16Array(labels) : new Uint16Array()),
      count,
    };
  }

  /** Several batches of as many rows each as one set of rows: bytes where all are bytes, else byte/255 as a float. */
  joined(batches: readonly Examples[], width: number): Rows {
    if (batches.length === 1) return this.rows(batches[0], width);
    const copies = batches.map((batch) => new Copies().rows(batch, width));
    const bytes = copies.every(({ inputs }) => inputs.BYTES_PER_ELEMENT === 1);
    const entries = copies.reduce((sum, { inputs }) => sum + inputs.length, 0);
    const inputs = bytes ? new Uint8Array(entries) : new Float32Array(entries);
    const labels = new Uint16Array(entries / width);
    let row = 0;
    for (const copy of copies) {
      const scaled = !bytes && copy.inputs.BYTES_PER_ELEMENT === 1;
      inputs.set(scaled ? Float32Array.from(copy.inputs, (byte) => byte / 255) : copy.inputs, row * width);
      labels.set(copy.labels, row);
      row += copy.count;
    }
    return { inputs: this.#kept(inputs), labels: this.#kept(labels), count: row };
  }

  /** classes × classes costs, or null for cross-entropy. */
  costs(loss: Loss, { layers }: Network) {
    const classes = layers[layers.length - 1];
    return loss.kind === "cost-matrix" ? this.floats("loss.costs", loss.costs, classes * classes) : null;
  }

  state({ parameters, moments, chain }: SessionState, n: number, optimizer: Optimizer) {
    return {
      parameters: this.floats("state.parameters", parameters, n),
      moments: this.moments(moments, n, optimizer),
      chain: chain && this.floats("state.chain", chain, n),
    };
  }

  moments(moments: readonly Vector[], n: number, optimizer: Optimizer) {
    const needed = momentCount(optimizer);
    if (moments.length !== needed) {
      throw new OptionError(`Expected ${needed} vectors for moments but received ${moments.length}`);
    }
    return moments.map((moment) => this.floats("moments", moment, n));
  }
}

export function momentCount({ kind }: Optimizer): number {
  return { "gradient-descent": 0, momentum: 1, adam: 2 }[kind];
}

function checkLength(name: string, from: NumberArray, length: number): void {
  if (from.length === length) return;
  throw new OptionError(
    `Expected ${length} entries for ${name} but received ${from.length}; a detached array has none`,
  );
}

function copied<T>(copy: (copies: Copies) => T): Copied<T> {
  const copies = new Copies();
  return { input: copy(copies), buffers: copies.buffers };
}

/** A network at given parameters, and rows to look at. */
function pointOf(
  copies: Copies,
  { network, loss, parameters }: { network: Network; loss: Loss; parameters: Vector },
  batches: readonly Examples[],
) {
  return {
    network,
    costs: copies.costs(loss, network),
    parameters: copies.floats("parameters", parameters, parameterCount(network)),
    rows: copies.joined(batches, network.layers[0]),
    batches: batches.length,
  };
}

export function copySetup(setup: SessionSetup) {
  const { network, loss, data, batchSize, estimator, optimizer, key, state } = setup;
  const width = network.layers[0];
  return copied((copies) => ({
    network,
    costs: copies.costs(loss, network),
    data: {
      train: copies.rows(data.train, width),
      test: data.test && copies.rows(data.test, width),
      validation: data.validation && copies.rows(data.validation, width),
    },
    batchSize,
    estimator: structuredClone(estimator),
    optimizer,
    key,
    state: copies.state(state, parameterCount(network), optimizer),
  }));
}

/** @param perUpdate row numbers that one update takes: batches × B */
export function copyPlan({ first, count, rows, tau, noiseScale, rate }: Plan, perUpdate: number) {
  return copied((copies) => ({
    first,
    count,
    rows: copies.words("rows", rows, count * perUpdate),
    tau: copies.doubles("tau", tau, count),
    noiseScale: copies.doubles("noiseScale", noiseScale, count),
    rate: copies.doubles("rate", rate, count),
  }));
}

export function copyGaussian({ key, stream, update, sample, count }: GaussianInput) {
  return copied(() => ({ key, stream, update, sample, count }));
}

export function copyBatch(input: BatchInput) {
  return copied((copies) => pointOf(copies, input, [input.batch]));
}

/** For predict, whose rows have no labels. */
export function copyInputs({ network, parameters, inputs }: PredictInput) {
  return copied((copies) => ({
    network,
    costs: null,
    parameters: copies.floats("parameters", parameters, parameterCount(network)),
    rows: copies.rows({ inputs }, network.layers[0]),
    batches: 1,
  }));
}

export function copySampling(input: WeightsInput | EvolutionStrategiesInput) {
  const { key, update, tau, noiseScale, coupling, rowwise, projected } = input;
  const temperature = "temperature" in input ? input.temperature : 1;
  return copied((copies) => ({
    ...pointOf(copies, input, [input.batch]),
    ...{ key, update, tau, noiseScale, coupling, temperature, rowwise, projected },
  }));
}

export function copySgld(input: SgldInput) {
  const { key, update, tau, stepSizes, noiseScales, projected } = input;
  return copied((copies) => ({
    ...pointOf(copies, input, input.batches),
    ...{ key, update, tau, projected },
    stepSizes: copies.doubles("stepSizes", stepSizes, stepSizes.length),
    noiseScales: copies.doubles("noiseScales", noiseScales, stepSizes.length),
    start: copies.floats("start", input.start, parameterCount(input.network)),
  }));
}

export function copyRobbinsMonro(input: RobbinsMonroInput) {
  const { key, update, tau, noiseScale, samples, stepSizes, projected } = input;
  return copied((copies) => ({
    ...pointOf(copies, input, input.batches),
    ...{ key, update, tau, noiseScale, samples, projected },
    stepSizes: copies.doubles("stepSizes", stepSizes, stepSizes.length),
  }));
}

export function copyStep({ optimizer, rate, parameters, gradient, moments, index }: StepInput) {
  const n = parameters.length;
  return copied((copies) => ({
    optimizer,
    rate,
    index,
    parameters: copies.floats("parameters", parameters, n),
    gradient: copies.floats("gradient", gradient, n),
    moments: copies.moments(moments, n, optimizer),
  }));
}
