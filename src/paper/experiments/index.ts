/** Every experiment, in the order of the report. A new one is an entry of a list here. */
import type { Experiment } from "../experiment.ts";
import { BEYOND_EXPERIMENT } from "./beyond.ts";
import { CHECKS } from "./checks.ts";
import { CLAIMS_EXPERIMENT } from "./claims.ts";
import { CONTROL } from "./control.ts";
import { EXPLANATIONS } from "./explanations.ts";
import { FIGURES } from "./figures.ts";
import { TABLES } from "./tables.ts";
import { THEOREMS } from "./theorems.ts";
import { TOYS } from "./toys.ts";

export const EXPERIMENTS: readonly Experiment[] = [
  CLAIMS_EXPERIMENT,
  ...TABLES,
  EXPLANATIONS,
  ...TOYS,
  ...FIGURES,
  ...THEOREMS,
  ...CHECKS,
  BEYOND_EXPERIMENT,
  CONTROL,
];
