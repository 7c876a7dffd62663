// Gradient of f on one minibatch: what stochastic gradient descent takes.
#include "dense.h"

namespace local_entropy {

bool sgd_estimate(const Estimator&, const DeviceQuestion& q, DeviceContext& context, DeviceFactored* factored,
                  DeviceEstimate* estimate) {
  dense_gradient(context, *q.network, q.costs, q.parameters, q.batches[0], factored, estimate->gradient,
                 &estimate->numbers->loss);
  estimate->samples = 1;
  return true;
}

}  // namespace local_entropy
