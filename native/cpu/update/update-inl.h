// One update of a session: the estimator's gradient at x_k, its norm, and the optimizer's step.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <stdexcept>

#include "../../backend.h"
#include "../chains/robbins-monro-inl.h"
#include "../chains/sgld-inl.h"
#include "../network/sgd-inl.h"
#include "../sampling/evolution-strategies-inl.h"
#include "../sampling/importance-sampling-inl.h"
#include "step-inl.h"

BEGIN_TARGET

// `factored`: where the first layer's gradient may be left as A^T C, or null.
inline bool estimate_at(const Estimator& estimator, const Question& q, const Context& context,
                        Workspace& workspace, Factored* factored, Estimate* result) {
  workspace.reset();
  switch (estimator.kind) {
    case Estimator::Kind::kSgd:
      return sgd(q, context, workspace, factored, result);
    case Estimator::Kind::kImportanceSampling:
      return importance_sampling(estimator, q, context, workspace, factored, result);
    case Estimator::Kind::kEvolutionStrategies:
      return evolution_strategies(estimator, q, context, workspace, factored, result);
    case Estimator::Kind::kSgld:
      return sgld(estimator, q, context, workspace, result);
    case Estimator::Kind::kRobbinsMonro:
      return robbins_monro(estimator, q, context, workspace, factored, result);
  }
  throw std::logic_error("no such estimator");
}

inline bool estimate(const Estimator& estimator, const Question& q, const Context& context,
                     Workspace& workspace, Estimate* result) {
  const FlushDenormals flush;
  return estimate_at(estimator, q, context, workspace, nullptr, result);
}

inline bool update(const Estimator& estimator, const Optimizer& optimizer, double rate, const Question& q,
                   const Context& context, Workspace& workspace, Estimate* result, float* parameters,
                   float* const* moments, double* gradient_norm) {
  const FlushDenormals flush;
  Factored factored;
  if (!estimate_at(estimator, q, context, workspace, &factored, result)) return false;
  const uint64_t index = uint64_t(q.update) + 1;
  double norm2 = 0;
  size_t done = 0;  // parameters that are stepped already
  if (factored.rows != nullptr) {
    norm2 = factored_step(optimizer, rate, index, factored, q.network->layers[1], workspace, context.executor,
                          parameters, moments);
    done = tail_offset(*q.network);
  }
  const size_t left = q.network->parameters() - done;
  norm2 += squared_length(result->gradient + done, left);
  *gradient_norm = std::sqrt(norm2);
  float* rest[2] = {nullptr, nullptr};
  for (size_t i = 0; i < optimizer.moments(); i++) rest[i] = moments[i] + done;
  return step(optimizer, rate, index, left, result->gradient + done, parameters + done, rest, context);
}

END_TARGET
