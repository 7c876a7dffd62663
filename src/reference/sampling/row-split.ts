/**
 * The row split: the gradient of a loss that is a mean over rows, each row's part conditioned on what it depends on
 * (Rao–Blackwell), at the mean of importance sampling (García Trillos, Kaplan, Sanz-Alonso, Entropy 2019, Algorithm 4).
 *
 * Row b's loss sees layer ℓ's noise through η = s hidᵀZ only (hid the layer's input row, η's variance s²|hid|²), so
 * Stein's identity gives
 *
 *     E[Z f_b]/s = E[hid η (f_b − c_b)/(s²|hid|²)]     for any c_b that does not depend on the layer's noise.
 *
 * Its mean over rows and samples is the first-order part H, an unbiased estimate of the heat gradient ∇E f̄(x + s Z):
 * evolution strategies take it as it is, importance sampling adds a remainder. Inside Stein's identity the variance is s²
 * always, also where the proposal's is said to be another.
 *
 * - Independent samples and antithetic pairs, any depth: c_b = the row's loss at x.
 * - Walsh blocks: see `row-split-walsh.ts`.
 *
 * Symbols: B rows b, J samples, s the perturbation's scale; n parameters.
 *
 * What this file leaves out: speed.
 */
import type { Coupling } from "../../backends/backend.ts";
import { layerShapes, parameterCount } from "../../network.ts";
import { multiplyTransposed, squaredNorm } from "../linear/product.ts";
import type { NetworkPoint } from "../network/dense.ts";
import { groupsOf, walshFirstOrder } from "./row-split-walsh.ts";
import {
  lossesAtCenter,
  type NoiseForm,
  type SampleUnit,
  sampleUnit,
  sampleUnits,
  type Unit,
} from "./sampled-point.ts";
import { type WalshBlock, walshBlock } from "./walsh.ts";

/** A coupling's units, in the groups of the cross-fit. */
export interface RowSplit {
  /** Unit numbers. */
  readonly groups: readonly (readonly number[])[];
  unit(index: number): Unit;
  firstOrder(group: readonly number[]): FirstOrder;
}

export interface FirstOrder {
  /** The group's units. */
  readonly units: readonly Unit[];
  /** H (n), the mean over the group, cross-fitted. */
  readonly together: Float64Array;
  /** H (n) of each unit, cross-fitted: its part of the mean. */
  readonly parts: readonly Float64Array[];
}

/** The row split's units on a network's minibatch. */
export function rowSplit(
  point: NetworkPoint,
  form: NoiseForm,
  coupling: Coupling,
  noiseScale: number,
): RowSplit {
  const center = lossesAtCenter(point, form);
  if (coupling.kind === "walsh") {
    const unit = (index: number) => walshBlock(point, form, true, noiseScale, index);
    return {
      groups: groupsOf(coupling.blocks),
      unit,
      firstOrder(group) {
        const units = group.map(unit);
        const of = (blocks: readonly WalshBlock[]) =>
          walshFirstOrder(point, form, units, blocks, center, noiseScale);
        return { units, together: of(units), parts: units.map((block) => of([block])) };
      },
    };
  }
  const unit = (index: number) => sampleUnit(point, form, coupling, noiseScale, index);
  return {
    groups: Array.from({ length: sampleUnits(coupling) }, (_, index) => [index]),
    unit,
    firstOrder([index]) {
      const made = unit(index);
      const together = sampleFirstOrder(point, made, center, noiseScale);
      return { units: [made], together, parts: [together] };
    },
  };
}

/** H (n) of a sample, or of a pair: A^{ℓ−1}ᵀ diag((f_b − c_b)/(s²|hid|²B)) η for every layer ℓ. */
function sampleFirstOrder(
  { network }: NetworkPoint,
  unit: SampleUnit,
  center: Float64Array,
  s: number,
): Float64Array {
  const sum = new Float64Array(parameterCount(network));
  const count = center.length;
  for (const { inputs, noise, losses } of unit.passes) {
    layerShapes(network).forEach(({ offset, rows, columns }, layer) => {
      const signal = noise[layer].map((eta, at) => {
        const b = Math.floor(at / columns);
        const squares = squaredNorm(inputs[layer].subarray(b * rows, (b + 1) * rows));
        return (eta * (losses[b] - center[b])) / (s * s * squares * count * unit.passes.length);
      });
      multiplyTransposed(inputs[layer], signal, rows, columns).forEach((value, i) => {
        sum[offset + i] += value;
      });
    });
  }
  return sum;
}
