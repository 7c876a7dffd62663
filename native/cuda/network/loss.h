// The loss of a row, for every kernel that evaluates a network.
#pragma once
#include "../machine/block.h"
#include "../machine/question.h"

namespace local_entropy {

// nvcc says nothing of a kind that a switch leaves out, so each file that switches on one counts them.
static_assert(kLossKinds == 7, "a kind of loss is missing in row_loss, target_term or target_slope");

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

__host__ __device__ inline float sigmoid(float z) { return 1 / (1 + expf(-z)); }

// Of a loss that is a sum over the outputs: the term of one output z with the target t.
__host__ __device__ inline float target_term(LossKind kind, float z, float t) {
  if (kind == LossKind::kAbsoluteError) return fabsf(z - t);
  if (kind == LossKind::kSquaredError) return 0.5f * (z - t) * (z - t);
  const float positive = z < 0 ? 0 : z;  // logistic; NaN stays NaN
  return positive - t * z + log1pf(expf(-fabsf(z)));
}

// The slope of that term; the absolute error's is 0 at 0, as the ReLU's.
__host__ __device__ inline float target_slope(LossKind kind, float z, float t) {
  if (kind == LossKind::kAbsoluteError) return z > t ? 1 : z < t ? -1 : z - t;
  return (kind == LossKind::kLogistic ? sigmoid(z) : z) - t;
}

// Row b of sample `sample` in a loss that is given, or its outputs in their place.
__host__ __device__ inline float given_loss(const float* z, unsigned classes, size_t sample, size_t b,
                                            DeviceLoss loss, unsigned lane = 0, unsigned lanes = 1) {
  const size_t at = sample * loss.batch + b;
  if (loss.outputs == nullptr) return loss.given[at];
  for (unsigned c = lane; c < classes; c += lanes) loss.outputs[at * classes + c] = z[c];
  return 0;
}

// Loss of a row of logits: as Loss in backend.h. b: the row in its batch; sample: which, where losses are
// given.
__host__ __device__ inline float row_loss(const float* z, unsigned classes, const DeviceBatch& batch,
                                          size_t b, DeviceLoss loss, size_t sample) {
  unsigned best = 0;
  bool none = z[0] != z[0];  // NaN, which no comparison tells
  for (unsigned c = 1; c < classes; c++) {
    if (z[c] > z[best]) best = c;
    none |= z[c] != z[c];
  }
  float others = 0, total = 0, all = 0;
  switch (loss.kind) {
    case LossKind::kCostMatrix: {
      const float* costs = loss.costs + batch.label(b) * classes;
      return none ? dearest(costs, classes) : costs[best];
    }
    case LossKind::kSquaredError:
    case LossKind::kAbsoluteError:
    case LossKind::kLogistic:
      for (unsigned c = 0; c < classes; c++) total += target_term(loss.kind, z[c], batch.targets(b)[c]);
      return total;
    case LossKind::kGiven:
      return given_loss(z, classes, sample, b, loss);
    case LossKind::kCrossEntropy:
    case LossKind::kSoftCrossEntropy:
      break;
  }
  for (unsigned c = 0; c < classes; c++)
    if (c != best) others += expf(z[c] - z[best]);
  if (loss.kind == LossKind::kCrossEntropy) return cross_entropy(z[best], z[batch.label(b)], others);
  const float* targets = batch.targets(b);
  for (unsigned c = 0; c < classes; c++) {
    if (targets[c] != 0) total += targets[c] * (z[best] - z[c]);
    all += targets[c];
  }
  return total + all * log1pf(others);
}

// By a warp: a loss by targets of row b, and where scale is not 0 its logits z become scale dloss/dlogits.
// top, others: of the first largest logit; every lane gets the loss.
__device__ inline float target_loss(LossKind kind, const DeviceBatch& batch, size_t b, unsigned classes,
                                    float top, float others, float scale, float* z) {
  const float* targets = batch.targets(b);
  const bool soft = kind == LossKind::kSoftCrossEntropy;
  float total = 0, all = 0;
  for (unsigned c = threadIdx.x % 32; c < classes; c += 32) {
    if (!soft) {
      total += target_term(kind, z[c], targets[c]);
      continue;
    }
    if (targets[c] != 0) total += targets[c] * (top - z[c]);
    all += targets[c];
  }
  total = warp_sum(total);
  all = warp_sum(all);
  for (unsigned c = threadIdx.x % 32; scale != 0 && c < classes; c += 32) {
    const float slope =
        soft ? all * expf(z[c] - top) / (1 + others) - targets[c] : target_slope(kind, z[c], targets[c]);
    z[c] = scale * slope;
  }
  return soft ? total + all * log1pf(others) : total;
}

}  // namespace local_entropy
