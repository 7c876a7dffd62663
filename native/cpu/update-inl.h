// One update of a session: the estimator's gradient at x_k, its norm, and the optimizer's step; and the table
// of this target's kernels.

inline bool estimate(const Estimator& estimator, const Question& q, const Context& context,
                     Workspace& workspace, Estimate* result) {
  const FlushDenormals flush;
  workspace.reset();
  switch (estimator.kind) {
    case Estimator::Kind::kSgd:
      return sgd(q, context, workspace, result);
    case Estimator::Kind::kImportanceSampling:
      if (estimator.coupling.kind == Coupling::Kind::kWalsh)
        return walsh_estimate(estimator, q, context, workspace, result);
      return importance_sampling(estimator, q, context, workspace, result);
    case Estimator::Kind::kSgld:
      return sgld(estimator, q, context, workspace, result);
    case Estimator::Kind::kRobbinsMonro:
      return robbins_monro(estimator, q, context, workspace, result);
    case Estimator::Kind::kEvolutionStrategies:
      if (estimator.coupling.kind == Coupling::Kind::kWalsh)
        return walsh_estimate(estimator, q, context, workspace, result);
      break;  // not in this build; refused above the seam
  }
  return false;
}

// |a|, a of `count`: blocks of 4096 in float32 lanes, summed in float64 in order.
inline double norm(const float* a, size_t count) {
  double total = 0;
  for (size_t i = 0; i < count; i += 4096) total += squared_norm(a + i, std::min(size_t(4096), count - i));
  return std::sqrt(total);
}

inline bool update(const Estimator& estimator, const Optimizer& optimizer, double rate, const Question& q,
                   const Context& context, Workspace& workspace, Estimate* result, float* parameters,
                   float* const* moments, double* gradient_norm) {
  if (!estimate(estimator, q, context, workspace, result)) return false;
  const size_t n = q.network->parameters();
  *gradient_norm = norm(result->gradient, n);
  return step(optimizer, rate, uint64_t(q.update) + 1, n, result->gradient, parameters, moments, context);
}

inline Workspace* new_workspace() { return new Workspace(); }
inline void delete_workspace(Workspace* workspace) { delete workspace; }

constexpr Kernels kernel_table(const char* name) {
  return {name,     gaussian, dense_loss, dense_predict, dense_correct,
          estimate, step,     update,     new_workspace, delete_workspace};
}
