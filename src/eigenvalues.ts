/**
 * Eigenvalues at the ends of a Hessian's spectrum from its products with vectors, by Lanczos' method.
 *
 * From a start q_1 of length 1, H q_j is made orthogonal to q_1 … q_j, and what is left, of length β_j, points along
 * q_{j+1}. In that basis H is tridiagonal, T with α_j = q_jᵀ H q_j and β_j; T's eigenvalues θ, its eigenvectors s, tend to
 * H's from the ends of the spectrum inwards, and u = Σ s_j q_j has |Hu − θu| = β_m |s_m|. Each q is made orthogonal to all
 * before it, twice: rounding would else bring found vectors back (Parlett, The Symmetric Eigenvalue Problem, 1980).
 * Where nothing is left (β = 0), the q so far span what H maps into itself, and another start orthogonal to them goes on.
 *
 * Symbols: n parameters, m products so far.
 *
 * What this file leaves out: restarts that would bound the basis (m vectors of n), and several vectors at a time, which
 * would tell how often an eigenvalue stands in the spectrum.
 */
import type { AbortSignalLike, Operations } from "./backends/backend.ts";
import { BackendError, expected, OptionError } from "./errors.ts";
import { parameterCount } from "./network.ts";
import { copied } from "./options/arrays.ts";
import type { EigenvaluesInput } from "./options/hessian.ts";
import type { Eigenpair, HessianEigenvalues } from "./options/operation-types.ts";
import { finishInTurns, type Work } from "./reference/machine/work.ts";
import { STREAMS } from "./reference/random/streams.ts";
import { eigenvaluesOfTridiagonal } from "./tridiagonal.ts";

/** A symmetric matrix of n rows, known by its products. */
export interface Products {
  readonly n: number;
  /** Of the matrix with v (n), which is read before it returns. */
  product(v: Float64Array): Promise<ArrayLike<number>>;
  /** Standard normals (n) of the start so numbered, from 0. */
  normals(number: number): Promise<ArrayLike<number>>;
  readonly signal?: AbortSignalLike;
}

/** How many eigenvalues, how near, after how many products at most. */
export type Wanted = Pick<EigenvaluesInput, "largest" | "smallest" | "tolerance" | "products">;

/** The Hessian's. Copies what it is given before it returns. */
export function hessianEigenvalues(
  { hessianProduct, gaussian }: Operations,
  given: EigenvaluesInput,
): Promise<HessianEigenvalues> {
  const { network, batch, key, signal } = given;
  const n = parameterCount(network);
  const point = {
    ...{ network, signal, parameters: given.parameters.slice() },
    batch: {
      inputs: copied("hessianEigenvalues.batch.inputs", batch.inputs),
      labels: copied("hessianEigenvalues.batch.labels", batch.labels),
    },
  };
  const stream = STREAMS.eigenvectors;
  const matrix = {
    ...{ n, signal },
    product: (vector: Float64Array) => hessianProduct({ ...point, vector }),
    normals: (sample: number) => gaussian({ key, stream, update: 0, sample, count: n, signal }),
  };
  return lanczos(matrix, given);
}

/** What is left of a product counts as nothing at this part of the largest |θ|: float64's rounding of the sums. */
const NOTHING = 1e-13;

export async function lanczos(matrix: Products, wanted: Wanted): Promise<HessianEigenvalues> {
  try {
    return await search(matrix, wanted);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    const what = `${wanted.products} vectors of ${matrix.n} doubles`;
    const message = `The machine has not enough memory for ${what}; ask for fewer products or eigenvalues`;
    throw new BackendError(message, { cause });
  }
}

async function search({ product, normals, signal }: Products, wanted: Wanted): Promise<HessianEigenvalues> {
  const { largest, smallest, tolerance, products: most } = wanted;
  const basis: Float64Array[] = [];
  /** α and β of T. */
  const [diagonal, beside]: [number[], number[]] = [[], []];
  let starts = 0;
  const inTurns = async <T>(work: Work<T>) => {
    const done = await finishInTurns(work, () => signal?.aborted === true);
    signal?.throwIfAborted();
    return done as T;
  };
  /** A random vector of length 1 orthogonal to the basis. */
  const start = async () => {
    const q = Float64Array.from(await normals(starts++));
    const length = await inTurns(orthogonalize(q, basis));
    return q.map((value) => value / length);
  };
  let q = await start();
  for (;;) {
    basis.push(q);
    const next = Float64Array.from(await product(q));
    diagonal.push(dot(q, next));
    const left = await inTurns(orthogonalize(next, basis));
    if (!Number.isFinite(left)) {
      const range = "parameters at which the loss has finite second derivatives";
      throw new OptionError(expected(range, "hessianEigenvalues.parameters", left));
    }
    const found = endsOf(diagonal, beside, left, wanted);
    const enough = diagonal.length >= largest + smallest;
    const converged = enough && found.residuals.every((residual) => residual <= tolerance * found.scale);
    if (converged || basis.length === most) {
      const pairs = await inTurns(pairsOf(endsOf(diagonal, beside, left, wanted, 0), basis));
      const products = basis.length;
      return { largest: pairs.slice(0, largest), smallest: pairs.slice(largest), products, converged };
    }
    const ended = left <= NOTHING * found.scale;
    beside.push(ended ? 0 : left);
    q = ended ? await start() : next.map((value) => value / left);
  }
}

interface Ends {
  /** Of the largest in falling order, then of the smallest in rising order. */
  readonly values: readonly number[];
  readonly residuals: readonly number[];
  /** Entries of T's eigenvectors, from the one that was asked for to the last. */
  readonly vectors: readonly Float64Array[];
  /** The largest |θ|. */
  readonly scale: number;
}

/** The ends of T's spectrum, as far as it has so many. @param left β_m @param from the first entry of the vectors */
function endsOf(
  diagonal: readonly number[],
  beside: readonly number[],
  left: number,
  { largest, smallest }: { readonly largest: number; readonly smallest: number },
  from = diagonal.length - 1,
): Ends {
  const m = diagonal.length;
  const { values, vectors } = eigenvaluesOfTridiagonal(diagonal, beside, from);
  const order = Array.from(values.keys()).sort((a, b) => values[b] - values[a]);
  const places = [...order.slice(0, largest), ...order.slice(Math.max(0, m - smallest)).reverse()];
  return {
    values: places.map((place) => values[place]),
    residuals: places.map((place) => left * Math.abs(vectors[place][m - 1 - from])),
    vectors: places.map((place) => vectors[place]),
    scale: Math.max(...values.map(Math.abs)),
  };
}

function* pairsOf({ values, residuals, vectors }: Ends, basis: readonly Float64Array[]): Work<Eigenpair[]> {
  const pairs: Eigenpair[] = [];
  for (const [i, shares] of vectors.entries()) {
    const vector = new Float64Array(basis[0].length);
    for (const [j, q] of basis.entries()) {
      add(vector, shares[j], q);
      yield;
    }
    pairs.push({ value: values[i], vector, residual: residuals[i] });
  }
  return pairs;
}

/** Takes out of w what lies along the basis, twice; returns |w|. */
function* orthogonalize(w: Float64Array, basis: readonly Float64Array[]): Work<number> {
  for (let pass = 0; pass < 2; pass++) {
    for (const q of basis) {
      add(w, -dot(w, q), q);
      yield;
    }
  }
  return Math.sqrt(dot(w, w));
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/** w ← w + s q. */
function add(w: Float64Array, s: number, q: Float64Array): void {
  for (let i = 0; i < w.length; i++) w[i] += s * q[i];
}
