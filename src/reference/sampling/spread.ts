/**
 * The spread between independent units: the mean of their estimates and its standard error.
 *
 * What this file leaves out: speed.
 */

export function mean(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
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
