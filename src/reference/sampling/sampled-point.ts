/**
 * A minibatch at x_k from which samples x_k + s Z are drawn: the form of the noise, the forward pass of one sample with
 * the noise kept apart from it, and what every coupling makes of samples, a unit.
 *
 * A unit is what is independent of all others: one sample, an antithetic pair, or a Walsh block of coupled samples
 * (`walsh.ts`). Whatever couples the samples of a unit, each one is x + s Z with Z standard normal, and an estimate is a
 * mean over units.
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
import type { Coupling } from "../../backends/backend.ts";
import { layerShapes } from "../../network.ts";
import { joined, multiply } from "../linear/product.ts";
import { lift } from "../linear/projection.ts";
import type { Normals } from "../machine/work.ts";
import {
  activate,
  type Draw,
  firstLayerSize,
  rowLosses as lossesOf,
  type NetworkPoint,
  networkNormals,
} from "../network/dense.ts";
import { projectionOf, reducedNormals } from "../network/reduced.ts";
import { inputMatrix } from "../network/rows.ts";
import { mean } from "./spread.ts";

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
  const projection = projectionOf(point);
  const reducedSize = projection.count * d1;
  return {
    inputs: projection.inputs,
    rows: projection.count,
    factor: projection.factor,
    base: multiply(projection.inputs, w, d0 + 1, d1),
    normals: reducedNormals(projection, network, key, update),
    lift: (z) => joined(lift(projection, z.subarray(0, reducedSize), d1), z.subarray(reducedSize)),
  };
}

/** The forward pass at x + s Z, sample number `sample`; at x itself where there is none. */
export function samplePass(
  point: NetworkPoint,
  form: NoiseForm,
  z: Float64Array,
  s: number,
  sample?: number,
): Pass {
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
  return { inputs, noise, losses: rowLosses(point, before, sample) };
}

/** f_b (B) of logits (B × classes). */
export function rowLosses(
  { loss, network, batches: [batch] }: NetworkPoint,
  logits: Float64Array,
  sample?: number,
): Float64Array {
  return lossesOf(loss, logits, batch, network.layers.at(-1)!, sample);
}

/** f_b (B) at x itself. */
export function lossesAtCenter(point: NetworkPoint, form: NoiseForm): Float64Array {
  return samplePass(point, form, new Float64Array(form.normals(0).length), 0).losses;
}

/** A coupling whose unit is a sample or a pair. */
export type SampleCoupling = Exclude<Coupling, { kind: "walsh" }>;

/** Signs of Z in the samples of a unit, in their order. */
export const SIGNS: Record<SampleCoupling["kind"], readonly number[]> = {
  independent: [1],
  antithetic: [1, -1],
};

/** Sample `index`, or pair `index`: Z, then −Z. */
export function sampleUnit(
  point: NetworkPoint,
  form: NoiseForm,
  coupling: SampleCoupling,
  s: number,
  index: number,
): SampleUnit {
  const z = form.normals(index);
  const signs = SIGNS[coupling.kind];
  const passes = signs.map((sign, i) => samplePass(point, form, z, sign * s, index * signs.length + i));
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
export function sampleUnits({ kind, samples }: SampleCoupling): number {
  return samples / SIGNS[kind].length;
}
