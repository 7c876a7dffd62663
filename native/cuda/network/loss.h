// The loss of a row, for every kernel that evaluates a network.
#pragma once
#include "../machine/question.h"

namespace local_entropy {

// nvcc says nothing of a kind that a switch leaves out, so each file that switches on one counts them.
static_assert(kLossKinds == 2, "a kind of loss is missing in row_loss");

// Cross-entropy: z_best - z_label + log(1 + others), others = sum over all but the best of exp(z - z_best),
// which keeps the digits of small losses.
__host__ __device__ inline float cross_entropy(float best, float label, float others) {
  return best - label + log1pf(others);
}

// The dearest of a label's costs: what a row is charged for which nothing is predicted.
__host__ __device__ inline float dearest(const float* costs, unsigned classes) {
  float most = costs[0];
  for (unsigned c = 1; c < classes; c++) most = costs[c] > most ? costs[c] : most;
  return most;
}

// Loss of a row of logits: as Loss in backend.h.
__host__ __device__ inline float row_loss(const float* z, unsigned classes, unsigned label, DeviceLoss loss) {
  unsigned best = 0;
  bool none = z[0] != z[0];  // NaN, which no comparison tells
  for (unsigned c = 1; c < classes; c++) {
    if (z[c] > z[best]) best = c;
    none |= z[c] != z[c];
  }
  switch (loss.kind) {
    case LossKind::kCostMatrix: {
      const float* costs = loss.costs + label * classes;
      return none ? dearest(costs, classes) : costs[best];
    }
    case LossKind::kCrossEntropy:
      break;
  }
  float others = 0;
  for (unsigned c = 0; c < classes; c++)
    if (c != best) others += expf(z[c] - z[best]);
  return cross_entropy(z[best], z[label], others);
}

}  // namespace local_entropy
