// update.h explains.
#include "update.h"

namespace local_entropy {

bool estimate_on_device(const Estimator& estimator, const DeviceQuestion& q, DeviceContext& context,
                        DeviceFactored* factored, DeviceEstimate* estimate) {
  blank(context.stream, estimate->numbers, sizeof *estimate->numbers);
  switch (estimator.kind) {
    case Estimator::Kind::kSgd:
      return sgd_estimate(estimator, q, context, factored, estimate);
    case Estimator::Kind::kImportanceSampling:
    case Estimator::Kind::kEvolutionStrategies:
      if (estimator.coupling.kind == Coupling::Kind::kWalsh)
        return walsh_estimate(estimator, q, context, factored, estimate);
      return importance_sampling_estimate(estimator, q, context, factored, estimate);
    case Estimator::Kind::kSgld:
      return sgld_estimate(estimator, q, context, factored, estimate);
    case Estimator::Kind::kRobbinsMonro:
      return robbins_monro_estimate(estimator, q, context, factored, estimate);
  }
  return false;
}

bool update_on_device(const Estimator& estimator, const Optimizer& optimizer, double rate,
                      const DeviceQuestion& q, DeviceContext& context, DeviceEstimate* estimate,
                      const DeviceState& state, double* norm) {
  DeviceFactored factored;
  if (!estimate_on_device(estimator, q, context, &factored, estimate)) return false;
  if (context.cancelled->load(std::memory_order_relaxed)) return false;
  step(context, optimizer, rate, uint64_t(q.update) + 1, *q.network, estimate->gradient, factored,
       q.batches[0], state, norm);
  return true;
}

}  // namespace local_entropy
