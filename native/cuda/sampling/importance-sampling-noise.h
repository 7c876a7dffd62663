// What importance sampling makes of its units' noise once their weights are known: sums of beta_u Z_u, with
// the noise made again where it is used.
#pragma once
#include "../linear/projection.h"
#include "importance-sampling-weights.h"

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

// First layer's gradient of the projected form with its complement's one draw: Q (factor/units · sum) minus
// scale (I - Q Q^T) Z, scale = (delta s/tau) sqrt(sum w^2)/sum w.
void sample_first_layer(const Projection& p, const DeviceQuestion& q, const SampleWeights* weights,
                        size_t samples, const float* sum, DeviceContext& context, float* gradient);

// numbers->standard_error of plain sums: |factor|/units sqrt(squares), and the complement's own where it was
// drawn.
void noise_error(const Projection* sampled, const DeviceQuestion& q, const SampleWeights* weights,
                 double units, double samples, const double* squares, EstimateNumbers* numbers,
                 DeviceContext& context);

}  // namespace local_entropy
