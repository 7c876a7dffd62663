// From the losses of all samples to their weights, on the device: two passes of double sums.
//
//   w_j = exp(-(f_j - c0)/delta - top), c0 the mean loss, top the largest exponent where it is above 20, else
//   0; F = c0 - delta (top + log mean w); effective sample size (sum w)^2/sum w^2. By rows the gradient is
//   (s^2/tau) [H - (delta/s) mean rho Z]/(mean w e^top), H the first-order part, rho = w - e^-top (1 - (f -
//   c0)/delta).
//
// Symbols: J samples, delta temperature, s the perturbation's scale, tau the proposal's variance.
#pragma once
#include "../kernels.h"

namespace local_entropy {

struct SampleWeights {
  double level;                // c0
  double first_order, factor;  // of H; of the mean of w Z, or of rho Z
  double mean, squares;        // mean w, sum w^2
  double top, lost;            // and e^-top
};

// losses (J) <- w - e^-top (which keeps the digits of equal weights), or rho where `rowwise`. Writes *weights
// and *numbers, both on the device.
void weigh_samples(const Estimator& estimator, const DeviceQuestion& q, size_t samples, float* losses,
                   SampleWeights* weights, EstimateNumbers* numbers, DeviceContext& context);

// For heat: the mean loss into *numbers and weights->level, first_order = 1, factor as given.
void mean_of_samples(size_t samples, const float* losses, double factor, SampleWeights* weights,
                     EstimateNumbers* numbers, DeviceContext& context);

}  // namespace local_entropy
