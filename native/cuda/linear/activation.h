// What a product may finish its entries with: an activation, or the slope of one. A value that no activation
// has gives NaN, never another activation's result.
#pragma once
#include "../../backend.h"
#include "../machine/device.h"

namespace local_entropy {

__host__ __device__ inline float activate(Activation activation, float x) {
  switch (activation) {
    case Activation::kRelu:
      return x <= 0 ? 0.0f : x;  // NaN stays NaN
    case Activation::kTanh:
      return tanhf(x);
    case Activation::kStep:
      return x > 0 ? 1.0f : x <= 0 ? 0.0f : x;
  }
  return NAN;
}

// The signal `back` through an activation whose value is `a`; a step has no slope to descend.
__host__ __device__ inline float through_slope(Activation activation, float a, float back) {
  switch (activation) {
    case Activation::kRelu:
      return a > 0 ? back : 0.0f;
    case Activation::kTanh:
      return back * (1 - a * a);
    case Activation::kStep:
      return 0;
  }
  return NAN;
}

}  // namespace local_entropy
