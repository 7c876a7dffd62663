/**
 * What rivals compute: each task's settings, and the reference's answer on noise that both are given.
 *
 * Noise is the package's own, in its order, as (samples or steps) × n: layer by layer, each (d_{ℓ−1} + 1) × d_ℓ.
 */
import { openReference } from "../../lib/backends/reference.js";
import { meanOf } from "../../lib/network.js";
import { gaussian } from "../../lib/reference/random/gaussian.js";
import { layerStream } from "../../lib/reference/random/streams.js";
import { expectClose } from "../harness.mjs";
import { B, batch, key, loss, network, openRun, parameters, TAU } from "../problem.mjs";
import { array } from "./peer.mjs";

const [d0, d1, d2] = network.layers;
const n = parameters.length;
const upper = (d1 + 1) * d2;

/** Rows of noise index 0 … count − 1: `first` normals of layer 1, then all of layer 2. */
function noise(count, first) {
  const rows = new Float32Array(count * (first + upper));
  for (let index = 0; index < count; index++) {
    const at = index * (first + upper);
    rows.set(gaussian(key, layerStream(1), 0, index, first), at);
    rows.set(gaussian(key, layerStream(2), 0, index, upper), at + first);
  }
  return rows;
}

const whole = { network, loss, parameters, key, update: 0, tau: TAU };
const noiseScale = Math.sqrt(TAU);
const rows = (steps, size) => Uint32Array.from({ length: steps * size }, (_, i) => i);

/** Importance sampling of J samples in the paper's form: raw weights. */
function importanceSampling(samples, projected) {
  const complement = projected ? "marginalize" : "sample";
  const coupling = { kind: "independent", samples, complement, centred: false };
  return { ...whole, batch: batch(), noiseScale, coupling, temperature: 1, rowwise: false, projected };
}

/** How far the parameters moved: an error of the mean itself would drown in the parameters. */
const moved = (values) => Float64Array.from(values, (value, i) => value - parameters[i]);

function expectMoved(what, actual, expected, bound) {
  expectClose(what, moved(actual), moved(expected), bound);
}

/** Parameters after `steps` updates of this optimizer, by the reference. */
async function descended(optimizer, rate, steps) {
  const zeros = () => new Float32Array(n);
  const state = { parameters, moments: optimizer.kind === "adam" ? [zeros(), zeros()] : [], chain: null };
  const { session, run } = openRun(openReference(), { kind: "sgd" }, { rate, optimizer, state });
  await run(steps);
  return (await session.read()).parameters;
}

const ADAM = { kind: "adam", beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.05 };
const CHECKED = 4;
const reference = openReference().operations;

/** |mean|, |variance − 1| and |kurtosis − 3| within five standard errors: false alarm below 2e-6. */
function expectNormal(what, values) {
  const N = values.length;
  const moment = (power) => values.reduce((sum, value) => sum + value ** power, 0) / N;
  for (const [name, value, expected, variance] of [
    ["mean", moment(1), 0, 1],
    ["second moment", moment(2), 1, 2],
    ["fourth moment", moment(4), 3, 96],
  ]) {
    const error = Math.abs(value - expected) / Math.sqrt(variance / N);
    if (!(error < 5)) throw new Error(`${what}: ${name} ${value} is ${error} standard errors off: not timed`);
  }
}

/**
 * Each task: `timed` settings, and `check(answer, variant)`, which asks for answers on given noise and throws where
 * one is not the reference's.
 */
export const TASKS = {
  gaussian: {
    timed: { count: 1_000_000 },
    async check(answer, what) {
      expectNormal(what, (await answer({ count: 1_000_000 })).normals);
    },
  },
  weights: {
    timed: { samples: 1000 },
    async check(answer, what) {
      const Z = array(noise(CHECKED, n - upper), CHECKED, n);
      const { losses } = await answer({ samples: CHECKED, noise: { Z } });
      const expected = await reference.weights(importanceSampling(CHECKED, false));
      expectClose(what, losses, expected.losses, 1e-4);
    },
  },
  "importance-sampling": {
    timed: { samples: 1000 },
    async check(answer, what, variant) {
      const projected = variant === "projected";
      const first = projected ? B * d1 : n - upper;
      const given = array(noise(CHECKED, first), CHECKED, first + upper);
      const { mean } = await answer({ samples: CHECKED, noise: projected ? { U: given } : { Z: given } });
      const asked = importanceSampling(CHECKED, projected);
      const { gradient } = await reference.importanceSampling(asked);
      const expected = meanOf(Float64Array.from(parameters), gradient, TAU / asked.temperature);
      expectMoved(what, mean, expected, 1e-3);
    },
  },
  sgld: {
    timed: { stepSizes: Array.from({ length: 1000 }, (_, i) => 1 / (1001 + i)) },
    async check(answer, what) {
      const stepSizes = [1e-3, 2e-3, 5e-4, 1e-3];
      const steps = stepSizes.length - 1;
      const xi = array(noise(steps, n - upper), steps, n);
      const { mean } = await answer({ stepSizes, noise: { xi } });
      const expected = await reference.sgld({
        ...whole,
        batches: [batch()],
        stepSizes: Float64Array.from(stepSizes),
        noiseScales: Float64Array.from(stepSizes, Math.sqrt),
        start: parameters,
        projected: false,
      });
      expectMoved(what, mean, expected.mean, 1e-3);
    },
  },
  "robbins-monro": {
    timed: { samples: 30, stepSizes: Array.from({ length: 30 }, (_, i) => 0.1 * (i + 1) ** -0.7) },
    async check(answer, what) {
      const [M, stepSizes] = [2, [0.5, 0.2, 0.3]];
      const Z = array(noise(M * stepSizes.length, n - upper), stepSizes.length, M, n);
      const { mean } = await answer({ samples: M, stepSizes, noise: { Z } });
      const expected = await reference.robbinsMonro({
        ...whole,
        batches: [batch()],
        stepSizes: Float64Array.from(stepSizes),
        samples: M,
        noiseScale,
        projected: false,
      });
      expectMoved(what, mean, expected.mean, 1e-3);
    },
  },
  sgd: {
    timed: { rate: 0.01, restart: false, rows: array(rows(100, B), 100, B) },
    async check(answer, what) {
      const { parameters: got } = await answer({ rate: 0.5, restart: true, rows: array(rows(3, B), 3, B) });
      expectMoved(what, got, await descended({ kind: "gradient-descent" }, 0.5, 3), 1e-3);
    },
  },
  adam: {
    timed: { rate: 1e-3, weightDecay: 0.05, restart: false, rows: array(rows(100, B), 100, B) },
    async check(answer, what) {
      const settings = { rate: 1e-2, weightDecay: 0.05, restart: true, rows: array(rows(3, B), 3, B) };
      // Adam divides by |g|: entries whose gradient is rounding noise move by as much as any other.
      expectMoved(what, (await answer(settings)).parameters, await descended(ADAM, 1e-2, 3), 2e-2);
    },
  },
};

/** Widths of the arrays that `load` sends. */
export const problem = (data) => ({
  network: [d0, d1, d2],
  batchSize: B,
  tau: TAU,
  parameters: array(parameters, n),
  inputs: array(data.inputs, data.labels.length, d0),
  labels: array(data.labels, data.labels.length),
});
