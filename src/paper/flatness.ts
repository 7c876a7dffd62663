/**
 * How flat the loss is around a network, in several measures, and its landscape along lines and over planes.
 *
 * *Relative curvature* is the largest eigenvalue of D ∇²f D, D = diag(|x|): the loss's curvature where each parameter changes
 * by a part of itself, f(x ∘ (1 + z)) in z. A network of ReLUs computes the same where a unit's incoming weights are
 * multiplied by c and its outgoing ones divided by it (x ↦ Sx, S diagonal); then ∇²f becomes S⁻¹∇²f S⁻¹, whose eigenvalues
 * can be anything (Dinh, Pascanu, Bengio, Bengio, ICML 2017), and D becomes SD, so D ∇²f D stays as it is. It is the
 * quadratic part of adaptive sharpness (Kwon, Kim, Park, Choi, ICML 2021).
 */
import { lanczos } from "../eigenvalues.ts";
import { layerShapes } from "../network.ts";
import type { OpenBackend } from "../operations.ts";
import { checkNetwork } from "../options/network.ts";
import type { Batch } from "../options/operation-types.ts";
import type { NetworkOptions } from "../options/types.ts";

/** A network and the rows that its loss is the mean over. */
export interface Place {
  readonly network: NetworkOptions;
  readonly parameters: Float32Array | Float64Array;
  readonly batch: Batch;
}

export interface Flatness {
  /** f, nats. */
  readonly loss: number;
  /** |x|. */
  readonly norm: number;
  /** The largest eigenvalues of ∇²f, falling, and the smallest one. */
  readonly largest: readonly number[];
  readonly smallest: number;
  /** The largest of D ∇²f D, nats. */
  readonly relative: number;
  /** Products with the Hessian that both took. */
  readonly products: number;
  /** Whether both came within `TOLERANCE`. */
  readonly converged: boolean;
  readonly smoothed: readonly Smoothed[];
}

/** What F_τ and F^H_τ are above f, nats. */
export interface Smoothed {
  readonly tau: number;
  readonly localEntropy: number;
  readonly heat: number;
}

/** Of eigenvalues: their error is near its square. */
export const TOLERANCE = 0.02;

/** @returns the measures, and eigenvectors of the two largest eigenvalues of ∇²f */
export async function flatnessOf(
  backend: OpenBackend,
  place: Place,
  taus: readonly number[],
): Promise<{ flatness: Flatness; vectors: Float64Array[] }> {
  const { parameters } = place;
  const loss = await backend.loss(place);
  const found = await backend.hessianEigenvalues({ ...place, largest: 5, smallest: 1, tolerance: TOLERANCE });
  const relative = await relativeCurvature(backend, place);
  const smoothed: Smoothed[] = [];
  for (const tau of taus) {
    const coupling = { kind: "walsh", blocks: 2 } as const;
    const sampled = await backend.importanceSampling({ ...place, tau, coupling, seed: 1 });
    smoothed.push({ tau, localEntropy: sampled.freeEnergy - loss, heat: sampled.loss - loss });
  }
  const flatness = {
    ...{ loss, smoothed, norm: lengthOf(parameters) },
    largest: found.largest.map(({ value }) => value),
    smallest: found.smallest[0].value,
    relative: relative.value,
    products: found.products + relative.products,
    converged: found.converged && relative.converged,
  };
  const vectors = found.largest.slice(0, 2).map(({ vector }) => Float64Array.from(vector));
  return { flatness, vectors };
}

/** The largest eigenvalue of D ∇²f D. */
export async function relativeCurvature(
  backend: OpenBackend,
  place: Place,
): Promise<{ value: number; products: number; converged: boolean }> {
  const size = Float64Array.from(place.parameters, Math.abs);
  const n = size.length;
  const scaled = (v: ArrayLike<number>) => size.map((d, i) => d * v[i]);
  const matrix = {
    n,
    product: async (v: Float64Array) => scaled(await backend.hessianProduct({ ...place, vector: scaled(v) })),
    normals: (sample: number) => backend.gaussian({ stream: "eigenvectors", update: 1, sample, count: n }),
  };
  const wanted = { largest: 1, smallest: 0, tolerance: TOLERANCE, products: Math.min(n, 100) };
  const { largest, products, converged } = await lanczos(matrix, wanted);
  return { value: largest[0].value, products, converged };
}

/**
 * The same function by other parameters: hidden unit h's incoming weights times c_h, its outgoing ones divided by it, c_h =
 * 1/`most` … `most` from the first unit to the last. For a network with one hidden layer of ReLUs.
 */
export function rescaled({ network, parameters }: Place, most: number): Float32Array {
  const [first, second] = layerShapes(checkNetwork("paper.network", network));
  const x = Float32Array.from(parameters);
  const factor = (unit: number) => most ** ((2 * unit) / (first.columns - 1) - 1);
  for (let i = 0; i < first.rows * first.columns; i++) x[i] *= factor(i % first.columns);
  for (let unit = 0; unit < first.columns; unit++) {
    const row = second.offset + unit * second.columns;
    for (let c = 0; c < second.columns; c++) x[row + c] /= factor(unit);
  }
  return x;
}

/**
 * A random direction with the size of the network's filters: of each unit's incoming weights and bias, normals scaled to
 * their length (Li, Xu, Taylor, Studer, Goldstein, NeurIPS 2018), so that rescaled networks look the same along it.
 */
export async function filterDirection(
  backend: OpenBackend,
  { network, parameters }: Place,
  seed: number,
): Promise<Float64Array> {
  const shapes = layerShapes(checkNetwork("paper.network", network));
  const direction = new Float64Array(parameters.length);
  for (const [layer, { offset, rows, columns }] of shapes.entries()) {
    const stream = `layer-${layer + 1}`;
    const normals = await backend.gaussian({ seed, stream, update: 0, count: rows * columns });
    for (let c = 0; c < columns; c++) {
      const entries = Array.from({ length: rows }, (_, r) => r * columns + c);
      const length = (of: (at: number) => number) => Math.hypot(...entries.map(of));
      const scale = length((at) => parameters[offset + at]) / length((at) => normals[at]);
      for (const at of entries) direction[offset + at] = scale * normals[at];
    }
  }
  return direction;
}

/** f at x + Σ t_i d_i for each of the places t, in order. */
export async function lossesAlong(
  backend: OpenBackend,
  { parameters, ...place }: Place,
  directions: readonly Float64Array[],
  places: readonly (readonly number[])[],
): Promise<number[]> {
  const losses: number[] = [];
  for (const t of places) {
    const moved = Float32Array.from(parameters, (x, i) =>
      directions.reduce((sum, direction, k) => sum + t[k] * direction[i], x),
    );
    losses.push(await backend.loss({ ...place, parameters: moved }));
  }
  return losses;
}

/** `count` numbers from −`half` to `half`. */
export function around(half: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => half * ((2 * i) / (count - 1) - 1));
}

function lengthOf(x: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i] ** 2;
  return Math.sqrt(sum);
}
