/** Every experiment, in the order of the report. A new one is an entry of a list here. */
import type { Experiment } from "../experiment.ts";
import { FIGURES } from "./figures.ts";
import { TABLES } from "./tables.ts";
import { THEOREMS } from "./theorems.ts";
import { TOYS } from "./toys.ts";

export const EXPERIMENTS: readonly Experiment[] = [...TABLES, ...TOYS, ...FIGURES, ...THEOREMS];
