// Sums of weighted noise over slices of the samples, each made before the weights of all are known, and what
// becomes of them then. The number of slices depends on the number of samples alone.
#pragma once
#include "importance-sampling-noise.h"
#include "importance-sampling-pass.h"

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

size_t sample_slice_count(size_t units);

// Memory for the sums of `units`.
SampleSlices new_sample_slices(const SamplePass& pass, bool pair, size_t units, bool entropy, double delta);

// sum (layout.size()) <- sum_u beta_u Z_u, as noise_sum makes it of unit_weights. Padding is left undefined.
void sum_of_slices(const SamplePass& pass, const SampleSlices& slices, UnitWeight kind,
                   const SampleWeights* weights, float* sum);

}  // namespace local_entropy
