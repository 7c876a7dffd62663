// The loss of a row, for every kernel that evaluates a network.
#pragma once
#include "../machine/question.h"

namespace local_entropy {

// Cross-entropy: z_best - z_label + log(1 + others), others = sum over all but the best of exp(z - z_best),
// which keeps the digits of small losses.
__host__ __device__ inline float cross_entropy(float best, float label, float others) {
  return best - label + log1pf(others);
}

// Loss of a row of logits: as Loss in backend.h.
__host__ __device__ inline float row_loss(const float* z, unsigned classes, unsigned label, DeviceLoss loss) {
  unsigned best = 0;
  for (unsigned c = 1; c < classes; c++)
    if (z[c] > z[best]) best = c;
  switch (loss.kind) {
    case LossKind::kCostMatrix:
      return loss.costs[label * classes + (z[best] > z[label] ? best : label)];
    case LossKind::kCrossEntropy:
      break;
  }
  float others = 0;
  for (unsigned c = 0; c < classes; c++)
    if (c != best) others += expf(z[c] - z[best]);
  return cross_entropy(z[best], z[label], others);
}

}  // namespace local_entropy
