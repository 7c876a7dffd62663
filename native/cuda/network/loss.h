// The loss of a row, for every kernel that evaluates a network.
#pragma once
#include "../machine/device.h"

namespace local_entropy {

// Cross-entropy: z_best - z_label + log(1 + others), others = sum over all but the best of exp(z - z_best),
// which keeps the digits of small losses.
__host__ __device__ inline float cross_entropy(float best, float label, float others) {
  return best - label + log1pf(others);
}

// Loss of a row of logits: as Loss in backend.h.
__host__ __device__ inline float row_loss(const float* z, unsigned classes, unsigned label,
                                          const float* costs) {
  unsigned best = 0;
  for (unsigned c = 1; c < classes; c++)
    if (z[c] > z[best]) best = c;
  if (costs != nullptr) return costs[label * classes + (z[best] > z[label] ? best : label)];
  float others = 0;
  for (unsigned c = 0; c < classes; c++)
    if (c != best) others += expf(z[c] - z[best]);
  return cross_entropy(z[best], z[label], others);
}

}  // namespace local_entropy
