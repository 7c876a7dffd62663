/** What the estimators made of samples are asked where they are held against the reference. */
import type { Coupling, Loss, WeightsInput } from "../../src/backends/backend.ts";
import { type CaseOptions, CROSS_ENTROPY, caseName, integers, KEY, networkCase } from "./fixtures.ts";

/** A network, a minibatch and a loss. */
export interface SamplingForm {
  readonly options: CaseOptions;
  readonly projected: boolean;
  readonly loss?: Loss;
}

/** Costs of five classes, no two rows alike. */
export const COSTS = {
  kind: "cost-matrix",
  costs: Float64Array.from(integers(31, 25, 9)),
} as const satisfies Loss;

/** The operations' input, at settings that are not the neutral ones. */
export function samplingInput(
  { options, projected, loss = CROSS_ENTROPY }: SamplingForm,
  { coupling, rowwise }: { readonly coupling: Coupling; readonly rowwise: boolean },
  temperature = 0.35,
): WeightsInput {
  const numbers = { update: 5, tau: 0.05, noiseScale: 0.19, temperature, rowwise };
  return { ...networkCase(options), loss, key: KEY, ...numbers, coupling, projected };
}

/** Rows of `test.each`: a form's name, and the form. */
export function namedForms(forms: readonly SamplingForm[]): (readonly [string, SamplingForm])[] {
  return forms.map((form) => {
    const loss = form.loss ? ", costs" : "";
    return [`${caseName(form.options)}, ${form.projected ? "projected" : "direct"}${loss}`, form];
  });
}
