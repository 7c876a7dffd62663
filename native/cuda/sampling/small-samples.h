// Small projected networks: the losses of independent samples and pairs, and the sums of their weighted
// noise, by one kernel that makes the noise once and keeps it in shared memory.
#pragma once
#include "noise-slices.h"
#include "sampled-point.h"

namespace local_entropy {

// Whether a sample fits into the shared memory of a block of threads, with the sums or without: projected, at
// most one hidden layer, not too many rows and classes.
bool fits_small_samples(const DeviceQuestion& q, const Projection* projection, bool pair, bool sums);

// losses (units, or two a pair) <- f at x ± s Z_u of units 0 … units - 1, and the sums where not null.
void small_samples(const SampledPoint& point, bool pair, size_t units, float* losses,
                   const SampleSlices* sums);

}  // namespace local_entropy
