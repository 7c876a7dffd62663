// Stochastic gradient Langevin dynamics: sgld.cu has the method.
#pragma once
#include "../machine/question.h"

namespace local_entropy {

// Enqueues the estimate and the chain's last iterate; false if cancelled.
bool sgld(const Estimator&, const DeviceQuestion&, DeviceContext&, DeviceEstimate*);

}  // namespace local_entropy
