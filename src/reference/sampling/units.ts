/**
 * The independent units of an update: one sample, an antithetic pair, or a Walsh block of coupled samples.
 *
 * Whatever couples the samples of a unit, each one is x + s Z with Z standard normal, and an estimate is a mean over
 * units. This file holds what the estimators over units share: the form in which noise is drawn, the forward pass of
 * one sample with the noise kept apart from it, normalized weights, and the spread between units.
 *
 * Form: the first pre-activation of a sample is A W̄ + s M U, with M = L, U = QᵀZ projected (see `projection.ts`) and
 * M = A, U = Z¹ direct.
 *
 * Symbols: B rows, d_0 … d_L widths, n parameters, n₁ = (d_0 + 1)·d_1, A (B × (d_0 + 1)) inputs with the bias input
 * 1, s the perturbation's scale, f_b a row's loss, f̄ its mean over the minibatch, r rows of U (B or d_0 + 1),
 * z = [U (r × d_1) | Z² | … | Z^L] a unit's normals.
 *
 * What this file leaves out: speed.
 */
import type { Coupling, ImportanceSamplingOutput } from "../../backends/backend.ts";
import { layerShapes } from "../../network.ts";
import { joined, lift, reducedNormals, spanOf } from "../linear/projection.ts";
import { type Normals, shifted } from "../machine/work.ts";
import {
  activate,
  type Draw,
  firstLayerSize,
  inputMatrix,
  multiply,
  type NetworkPoint,
  networkNormals,
  rowLoss,
} from "../network/dense.ts";

export interface ImportanceSamplingSettings {
  /** Independent (centred needs J ≥ 2), antithetic (J even) or Walsh. */
  readonly coupling: Coupling;
  /** δ. */
  readonly temperature: number;
  /** τ. */
  readonly tau: number;
  /** s. */
  readonly noiseScale: number;
}

/** What one update of importance sampling tells; `mean` and `gradient` of n entries. */
export type ImportanceSamplingEstimate = ImportanceSamplingOutput & {
  readonly mean: Float64Array;
  readonly gradient: Float64Array;
};

/** How noise is drawn on a minibatch. */
export interface NoiseForm {
  /** A (B × (d_0 + 1)). */
  readonly inputs: Float64Array;
  /** r. */
  readonly rows: number;
  /** M (B × r). */
  readonly factor: Float64Array;
  /** A W̄ (B × d_1). */
  readonly base: Float64Array;
  /** z of a unit. */
  readonly normals: Normals;
  /** [Q U | Z² …] (n) from z. */
  lift(z: Float64Array): Float64Array;
}

/** An independent unit. */
export interface Unit {
  /** f̄ of each of its S samples, in order. */
  readonly losses: Float64Array;
  /** Mean over its samples of value · Z (n) for S values; projected, the complement at its mean, zero. */
  noiseMean(values: Float64Array): Float64Array;
}

/** One sample's forward pass; entry ℓ − 1 of the lists belongs to layer ℓ. */
export interface Pass {
  /** A^{ℓ−1} (B × (d_{ℓ−1} + 1)). */
  readonly inputs: readonly Float64Array[];
  /** η^ℓ = s A^{ℓ−1} Z^ℓ (B × d_ℓ): what the layer's own noise adds to its pre-activation. */
  readonly noise: readonly Float64Array[];
  /** f_b (B). */
  readonly losses: Float64Array;
}

/** A sample or an antithetic pair. */
export interface SampleUnit extends Unit {
  readonly passes: readonly Pass[];
}

export function noiseForm(point: NetworkPoint, draw: Draw): NoiseForm {
  const { network, batches, x } = point;
  const [d0, d1] = network.layers;
  const { key, update } = draw;
  const w = x.subarray(0, firstLayerSize(network));
  if (!draw.projected) {
    const inputs = inputMatrix(batches[0].inputs, d0);
    const base = multiply(inputs, w, d0 + 1, d1);
    const normals = networkNormals(network, key, update);
    return { inputs, rows: d0 + 1, factor: inputs, base, normals, lift: (z) => z };
  }
  const span = spanOf(point);
  const split = span.count * d1;
  return {
    inputs: span.inputs,
    rows: span.count,
    factor: span.factor,
    base: multiply(span.inputs, w, d0 + 1, d1),
    normals: reducedNormals(span, network, key, update),
    lift: (z) => joined(lift(span, z.subarray(0, split), d1), z.subarray(split)),
  };
}

