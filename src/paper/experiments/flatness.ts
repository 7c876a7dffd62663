/**
 * Beyond the paper, its own motivation: are minima found by local entropy flatter, and do flat ones generalize? Networks by
 * several methods are compared at equal training loss, since unfinished ones look flat.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { subset } from "../../data/mnist.ts";
import { type OpenBackend, openBackend } from "../../operations.ts";
import type { Data, TrainOptions } from "../../options/types.ts";
import { load } from "../../runs/checkpoint.ts";
import { train } from "../../train.ts";
import type { Context, Scale, Task } from "../experiment.ts";
import {
  around,
  type Flatness,
  filterDirection,
  flatnessOf,
  lossesAlong,
  type Place,
  relativeCurvature,
  rescaled,
} from "../flatness.ts";
import { NETWORK, WALSH } from "./methods.ts";

type Method = Pick<TrainOptions, "objective" | "optimizer" | "batchSize">;

const ADAM = { kind: "adam", rate: 1e-3 } as const;
const TAU = 5e-3;
const WALSH_BLOCKS = { kind: "walsh", blocks: 2 } as const;

/** By name; the first is the one whose rescaling is shown. */
export const FLATNESS_METHODS: Readonly<Record<string, Method>> = {
  "SGD, minibatches of 20": {
    objective: { kind: "loss" },
    optimizer: { kind: "gradient-descent", rate: 0.1 },
    batchSize: 20,
  },
  "SGD, minibatches of 500": {
    objective: { kind: "loss" },
    optimizer: { kind: "gradient-descent", rate: 0.5 },
    batchSize: 500,
  },
  "the loss by Adam": { objective: { kind: "loss" }, optimizer: ADAM, batchSize: 32 },
  "at perturbed weights": {
    objective: {
      kind: "heat",
      tau: TAU,
      estimator: { kind: "robbins-monro", samples: 1, steps: 1, stepSize: 1 },
    },
    ...{ optimizer: ADAM, batchSize: 32 },
  },
  "heat, gradient-free": {
    objective: {
      kind: "heat",
      tau: TAU,
      estimator: { kind: "evolution-strategies", coupling: WALSH_BLOCKS },
    },
    ...{ optimizer: ADAM, batchSize: 32 },
  },
  "local entropy, gradient-free": {
    objective: { kind: "local-entropy", tau: TAU, estimator: WALSH },
    ...{ optimizer: ADAM, batchSize: 32 },
  },
};

/** Methods whose landscapes over a plane are drawn. */
export const MAPPED = ["SGD, minibatches of 500", "the loss by Adam", "local entropy, gradient-free"];

/** Factors of the rescaling that changes nothing: 1/4 … 4. */
export const RESCALED = 4;

export function flatnessSettings({ quick }: Scale) {
  return {
    /** The loss, nats, on the rows at which trainings end, and updates between two looks at it. */
    target: quick ? 0.6 : 0.1,
    every: quick ? 20 : 50,
    /** At most so many updates. */
    updates: quick ? 600 : 40_000,
    /** The first training rows: those that everything is measured on, and those of the plane's points. */
    rows: quick ? 1000 : 10_000,
    planeRows: quick ? 200 : 2000,
    taus: [1e-4, 1e-3, 1e-2],
    /** Points on a line, and on each axis of a plane. */
    line: quick ? 9 : 41,
    plane: quick ? 7 : 21,
    /** How far along an eigenvector, in units of the parameters; along filter directions, in their size. */
    along: 1,
    across: 1,
  };
}

type Measure = ReturnType<typeof flatnessSettings>;

/** What is kept of a network. */
export interface FlatNetwork {
  readonly method: string;
  readonly seed: number;
  /** At the end; null where the loss was not reached. */
  readonly updates: number | null;
  readonly testAccuracy: number | null;
  readonly flatness: Flatness | null;
  /** Losses along the first eigenvector and along a filter direction. */
  readonly lines: { readonly eigenvector: readonly number[]; readonly filter: readonly number[] } | null;
  /** Losses over the plane of two filter directions, row after row. */
  readonly plane: readonly number[] | null;
  /** The largest eigenvalue and the relative curvature of the same function by other parameters. */
  readonly rescaled: { readonly largest: number; readonly relative: number; readonly loss: number } | null;
}

