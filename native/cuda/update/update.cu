// update.h explains.
#include <stdexcept>

#include "../chains/robbins-monro.h"
#include "../chains/sgld.h"
#include "../network/sgd.h"
#include "../sampling/evolution-strategies.h"
#include "../sampling/importance-sampling.h"
#include "../sampling/samples.h"
#include "update.h"

namespace local_entropy {

bool estimate_on_device(const Estimator& estimator, const DeviceQuestion& q, DeviceContext& context,
                        DeviceFactored* factored, DeviceEstimate* estimate) {
  blank(context.stream, estimate->numbers, sizeof *estimate->numbers);
  switch (estimator.kind) {
    case Estimator::Kind::kSgd:
      return sgd(estimator, q, context, factored, estimate);
    case Estimator::Kind::kImportanceSampling:
      return importance_sampling(estimator, q, context, factored, estimate);
    case Estimator::Kind::kEvolutionStrategies:
      return evolution_strategies(estimator, q, context, factored, estimate);
    case Estimator::Kind::kSgld:
      return sgld(estimator, q, context, estimate);
    case Estimator::Kind::kRobbinsMonro:
      return robbins_monro(estimator, q, context, factored, estimate);
  }
  throw std::logic_error("No such estimator");
}

bool outputs_on_device(const Estimator& estimator, const DeviceQuestion& q, DeviceContext& context,
                       DeviceEstimate* estimate) {
  if (estimator.coupling.kind != Coupling::Kind::kWalsh) return outputs_of_samples(estimator, q, context);
  return evolution_strategies(estimator, q, context, nullptr, estimate);
}

bool update_on_device(const Estimator& estimator, const Optimizer& optimizer, double rate,
                      const DeviceQuestion& q, DeviceContext& context, DeviceEstimate* estimate,
                      const DeviceState& state, double* norm) {
  DeviceFactored factored;
  if (!estimate_on_device(estimator, q, context, &factored, estimate)) return false;
  if (!context.going_on()) return false;
  step(context, optimizer, rate, uint64_t(q.update) + 1, *q.network, estimate->gradient, factored,
       q.batches[0], state, norm);
  return true;
}

}  // namespace local_entropy
