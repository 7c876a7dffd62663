/**
 * Evolution strategies for the heat-regularized loss E f(x + s Z): gradient-free, with any coupling of the samples.
 *
 *   By rows: H, the first-order part (row-split.ts, row-split-walsh.ts), alone
 *   From losses alone: mean f Z/s; centred: Σ_j (f_j − mean f) Z_j/((J − 1) s)
 *
 * Symbols: J samples, s the perturbation's scale.
 */
import { job, noiseScale, thread } from "../machine/context";
import { ANTITHETIC, INDEPENDENT, WALSH } from "../machine/job";
import {
  pair,
  sampleGradient,
  sampleLosses,
  sampleValues,
  setSampleScales,
  takeSamples,
  units,
} from "./samples";
import { blocks, blockValues, setWalshScales, takeWalsh, walshGradient, walshLosses } from "./walsh";
import { length, m } from "./walsh-row";

/** Takes the memory of the coupling asked for. */
export function takeEvolutionStrategies(): void {
  if (job.coupling === WALSH) takeWalsh();
  else if (job.coupling === INDEPENDENT || job.coupling === ANTITHETIC) takeSamples();
  else unreachable();
}

export function evolutionStrategies(leave: bool): void {
  if (job.coupling === WALSH) {
    if (!walshLosses()) return;
    if (thread === 0) blockFactors();
    walshGradient(leave);
  } else {
    if (!sampleLosses()) return;
    if (thread === 0) sampleFactors();
    sampleGradient(leave);
  }
}

/** The mean loss, and what multiplies the losses' noise. By one thread. */
function blockFactors(): void {
  const halves: u32 = 2 * blocks;
  let total: f64 = 0;
  for (let h: u32 = 0; h < halves; h++) {
    for (let g: u32 = 0; g < m; g++) total += f64(load<f32>(blockValues + 4 * (h * length + g)));
  }
  job.loss = total / f64(halves * m);
  setWalshScales(1, job.rowwise ? 0 : 1 / noiseScale);
}

/** Losses → themselves or, centred, less their mean; and what multiplies their noise. By one thread. */
function sampleFactors(): void {
  if (job.rowwise) {
    setSampleScales(1, 0);
    return;
  }
  const centred = !pair && job.centred !== 0;
  setSampleScales(1, 1 / (noiseScale * f64(centred ? units - 1 : units)));
  if (!centred) return;
  for (let j: u32 = 0; j < job.samples; j++)
    store<f64>(sampleValues + 8 * j, load<f64>(sampleValues + 8 * j) - job.loss);
}
