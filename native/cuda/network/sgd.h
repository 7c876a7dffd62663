// Gradient of f on one minibatch: what stochastic gradient descent takes, and the direct Langevin chain.
//
// Symbols: n parameters.
#pragma once
#include "../machine/question.h"

namespace local_entropy {

// gradient (n) <- grad f; *value <- f. Where `factored` is not null the first layer's part may be left in it.
void dense_gradient(DeviceContext&, const Network&, DeviceLoss loss, const float* parameters,
                    const DeviceBatch&, DeviceFactored* factored, float* gradient, double* value);

// Enqueues the estimate; false if cancelled.
bool sgd(const Estimator&, const DeviceQuestion&, DeviceContext&, DeviceFactored* factored, DeviceEstimate*);

}  // namespace local_entropy
