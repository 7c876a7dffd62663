/**
 * Eigenvalues and eigenvectors of a symmetric tridiagonal matrix by QR steps with Wilkinson's shift (Golub and Van Loan,
 * Matrix Computations, section 8.3).
 */

/** An entry beside the diagonal is nothing at this part of the matrix's size. */
const NOTHING = 2 ** -53;

/**
 * @param diagonal m finite numbers
 * @param beside m − 1 finite numbers, above and below the diagonal
 * @param from the first entry of the eigenvectors that is wanted: all of them take m times as long as the last alone
 * @returns `values` (m) in no order, and `vectors`, of each the entries from … m − 1 of its eigenvector of length 1
 */
export function eigenvaluesOfTridiagonal(
  diagonal: readonly number[],
  beside: readonly number[],
  from = 0,
): { values: number[]; vectors: Float64Array[] } {
  const m = diagonal.length;
  const d = [...diagonal];
  const e = [...beside];
  const vectors = d.map((_, i) => {
    const vector = new Float64Array(m - from);
    if (i >= from) vector[i - from] = 1;
    return vector;
  });
  const size = Math.max(...d.map(Math.abs), ...e.map(Math.abs));
  const none = (i: number) => Math.abs(e[i]) <= NOTHING * size;
  for (let last = m - 1; last > 0; ) {
    if (none(last - 1)) {
      last--;
      continue;
    }
    let first = last - 1;
    while (first > 0 && !none(first - 1)) first--;
    step(d, e, first, last, vectors);
  }
  return { values: d, vectors };
}

/** One step on the block first … last: rotations that chase what the first one pushes out of the three diagonals. */
function step(d: number[], e: number[], first: number, last: number, vectors: Float64Array[]): void {
  const half = (d[last - 1] - d[last]) / 2;
  const corner = e[last - 1];
  const shift = d[last] - corner ** 2 / (half + (half < 0 ? -1 : 1) * Math.hypot(half, corner));
  let [x, z] = [d[first] - shift, e[first]];
  for (let k = first; k < last; k++) {
    const length = Math.hypot(x, z);
    const [c, s] = length === 0 ? [1, 0] : [x / length, z / length];
    if (k > first) e[k - 1] = length;
    const [p, q, o] = [d[k], d[k + 1], e[k]];
    d[k] = c * c * p + 2 * c * s * o + s * s * q;
    d[k + 1] = s * s * p - 2 * c * s * o + c * c * q;
    e[k] = c * s * (q - p) + (c * c - s * s) * o;
    x = e[k];
    if (k + 1 < last) {
      z = s * e[k + 1];
      e[k + 1] *= c;
    }
    const [u, v] = [vectors[k], vectors[k + 1]];
    for (let i = 0; i < u.length; i++) {
      const [a, b] = [u[i], v[i]];
      u[i] = c * a + s * b;
      v[i] = c * b - s * a;
    }
  }
}
