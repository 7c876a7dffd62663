// What a row's outputs say by themselves: the class predicted, exponentials, each output's part of a loss by
// targets, and what predict makes of them.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "../../backend.h"
#include "../linear/math-inl.h"

BEGIN_TARGET

inline size_t first_largest(const float* z, size_t classes) {
  size_t best = 0;
  float top = z[0];
  for (size_t c = 1; c < classes; c++) {
    const bool larger = z[c] > top;  // a choice, not a branch: which class leads is a guess that fails often
    best = larger ? c : best;
    top = larger ? z[c] : top;
  }
  return best;
}

// Whether one of them is NaN, which no comparison above tells.
inline bool any_nan(const float* z, size_t classes) {
  Int found = (Int)set(0);
  for (size_t c = 0; c < classes; c += kLanes) {
    const Float x = load_or(z + c, std::min(kLanes, classes - c), 0);
    found = found | (Int)(x != x);
  }
  return sum(select(found, set(1), set(0))) > 0;
}

// The class of the first largest logit, or kNoClass where one is NaN.
inline uint16_t predicted(const float* z, size_t classes) {
  const size_t best = first_largest(z, classes);
  return any_nan(z, classes) ? kNoClass : uint16_t(best);
}

// What a cost matrix's row of the label charges where nothing is predicted: its dearest mistake.
inline float dearest(const float* costs, size_t classes) { return *std::max_element(costs, costs + classes); }

// z <- exp(z - z_best) with 1 at `best`; returns the sum of the others, so that log1p of it keeps small
// losses.
inline float exponentials(float* z, size_t classes, size_t best) {
  const Float top = set(z[best]);
  Float total = set(0);
  for (size_t c = 0; c < classes; c += kLanes) {
    const size_t n = std::min(kLanes, classes - c);
    const Float e = exp(load_or(z + c, n, -std::numeric_limits<float>::infinity()) - top);
    store_some(z + c, n, e);
    total = total + select((Int)(lane_numbers() == uint32_t(best - c)), set(0), e);
  }
  return sum(total);
}

// Losses by targets, of some outputs z with the targets t: each output's term, and its slope.
struct SquaredError {
  static Float loss(Float z, Float t) { return set(0.5f) * (z - t) * (z - t); }
  static Float slope(Float z, Float t) { return z - t; }
};
struct AbsoluteError {
  static Float loss(Float z, Float t) { return max(t - z, z - t); }
  static Float slope(Float z, Float t) {  // 0 at 0, as the ReLU's
    return select((Int)(z > t), set(1), select((Int)(z < t), set(-1), z - t));
  }
};
struct Logistic {
  static Float loss(Float z, Float t) {
    const Float rest = log1p(exp(min(z, set(0) - z)));
    return max(set(0), z) - t * z + rest;
  }
  static Float slope(Float z, Float t) { return set(1) / (set(1) + exp(set(0) - z)) - t; }
};

// outputs (d_L) <- what predict makes of a row's z, which is changed.
inline void link_row(Link link, float* z, size_t classes, float* outputs) {
  switch (link) {
    case Link::kSoftmax: {
      const float total = 1 + exponentials(z, classes, first_largest(z, classes));
      for (size_t c = 0; c < classes; c++) outputs[c] = z[c] / total;
      return;
    }
    case Link::kSigmoid:
      for_vectors(classes, [&](size_t c, size_t n) {
        store_some(outputs + c, n, Logistic::slope(load_some(z + c, n), set(0)));
      });
      return;
    case Link::kIdentity:
      std::copy(z, z + classes, outputs);
      return;
  }
}

END_TARGET