/** The forward pass at x + s Z. */
export function samplePass(point: NetworkPoint, form: NoiseForm, z: Float64Array, s: number): Pass {
  const { network, x } = point;
  const inputs = [form.inputs];
  const noise: Float64Array[] = [];
  let before = new Float64Array();
  let at = 0;
  layerShapes(network).forEach(({ offset, rows, columns }, index) => {
    const first = index === 0;
    if (!first) inputs.push(activate(network.activation, before, rows - 1));
    const noiseRows = first ? form.rows : rows;
    const normals = z.subarray(at, at + noiseRows * columns);
    at += normals.length;
    const eta = multiply(first ? form.factor : inputs[index], normals, noiseRows, columns).map((v) => s * v);
    const weights = x.subarray(offset, offset + rows * columns);
    const base = first ? form.base : multiply(inputs[index], weights, rows, columns);
    before = base.map((value, i) => value + eta[i]);
    noise.push(eta);
  });
  return { inputs, noise, losses: rowLosses(point, before) };
}

/** f_b (B) of logits (B × classes). */
export function rowLosses(
  { loss, network, batches: [batch] }: NetworkPoint,
  logits: Float64Array,
): Float64Array {
  const classes = network.layers.at(-1)!;
  return Float64Array.from(batch.labels, (label, b) =>
    rowLoss(loss, logits.subarray(b * classes, (b + 1) * classes), label),
  );
}

/** f_b (B) at x itself. */
export function lossesAtCenter(point: NetworkPoint, form: NoiseForm): Float64Array {
  return samplePass(point, form, new Float64Array(form.normals(0).length), 0).losses;
}

/** Sample `index`, or pair `index`: Z, then −Z. */
export function sampleUnit(
  point: NetworkPoint,
  form: NoiseForm,
  coupling: Exclude<Coupling, { kind: "walsh" }>,
  s: number,
  index: number,
): SampleUnit {
  const z = form.normals(index);
  const signs = coupling.kind === "antithetic" ? [1, -1] : [1];
  const passes = signs.map((sign) => samplePass(point, form, z, sign * s));
  return {
    passes,
    losses: Float64Array.from(passes, ({ losses }) => mean(losses)),
    noiseMean(values) {
      const factor = signs.reduce((sum, sign, i) => sum + sign * values[i], 0) / signs.length;
      return form.lift(z.map((value) => factor * value));
    },
  };
}

/** Number of units of independent and antithetic samples. */
export function sampleUnits(coupling: Exclude<Coupling, { kind: "walsh" }>): number {
  return coupling.kind === "antithetic" ? coupling.samples / 2 : coupling.samples;
}

export function mean(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** w̄_j and −δ log mean w, by a log-sum-exp that streams: the running maximum rescales the running sum. */
export function normalizedWeights(
  losses: Float64Array,
  temperature: number,
): { normalized: Float64Array; freeEnergy: number } {
  let largest = Number.NEGATIVE_INFINITY;
  let sum = 0;
  for (const f of losses) {
    const log = -f / temperature;
    if (log > largest) {
      sum = sum * Math.exp(largest - log) + 1;
      largest = log;
    } else {
      sum += Math.exp(log - largest);
    }
  }
  return {
    normalized: losses.map((f) => Math.exp(-f / temperature - largest) / sum),
    freeEnergy: -temperature * (largest + Math.log(sum / losses.length)),
  };
}

/** What an update of importance sampling tells, from its gradient (n) and its weights. */
export function importanceSamplingEstimate(
  x: Float64Array,
  { temperature, tau }: Pick<ImportanceSamplingSettings, "temperature" | "tau">,
  losses: Float64Array,
  { normalized, freeEnergy }: ReturnType<typeof normalizedWeights>,
  gradient: Float64Array,
  standardError: number | null,
): ImportanceSamplingEstimate {
  return {
    gradient,
    mean: shifted(x, -tau / temperature, gradient),
    loss: mean(losses),
    freeEnergy,
    effectiveSampleSize: 1 / squaredNorm(normalized),
    largestWeight: normalized.reduce((most, w) => Math.max(most, w), 0),
    standardError,
    samples: losses.length,
  };
}

export function squaredNorm(v: Float64Array): number {
  return v.reduce((sum, value) => sum + value * value, 0);
}

/** Running mean ḡ (n) of units' estimates g_u, and the root of Σ_u |g_u − ḡ|²/(U(U − 1)): Welford's recursion. */
export class Spread {
  count = 0;
  readonly mean: Float64Array;
  #squares = 0;

  constructor(dimension: number) {
    this.mean = new Float64Array(dimension);
  }

  add(estimate: Float64Array): void {
    this.count++;
    for (let i = 0; i < estimate.length; i++) {
      const before = estimate[i] - this.mean[i];
      this.mean[i] += before / this.count;
      this.#squares += before * (estimate[i] - this.mean[i]);
    }
  }

  /** Null where there is one unit. */
  standardError(): number | null {
    return this.count > 1 ? Math.sqrt(this.#squares / (this.count * (this.count - 1))) : null;
  }
}
