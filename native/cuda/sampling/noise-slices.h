// Sums of weighted noise over slices of the samples, each made before the weights of all are known, and what
// becomes of them then. The number of slices depends on the number of samples alone.
#pragma once
#include "noise-sum.h"
#include "sample-weights.h"
#include "sampled-point.h"

namespace local_entropy {

// Sums over one slice of the units. Its weights are relative to a level of its own: with r = e^{-(f - level)
// /delta} - 1 (entropy) or f - level (heat), for a pair half the difference of its two,
//
//   weighted = sum_u r_u Z_u,  plain = sum_u Z_u
struct SampleSlices {
  size_t slices;
  bool entropy;
  double delta;
  float* weighted;  // slices x layout.size()
  float* plain;     // as well; null for pairs, whose weights add up to nothing
  double* levels;   // slices
};

// A slice's level, which follows the losses down, and what a unit adds to the slice's sums.
struct SliceLevel {
  static constexpr double kFar = 20;  // exponent from which it takes a new level

  double level = 0;
  bool begun = false;

  // f, other: a unit's losses, alike without pairs. *shrink: e^{-(level before - level now)/delta}, mostly 1.
  __device__ float weight(const SampleSlices& slices, float f, float other, float* shrink) {
    const double least = f < other ? f : other;
    *shrink = 1;
    if (!begun) {
      level = least;
      begun = true;
    } else if (slices.entropy && level - least > kFar * slices.delta) {
      *shrink = float(exp((least - level) / slices.delta));
      level = least;
    }
    const double r = relative(slices, f);
    return float(slices.plain == nullptr ? 0.5 * (r - relative(slices, other)) : r);
  }
  __device__ double relative(const SampleSlices& slices, float f) const {
    if (!slices.entropy) return double(f) - level;
    return f == INFINITY ? -1 : expm1((level - double(f)) / slices.delta);  // the level may be infinite too
  }
};

size_t sample_slice_count(size_t units);

// Memory for the sums of `units`.
SampleSlices new_sample_slices(const SampledPoint& point, bool pair, size_t units, bool entropy,
                               double delta);

// sum (layout.size()) <- sum_u beta_u Z_u, as noise_sum makes it of unit_weights. Padding is left undefined.
void sum_of_slices(const SampledPoint& point, const SampleSlices& slices, UnitWeight kind,
                   const SampleWeights* weights, float* sum);

}  // namespace local_entropy
