/**
 * Statistical tests, each with its false-alarm rate: seeded, so a rate is that of the seed's choice, once.
 *
 * Symbols: R replicas, z a statistic's distance from its expectation in standard deviations.
 */

/** Two-sided tail of a standard normal: P(|z| > 5.5) = 3.8e-8, so 1,000 statistics give a false alarm of 4e-5. */
export const Z_BOUND = 5.5;

export function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum / values.length;
}

export function variance(values: ArrayLike<number>): number {
  return covariance(values, values);
}

export function covariance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const [ma, mb] = [mean(a), mean(b)];
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - ma) * (b[i] - mb);
  return sum / (a.length - 1);
}

/** z of a sample mean against a known one. */
export function zOfMean(values: ArrayLike<number>, expected: number): number {
  return (mean(values) - expected) / Math.sqrt(variance(values) / values.length);
}

/** z of a sample covariance of jointly normal numbers against a known one; variances va and vb known too. */
export function zOfCovariance(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  expected: number,
  va: number,
  vb: number,
): number {
  return (covariance(a, b) - expected) / Math.sqrt((va * vb + expected ** 2) / (a.length - 1));
}

/** z of the difference of two independent samples' means. */
export function zOfMeans(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return (mean(a) - mean(b)) / Math.sqrt(variance(a) / a.length + variance(b) / b.length);
}

/** z of the difference of two independent samples' variances, by each sample's own fourth moment. */
export function zOfVariances(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const squares = (values: ArrayLike<number>) => {
    const m = mean(values);
    return Array.from(values, (value) => (value - m) ** 2);
  };
  return zOfMeans(squares(a), squares(b));
}

/**
 * Two-sample Kolmogorov–Smirnov statistic D·√(nm/(n + m)). Asymptotically P(> c) = 2e^{−2c²}: 2.75 gives 5.4e-7.
 */
export function kolmogorovSmirnov(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const [x, y] = [Float64Array.from(a).sort(), Float64Array.from(b).sort()];
  let [i, j, largest] = [0, 0, 0];
  while (i < x.length && j < y.length) {
    if (x[i] <= y[j]) i++;
    else j++;
    largest = Math.max(largest, Math.abs(i / x.length - j / y.length));
  }
  return largest * Math.sqrt((x.length * y.length) / (x.length + y.length));
}

/** Bound on `kolmogorovSmirnov`: false-alarm rate 5.4e-7 each. */
export const KS_BOUND = 2.75;
