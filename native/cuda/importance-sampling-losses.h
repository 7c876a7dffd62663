// Losses of independent samples and pairs of a small projected network, by one kernel.
#pragma once
#include "importance-sampling-pass.h"

namespace local_entropy {

// Whether a sample fits into a block's shared memory: projected, at most one hidden layer.
bool fits_sample_losses(const DeviceQuestion& q, const Projection* projection);

// losses (units, or two a pair) <- f at x ± s Z_u of units 0 … units - 1.
void sample_losses(const SamplePass& pass, bool pair, size_t units, float* losses);

}  // namespace local_entropy
