// Robbins-Monro: robbins-monro.cu has the method.
#pragma once
#include "../machine/question.h"

namespace local_entropy {

// Enqueues the estimate; false if cancelled.
bool robbins_monro(const Estimator&, const DeviceQuestion&, DeviceContext&, DeviceFactored* factored,
                   DeviceEstimate*);

}  // namespace local_entropy
