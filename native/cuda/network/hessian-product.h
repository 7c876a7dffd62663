// The Hessian of a dense network's mean cross-entropy times a vector.
//
// Symbols: n parameters.
#pragma once
#include "../machine/question.h"

namespace local_entropy {

// out (n) <- the Hessian at `parameters` (n) of the batch's mean cross-entropy, times `vector` (n). Rows are
// worked off some after the others, so memory does not grow with B. Waits; false if cancelled.
bool dense_hessian_product(DeviceContext&, const Network&, const float* parameters, const float* vector,
                           const DeviceBatch&, float* out);

}  // namespace local_entropy
