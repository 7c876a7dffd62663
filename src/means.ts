/** Means of what the updates report, over the updates of one record. */
import { type PlanResult, VALUES } from "./backends/backend.ts";
import { DivergedError } from "./errors.ts";
import type { TrainRecord } from "./run.ts";

/** Running sums of what updates report, since the last record. */
export class Means {
  /** Count, then the sum of each value (0 for those that are not reported). */
  #sums: number[];
  readonly #weighted: boolean;
  readonly #advice: string;

  /** @param advice what helps against a divergence */
  constructor(weighted: boolean, advice: string, pending: readonly number[] | undefined) {
    this.#weighted = weighted;
    this.#advice = advice;
    this.#sums = pending ? [...pending] : new Array(1 + VALUES).fill(0);
  }

  get sums(): readonly number[] {
    return [...this.#sums];
  }

  /** @throws DivergedError at the first update whose loss or gradient is not what it must be */
  add({ done, values }: PlanResult, first: number): void {
    for (let i = 0; i < done; i++) {
      const loss = values[VALUES * i];
      const norm = values[VALUES * i + 1];
      // With weights a sample's infinite loss is a weight of 0; where all are, the gradient is NaN.
      const lossIsRight = this.#weighted ? !Number.isNaN(loss) : Number.isFinite(loss);
      if (!lossIsRight || !Number.isFinite(norm)) {
        throw new DivergedError(
          `The loss was ${loss} and the gradient's norm ${norm} at update ${first + i + 1}: the run diverged. ` +
            this.#advice,
        );
      }
      this.#sums[0]++;
      const reported = this.#weighted ? VALUES : 2;
      for (let v = 0; v < reported; v++) this.#sums[1 + v] += values[VALUES * i + v];
    }
  }

  take(): Pick<TrainRecord, "loss" | "gradientNorm" | "effectiveSampleSize" | "freeEnergy"> {
    const [count, ...sums] = this.#sums;
    this.#sums = new Array(1 + VALUES).fill(0);
    const [loss, gradientNorm, effectiveSampleSize, freeEnergy] = sums.map((sum) => sum / count);
    if (!this.#weighted) return { loss, gradientNorm };
    return { loss, gradientNorm, effectiveSampleSize, freeEnergy };
  }
}
