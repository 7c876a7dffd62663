// Evolution strategies: the gradient of heat, E f(x + s Z), from losses alone or with the row split.
//
//   mean_j f_j Z_j / s;  centred: sum_j (f_j - mean f) Z_j / ((J - 1) s);  pairs: mean_p (f+ - f-)/2 Z_p / s
//   row split: its first-order part H alone (row-split-inl.h, row-split-walsh-inl.h)
//
// Symbols: J samples, s the perturbation's scale.
#pragma once
#include <cstddef>
#include <stdexcept>

#include "row-split-inl.h"
#include "walsh-inl.h"

BEGIN_TARGET

// Samples and pairs: losses (J) -> what multiplies the noise.
inline Factors sample_losses_as_factors(const SampleRun& run, double* losses, Estimate* estimate) {
  if (run.estimator->rowwise) return {1, 0};
  const bool centred = !run.pair && run.estimator->coupling.centred;
  const double units = double(run.units), level = centred ? estimate->loss : 0;
  for (size_t j = 0; j < run.estimator->coupling.samples; j++) losses[j] -= level;
  return {1, 1 / (run.q->noise_scale * (centred ? units - 1 : units))};
}

// Walsh blocks: their losses are what multiplies the noise.
inline Factors block_losses_as_factors(const WalshRun& run, float* losses, Estimate* estimate) {
  double total = 0;
  for (size_t half = 0; half < 2 * run.blocks; half++)
    for (size_t i = 0; i < run.point.shape.m; i++) total += losses[half * run.point.shape.length + i];
  estimate->loss = total / double(estimate->samples);
  return {1, run.by_rows ? 0 : 1 / run.q->noise_scale};
}

inline bool evolution_strategies(const Estimator& estimator, const Question& q, const Context& context,
                                 Workspace& workspace, Factored* factored, Estimate* estimate) {
  switch (estimator.coupling.kind) {
    case Coupling::Kind::kWalsh:
      return gradient_from_blocks(estimator, q, context, workspace, block_losses_as_factors, factored,
                                  estimate);
    case Coupling::Kind::kIndependent:
    case Coupling::Kind::kAntithetic:
      return gradient_from_samples(estimator, q, context, workspace, sample_losses_as_factors, factored,
                                   estimate);
  }
  throw std::logic_error("no such coupling");
}

END_TARGET
