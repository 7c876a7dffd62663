// Sums of weighted noise, beta_u Z_u over all units, with the noise made again where it is used.
#pragma once
#include "../machine/question.h"
#include "noise-layout.h"
#include "sample-weights.h"

namespace local_entropy {

// What stands before beta_u Z_u.
enum class UnitWeight : uint8_t {
  kRaw,      // w_u
  kCentred,  // w_u - mean w, or f_u - mean f
  kPlain     // the value as it is: rho, or f
};

// beta (units) from the values of their samples (w - e^-top, rho or f); a pair's is half the difference.
void unit_weights(size_t units, bool pair, UnitWeight kind, bool entropy, const SampleWeights* weights,
                  const float* values, float* beta, DeviceContext& context);

// sum (layout.size()) <- sum_u beta_u Z_u, and *squares (where not null) <- sum_u beta_u^2 |Z_u|^2.
void noise_sum(const NoiseLayout& layout, const DeviceQuestion& q, size_t units, const float* beta,
               float* sum, double* squares, DeviceContext& context);

}  // namespace local_entropy
