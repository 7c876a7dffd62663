/**
 * Importance sampling of E_q[X], q ∝ e^{−f/δ} N(x, τ I): gradient-free (García Trillos, Kaplan, Sanz-Alonso, Entropy
 * 2019, Algorithm 4, eq. 16; δ = 1 is the paper's), with any coupling of the samples.
 *
 *   By rows, D = (mean_b f − c0)/δ, w = e^{−D} = 1 − D + ρ, H the first-order part of D (row-split.ts,
 *   row-split-walsh.ts), c0 the mean of all losses:
 *   gradient of F: (s²/τ)[H − (δ/s) mean ρ Z]/mean w
 *   From losses alone: −(δ s/τ) mean w Z/mean w, of samples and pairs in one pass (importance-sampling-one-pass.ts).
 *
 * Symbols: J samples, w_j = e^{−(f_j − c0)/δ}, here relative to e^top; s the perturbation's scale.
 */
import { exp, expDouble, expm1Double, expRemainder, logDouble } from "../linear/math";
import { job, noiseScale, tau, thread } from "../machine/context";
import { ANTITHETIC, INDEPENDENT, WALSH } from "../machine/job";
import { largest, set, sum } from "../machine/lanes";
import { importanceSamplingOnePass, takeOnePass } from "./importance-sampling-one-pass";
import { sampleGradient, sampleLosses, sampleValues, setSampleScales, takeSamples, units } from "./samples";
import { blocks, blockValues, setWalshScales, takeWalsh, walshGradient, walshLosses } from "./walsh";
import { inside, length, m } from "./walsh-row";

/** Takes the memory of the coupling asked for. */
export function takeImportanceSampling(): void {
  if (job.coupling === WALSH) takeWalsh();
  else if (job.coupling !== INDEPENDENT && job.coupling !== ANTITHETIC) unreachable();
  else if (job.rowwise) takeSamples();
  else takeOnePass();
}

export function importanceSampling(leave: bool): void {
  if (job.coupling === WALSH) {
    if (!walshLosses()) return;
    if (thread === 0) weighBlocks();
    walshGradient(leave);
  } else if (job.rowwise) {
    if (!sampleLosses()) return;
    if (thread === 0) weighSamples();
    sampleGradient(leave);
  } else {
    importanceSamplingOnePass(leave);
  }
}

/** By rows: losses → ρ relative to e^top; α, the factor of ρ Z, and the diagnostics. By one thread. */
function weighSamples(): void {
  const samples = job.samples;
  const level = job.loss;
  let top: f64 = 0;
  for (let j: u32 = 0; j < samples; j++)
    top = Math.max(top, -(load<f64>(sampleValues + 8 * j) - level) / job.temperature);
  const lost = expDouble(-top);
  let total: f64 = 0;
  let total2: f64 = 0;
  let largest: f64 = 0;
  for (let j: u32 = 0; j < samples; j++) {
    const x = -(load<f64>(sampleValues + 8 * j) - level) / job.temperature;
    const w = expDouble(x - top);
    total += w;
    total2 += w * w;
    largest = Math.max(largest, w);
    store<f64>(sampleValues + 8 * j, x > 40 ? w - lost * (1 + x) : lost * (expm1Double(x) - x));
  }
  const mean = total / f64(samples);
  job.freeEnergy = level - job.temperature * (top + logDouble(mean));
  job.effectiveSampleSize = (total * total) / total2;
  job.largestWeight = largest / total;
  setSampleScales(
    (noiseScale * noiseScale * lost) / (tau * mean),
    (-job.temperature * noiseScale) / (tau * mean) / f64(units),
  );
}

/**
 * Losses of all blocks → ρ where by rows, else w; their mean, and the diagnostics. By one thread. Weights that are nearly
 * equal come less 1, which no sum over a block's signs sees: beside 1 float32 would keep little of them.
 */
function weighBlocks(): void {
  const halves: u32 = 2 * blocks;
  const count = f64(halves * m);
  const delta = job.temperature;
  let total: f64 = 0;
  let lowest: f32 = Infinity;
  let highest: f32 = -Infinity;
  for (let h: u32 = 0; h < halves; h++) {
    let part: f32 = 0;
    for (let g: u32 = 0; g < m; g++) {
      const f = load<f32>(blockValues + 4 * (h * length + g));
      part += f;
      if (f < lowest) lowest = f;
      if (f > highest) highest = f;
    }
    total += f64(part);
  }
  const level = total / count;
  const most = -(f64(lowest) - level) / delta;
  const top = most > 20 ? most : 0; // only where a weight would leave float32's comfortable range
  const flat = (f64(highest) - f64(lowest)) / delta < 0.01;
  const lost = set(f32(expDouble(-top)));
  const rate = set(f32(-1 / delta));
  let weight: f64 = 0;
  let weight2: f64 = 0;
  let greatest: f32 = 0;
  for (let at: usize = 0; at < 4 * halves * length; at += 16) {
    const x = f32x4.mul(rate, f32x4.sub(v128.load(blockValues + at), set(f32(level))));
    const w = v128.and(inside, exp(f32x4.sub(x, set(f32(top)))));
    weight += f64(sum(w));
    weight2 += f64(sum(f32x4.mul(w, w)));
    const here = largest(w);
    if (here > greatest) greatest = here;
    let value = w;
    if (job.rowwise) {
      if (top === 0) value = expRemainder(x);
      else value = f32x4.sub(w, f32x4.mul(lost, f32x4.add(set(1), x)));
    } else if (flat) {
      value = f32x4.add(expRemainder(x), x);
    }
    v128.store(blockValues + at, v128.and(inside, value));
  }
  const mean = weight / count;
  job.loss = level;
  job.freeEnergy = level - delta * (top + logDouble(mean));
  job.effectiveSampleSize = (weight * weight) / weight2;
  job.largestWeight = f64(greatest) / weight;
  setWalshScales(
    (noiseScale * noiseScale * expDouble(-top)) / (tau * mean),
    (-delta * noiseScale) / (tau * mean),
  );
}
