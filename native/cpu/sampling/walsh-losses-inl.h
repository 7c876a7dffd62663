// Losses of one row's samples under one Walsh block: of the differences from the label's logit, or of the
// outputs as they are where the loss reads targets.
//
// Symbols: walsh-row-inl.h.
#pragma once
#include <algorithm>
#include <cstddef>
#include <limits>

#include "walsh-row-inl.h"

BEGIN_TARGET

// The logit of class c less the label's, times log2 e, e = +1 or -1, for the vector at i.
inline Float walsh_difference(const WalshPoint& point, const WalshRow& row, size_t c, size_t label, size_t i,
                              bool minus) {
  const size_t at = c * point.shape.length + i, own = label * point.shape.length + i;
  const Float odd = load(row.t + at);
  Float even = set(row.base[c]);
  if (point.shape.layout == WalshLayout::kRowSplit)
    even = fma(set(kLog2e), load(row.n_part + at) - load(row.n_part + own), even);
  return minus ? even - odd : even + odd;
}

// Cross-entropy where the sum of exponentials left the range of log1p: by the largest difference.
inline Float walsh_large_loss(const WalshPoint& point, const WalshRow& row, size_t label, size_t i,
                              bool minus) {
  Float top = set(0), total = set(0);  // of the other classes; the label's is 2^0
  for (size_t c = 0; c < point.shape.classes; c++)
    if (c != label) top = max(top, walsh_difference(point, row, c, label, i, minus));
  for (size_t c = 0; c < point.shape.classes; c++)
    total = total + exp2((c == label ? set(0) : walsh_difference(point, row, c, label, i, minus)) - top);
  return fma(top, set(1 / kLog2e), log1p(max(set(0), total - set(1))));
}

// Of the label's costs that of the class predicted, the first largest; `most`, the dearest, where one is NaN.
inline Float walsh_cost(const WalshPoint& point, const WalshRow& row, const float* costs, float most,
                        size_t label, size_t i, bool minus) {
  Float top = set(-std::numeric_limits<float>::infinity()), cost = set(costs[0]);
  Int none = (Int)set(0);
  for (size_t c = 0; c < point.shape.classes; c++) {
    const Float z = c == label ? set(0) : walsh_difference(point, row, c, label, i, minus);
    cost = select((Int)(z > top), set(costs[c]), cost);
    top = max(top, z);
    none = none | (Int)(z != z);
  }
  return select(none, set(most), cost);
}

// Of the row's 2m samples the sum over the other classes of 2^difference.
template <bool kRowSplit>
inline void walsh_sums(const WalshPoint& point, size_t label, WalshRow* row) {
  const size_t length = point.shape.length, others = point.shape.classes - 1;
  const Float log2e = set(kLog2e);
  for (size_t i = 0; i < length; i += kLanes) {
    Float sum_plus = set(0), sum_minus = set(0);
    const Float n_own = kRowSplit ? load(row->n_part + label * length + i) : set(0);
    for (size_t k = 0; k < others; k++) {
      const size_t c = k + (k >= label);
      const Float odd = load(row->t + c * length + i);
      Float even = set(row->base[c]);
      if (kRowSplit) even = fma(log2e, load(row->n_part + c * length + i) - n_own, even);
      sum_plus = sum_plus + exp2(even + odd);
      sum_minus = sum_minus + exp2(even - odd);
    }
    store(row->losses + i, sum_plus);
    store(row->losses + length + i, sum_minus);
  }
}

// f of the row's 2m samples, of a loss that reads labels. Cross-entropy is log1p of the sum.
inline void walsh_losses(const WalshPoint& point, size_t label, WalshRow* row) {
  const WalshShape& shape = point.shape;
  const size_t length = shape.length;
  switch (point.loss->kind) {
    case LossKind::kCostMatrix: {
      const float* costs = point.loss->costs.data() + label * shape.classes;
      const float most = dearest(costs, shape.classes);
      for (size_t i = 0; i < 2 * length; i += kLanes)
        store(row->losses + i, walsh_cost(point, *row, costs, most, label, i & (length - 1), i >= length));
      break;
    }
    case LossKind::kCrossEntropy: {
      if (shape.layout == WalshLayout::kRowSplit)
        walsh_sums<true>(point, label, row);
      else
        walsh_sums<false>(point, label, row);
      Float most = set(0);
      for (size_t i = 0; i < 2 * length; i += kLanes) {
        const Float x = load(row->losses + i);
        most = max(most, x);
        store(row->losses + i, log1p(x));
      }
      if (!(largest(most) < 1e9f))
        for (size_t i = 0; i < length; i += kLanes) {
          store(row->losses + i, walsh_large_loss(point, *row, label, i, false));
          store(row->losses + length + i, walsh_large_loss(point, *row, label, i, true));
        }
      break;
    }
    case LossKind::kSquaredError:  // of targets: walsh_target_losses
    case LossKind::kAbsoluteError:
    case LossKind::kLogistic:
    case LossKind::kSoftCrossEntropy:
    case LossKind::kGiven:
      break;
  }
}

// Output c of the samples of a vector, e = +1 and e = -1.
struct WalshOutputs {
  Float plus, minus;
};

inline WalshOutputs walsh_outputs(const WalshPoint& point, const WalshRow& row, size_t c, size_t i) {
  const Float odd = load(row.t + c * point.shape.length + i);
  Float even = set(row.base[c]);
  if (point.shape.layout == WalshLayout::kRowSplit)
    even = even + load(row.n_part + c * point.shape.length + i);
  return {even + odd, even - odd};
}

