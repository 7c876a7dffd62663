/** Means over seeds, and how they are written. */

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The standard deviation over seeds; 0 of a single one, which says nothing of it. */
export function deviation(values: readonly number[]): number {
  if (values.length < 2) return 0;
  const center = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - center) ** 2, 0) / (values.length - 1));
}

/** The standard error of the mean; infinite of a single value. */
export function standardError(values: readonly number[]): number {
  return values.length < 2 ? Number.POSITIVE_INFINITY : deviation(values) / Math.sqrt(values.length);
}

/** Pearson's correlation of two rows. */
export function correlation(a: readonly number[], b: readonly number[]): number {
  const [x, y] = [a, b].map((values) => {
    const center = mean(values);
    return values.map((value) => value - center);
  });
  const product = (u: readonly number[], v: readonly number[]) =>
    u.reduce((sum, value, i) => sum + value * v[i], 0);
  return product(x, y) / Math.sqrt(product(x, x) * product(y, y));
}

/**
 * 95 % confidence interval of a correlation by Fisher's z: atanh r is about normal with variance 1/(n − 3).
 *
 * @param n pairs, less one for each mean beyond the first that was taken out; null for fewer than 4
 */
export function fisherInterval(r: number, n: number): [low: number, high: number] | null {
  if (!(n > 3)) return null;
  const half = 1.96 / Math.sqrt(n - 3);
  return [Math.tanh(Math.atanh(r) - half), Math.tanh(Math.atanh(r) + half)];
}

/** Root mean square of the differences of two rows. */
export function distance(a: readonly number[], b: readonly number[]): number {
  return Math.sqrt(mean(a.map((value, i) => (value - b[i]) ** 2)));
}

/** "0.812 ± 0.006": mean and standard deviation over seeds, the deviation only where there are several. */
export function spread(values: readonly number[], digits = 3): string {
  const center = mean(values).toFixed(digits);
  return values.length < 2 ? center : `${center} ± ${deviation(values).toFixed(digits)}`;
}

/** A number in so many significant digits, without zeros at its end. */
export function short(value: number, digits = 3): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(digits))) : "–";
}