/** One network, trained until its loss is low enough, and looked at. */
export function flatNetwork(method: string, seed: number, scale: Scale): Task<FlatNetwork> {
  const measure = flatnessSettings(scale);
  const drawn = {
    lines: seed === 1,
    plane: seed === 1 && MAPPED.includes(method),
    rescaled: seed === 1 && method === Object.keys(FLATNESS_METHODS)[0],
  };
  const settings = FLATNESS_METHODS[method];
  return {
    name: `flatness of ${method}, seed ${seed}`,
    options: { measured: "flatness", network: NETWORK, ...settings, seed, ...measure, ...drawn },
    onBackend: true,
    async compute(context) {
      const data = await context.data();
      const backend = await openBackend(context.backend, { threads: context.threads });
      try {
        const { inputs, labels } = subset(data.train, measure.rows);
        const batch = { inputs, labels };
        const trained = await trainedTo(measure, settings, seed, context, backend, data, batch);
        const found = { method, seed, flatness: null, lines: null, plane: null, rescaled: null };
        if (trained === null) return { ...found, updates: null, testAccuracy: null };
        const { parameters, updates } = trained;
        const place = { network: NETWORK, parameters, batch };
        const { inputs: images, labels: classes } = data.test ?? data.train;
        const accuracy = { network: NETWORK, parameters, data: { inputs: images, labels: classes } };
        const { flatness, vectors } = await flatnessOf(backend, place, measure.taus);
        const directions = [
          await filterDirection(backend, place, 1),
          await filterDirection(backend, place, 2),
        ];
        return {
          ...{ ...found, updates, flatness, testAccuracy: await backend.accuracy(accuracy) },
          lines: drawn.lines ? await linesOf(backend, place, vectors[0], directions[0], measure) : null,
          plane: drawn.plane ? await planeOf(backend, place, directions, measure) : null,
          rescaled: drawn.rescaled ? await rescaledOf(backend, place) : null,
        };
      } finally {
        backend.close();
      }
    },
  };
}

/** The first state, of those looked at, whose loss on the rows is at most the target. */
async function trainedTo(
  { target, every, updates }: Measure,
  settings: Method,
  seed: number,
  { backend: name, threads }: Context,
  backend: OpenBackend,
  data: Data,
  batch: Place["batch"],
): Promise<{ parameters: Place["parameters"]; updates: number } | null> {
  const folder = await mkdtemp(join(tmpdir(), "local-entropy-flatness-"));
  try {
    // Test rows are there for records on whose hearing `save` writes the state that they speak of.
    const seen = { train: data.train, test: subset(data.train, 100) };
    const fixed = { network: NETWORK, data: seen, seed, updates, backend: name, threads };
    const going = train({ ...settings, ...fixed, recordEvery: every, evaluateEvery: every });
    for await (const { update, loss } of going) {
      if (loss > 2 * target) continue;
      await going.save(folder);
      const { parameters } = await load(folder);
      if ((await backend.loss({ network: NETWORK, parameters, batch })) <= target)
        return { parameters, updates: update };
    }
    return null;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function linesOf(
  backend: OpenBackend,
  place: Place,
  eigenvector: Float64Array,
  filter: Float64Array,
  { line, along, across }: Measure,
): Promise<FlatNetwork["lines"]> {
  const places = (half: number) => around(half, line).map((t) => [t]);
  const either = await lossesAlong(backend, place, [eigenvector], places(along));
  // An eigenvector's sign says nothing: the steeper side is drawn on the right.
  const rises = either[0] <= either[either.length - 1];
  return {
    eigenvector: rises ? either : either.reverse(),
    filter: await lossesAlong(backend, place, [filter], places(across)),
  };
}

async function planeOf(
  backend: OpenBackend,
  { batch, ...place }: Place,
  directions: readonly Float64Array[],
  { plane, planeRows, across }: Measure,
): Promise<number[]> {
  const [inputs, labels] = [batch.inputs.subarray(0, 784 * planeRows), batch.labels.subarray(0, planeRows)];
  const axis = around(across, plane);
  const places = axis.flatMap((y) => axis.map((x) => [x, y]));
  return lossesAlong(backend, { ...place, batch: { inputs, labels } }, directions, places);
}

async function rescaledOf(backend: OpenBackend, place: Place): Promise<FlatNetwork["rescaled"]> {
  const other = { ...place, parameters: rescaled(place, RESCALED) };
  const { largest } = await backend.hessianEigenvalues(other);
  const relative = await relativeCurvature(backend, other);
  return { largest: largest[0].value, relative: relative.value, loss: await backend.loss(other) };
}

/** Every network, method by method. */
export function flatNetworks(scale: Scale): Task<FlatNetwork>[] {
  const seeds = scale.quick ? 1 : 5;
  const names = Object.keys(FLATNESS_METHODS);
  return names.flatMap((method) =>
    Array.from({ length: seeds }, (_, i) => flatNetwork(method, i + 1, scale)),
  );
}