// Sums over the outputs of each one's term.
template <class Term>
inline void walsh_summed_losses(const WalshPoint& point, const float* targets, WalshRow* row) {
  const size_t length = point.shape.length;
  for (size_t i = 0; i < length; i += kLanes) {
    Float plus = set(0), minus = set(0);
    for (size_t c = 0; c < point.shape.classes; c++) {
      const WalshOutputs z = walsh_outputs(point, *row, c, i);
      const Float t = set(targets[c]);
      plus = plus + Term::loss(z.plus, t);
      minus = minus + Term::loss(z.minus, t);
    }
    store(row->losses + i, plus);
    store(row->losses + length + i, minus);
  }
}

// sum t (z_best - z) + sum t log(sum e^(z - z_best)).
inline void walsh_soft_cross_entropies(const WalshPoint& point, const float* targets, WalshRow* row) {
  const size_t length = point.shape.length, classes = point.shape.classes;
  float of_targets = 0;
  for (size_t c = 0; c < classes; c++) of_targets += targets[c];
  const Float all = set(of_targets), lowest = set(-std::numeric_limits<float>::infinity());
  for (size_t i = 0; i < length; i += kLanes) {
    WalshOutputs top{lowest, lowest};
    for (size_t c = 0; c < classes; c++) {
      const WalshOutputs z = walsh_outputs(point, *row, c, i);
      top.plus = max(top.plus, z.plus);
      top.minus = max(top.minus, z.minus);
    }
    WalshOutputs total{set(0), set(0)}, below{set(0), set(0)};
    for (size_t c = 0; c < classes; c++) {
      const WalshOutputs z = walsh_outputs(point, *row, c, i);
      const Float t = set(targets[c]), plus = z.plus - top.plus, minus = z.minus - top.minus;
      total = {total.plus + exp(plus), total.minus + exp(minus)};
      if (targets[c] != 0) below = {fma(t, set(0) - plus, below.plus), fma(t, set(0) - minus, below.minus)};
    }
    const Float one = set(1), zero = set(0);  // the best's own term is 1
    store(row->losses + i, fma(all, log1p(max(zero, total.plus - one)), below.plus));
    store(row->losses + length + i, fma(all, log1p(max(zero, total.minus - one)), below.minus));
  }
}

// f of the row's 2m samples, of a loss that reads targets.
inline void walsh_target_losses(const WalshPoint& point, const float* targets, WalshRow* row) {
  switch (point.loss->kind) {
    case LossKind::kSquaredError:
      return walsh_summed_losses<SquaredError>(point, targets, row);
    case LossKind::kAbsoluteError:
      return walsh_summed_losses<AbsoluteError>(point, targets, row);
    case LossKind::kLogistic:
      return walsh_summed_losses<Logistic>(point, targets, row);
    case LossKind::kSoftCrossEntropy:
      return walsh_soft_cross_entropies(point, targets, row);
    case LossKind::kCrossEntropy:  // of labels: walsh_losses
    case LossKind::kCostMatrix:
    case LossKind::kGiven:  // walsh_given
      return;
  }
}

// The mean of f over the row's 2m samples; f becomes zero past m.
inline void walsh_mean(const WalshShape& shape, WalshRow* row) {
  const size_t length = shape.length;
  Float total = set(0);
  const Int inside = (Int)(lane_numbers() < uint32_t(std::min(shape.m, kLanes)));
  for (size_t i = 0; i < 2 * length; i += kLanes) {
    const Float f = select(inside, load(row->losses + i), set(0));
    store(row->losses + i, f);
    total = total + f;
  }
  row->mean = sum(total) / float(2 * shape.m);
}

// Row b of the batch in a loss that is given, or its outputs in their place; `sample` is the block's first.
inline void walsh_given(const WalshPoint& point, size_t sample, size_t b, WalshRow* row) {
  const WalshShape& shape = point.shape;
  const Loss& loss = *point.loss;
  const size_t classes = shape.classes;
  for (size_t half = 0; half < 2; half++) {
    float* losses = row->losses + half * shape.length;
    for (size_t i = 0; i < shape.length; i += kLanes) {
      const size_t lanes = std::min(kLanes, shape.m - i);  // of a shorter transform
      if (loss.outputs == nullptr) {
        for (size_t lane = 0; lane < lanes; lane++)
          losses[i + lane] = loss.given[(sample + half * shape.m + i + lane) * loss.batch + b];
        continue;
      }
      store(losses + i, set(0));
      for (size_t c = 0; c < classes; c++) {
        const WalshOutputs z = walsh_outputs(point, *row, c, i);
        alignas(64) float each[kLanes];
        store(each, half == 0 ? z.plus : z.minus);
        float* to = loss.outputs + ((sample + half * shape.m + i) * loss.batch + b) * classes + c;
        for (size_t lane = 0; lane < lanes; lane++) to[lane * loss.batch * classes] = each[lane];
      }
    }
  }
}

// Row r's 2m losses under one block's noise, row b of the batch; `sample` is the block's first. base (A x)_b
// and y = s (M U)_b, zeros past w1 up to `length`.
template <int kCount>
inline void walsh_row(const WalshPoint& point, const WalshNoise& noise, const float* base, const float* y,
                      const Rows& rows, size_t r, size_t sample, size_t b, float* scratch, WalshRow* row) {
  row->y = y;
  if (point.shape.layout != WalshLayout::kNoHidden) half_activations(point, base, y, row);
  if (point.by_label) {
    const size_t label = rows.labels[r];
    walsh_logits<kCount, true>(point, base, noise, label, scratch, row);
    walsh_losses(point, label, row);
  } else {
    walsh_logits<kCount, false>(point, base, noise, 0, scratch, row);
    if (point.loss->kind == LossKind::kGiven)
      walsh_given(point, sample, b, row);
    else
      walsh_target_losses(point, rows.targets[r], row);
  }
  walsh_mean(point.shape, row);
}

END_TARGET
