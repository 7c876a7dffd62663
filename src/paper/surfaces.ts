/**
 * Losses of one and two variables: ours, not the paper's, which prints pictures only. Bounded below, not convex but for the
 * first, with several minima.
 */
import type { Surface } from "./quadrature.ts";

const { cos, exp, sin } = Math;

export const SURFACES: readonly Surface[] = [
  {
    name: "1-D, a parabola",
    dimension: 1,
    tau: 0.3,
    starts: [[2], [-1.3]],
    value: ([x]) => 0.8 * x * x,
    gradient: ([x]) => [1.6 * x],
  },
  {
    name: "1-D, a tilted double well with ripples",
    dimension: 1,
    tau: 0.17,
    starts: [[2.6], [0.1], [-2.2]],
    value: ([x]) => 0.3 * (x * x - 1.5) ** 2 + 0.4 * x + 0.5 * cos(5 * x),
    gradient: ([x]) => [1.2 * x * (x * x - 1.5) + 0.4 - 2.5 * sin(5 * x)],
  },
  {
    name: "2-D, a curved valley with ripples",
    dimension: 2,
    tau: 0.23,
    starts: [
      [1.7, -1.1],
      [-1.4, 1.6],
    ],
    value: ([x, y]) => (1 - x) ** 2 * 0.4 + 0.7 * (y - x * x) ** 2 + 0.6 * cos(3 * x - 2 * y),
    gradient: ([x, y]) => {
      const ripple = -0.6 * sin(3 * x - 2 * y);
      return [-0.8 * (1 - x) - 2.8 * x * (y - x * x) + 3 * ripple, 1.4 * (y - x * x) - 2 * ripple];
    },
  },
];

/** A pit of a landscape: depth at its middle, and its width as a standard deviation. */
export interface Pit {
  readonly at: readonly [number, number];
  readonly depth: number;
  readonly width: number;
  readonly name: string;
}

/** One wide pit and three sharp ones, two of which are deeper, in a shallow bowl. */
export const PITS: readonly Pit[] = [
  { at: [0.9, 0.8], depth: 3, width: 0.75, name: "wide" },
  { at: [-1.3, 0.9], depth: 3.4, width: 0.16, name: "sharp A" },
  { at: [-0.9, -1.2], depth: 3.2, width: 0.2, name: "sharp B" },
  { at: [1.4, -1.3], depth: 2.8, width: 0.13, name: "sharp C" },
];

export function pitted(x: Float64Array): number {
  let value = 3.5 + 0.08 * (x[0] ** 2 + x[1] ** 2);
  for (const { at, depth, width } of PITS) {
    value -= depth * exp(-((x[0] - at[0]) ** 2 + (x[1] - at[1]) ** 2) / (2 * width * width));
  }
  return value;
}

/** A landscape of two broad basins under fine ripples, for the heat regularization. */
export function rippled(x: Float64Array): number {
  const [a, b] = x;
  const basins =
    -2.2 * exp(-((a - 1) ** 2 + (b - 0.7) ** 2) / 0.9) - 1.6 * exp(-((a + 1.1) ** 2 + (b + 0.8) ** 2) / 1.1);
  return 2.8 + basins + 0.06 * (a * a + b * b) + 0.28 * cos(9 * a) * cos(9 * b);
}
