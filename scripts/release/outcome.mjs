/** What trial.mjs is held to. */
import { importSource } from "../import-source.mjs";

const { TOLERANCES } = await importSource("test/tolerances.ts");
export const { bound } = TOLERANCES.update;

/**
 * What is wrong with an outcome, as a sentence; "" if nothing.
 *
 * @param set the instruction set that is expected; any where it is undefined
 */
export function faultOf({ sameBits, errors, ran }, set) {
  if (!sameBits) return "random numbers are not the reference's";
  if (set && ran.instructionSet !== set) return `ran ${ran.instructionSet} where ${set} was expected`;
  const far = Object.entries(errors).filter(([, error]) => !(error <= bound));
  return far.map(([name, error]) => `${name} is off by ${error.toExponential(1)}`).join("; ");
}
