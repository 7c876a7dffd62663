// Importance sampling of E_q[X], q ~ exp(-f/delta) N(x, tau I) (García Trillos, Kaplan, Sanz-Alonso, Entropy
// 2019, Algorithm 4, eq. 16; delta = 1 is the paper's):
//
//   w_j = exp(-(f_j - c0)/delta - top), f_j the loss at x + s Z_j, c0 the mean loss, top the largest exponent
//   where it is above 20, else 0; F = c0 - delta (top + log mean w); effective sample size (sum w)^2/sum w^2
//
//   gradient    = -(delta s/tau) sum_j w_j Z_j / sum w
//   centred:    sum_j (w_j - mean w) Z_j / ((J - 1) mean w) in place of the quotient
//   antithetic: pair p is x ± s Z_p, sum_p (w+ - w-) Z_p / sum w
//   by rows:    (s^2/tau) [H - (delta/s) mean rho Z]/(mean w e^top), H the first-order part (row-split.h),
//               rho = w - e^-top (1 - (f - c0)/delta)
//   projected:  Z is (U, later layers); the first layer is mapped back by A^T L^{-T}, and where the
//   complement
//               is sampled it is drawn once, with variance sum w^2/(sum w)^2
//
// Symbols: J samples, delta temperature, s the perturbation's scale, tau the proposal's variance.
#pragma once
#include "../machine/question.h"
#include "sample-weights.h"

namespace local_entropy {

// losses (J) <- w - e^-top (which keeps the digits of equal weights), or rho where `rowwise`. Writes *weights
// and *numbers, both on the device.
void weigh_samples(const Estimator& estimator, const DeviceQuestion& q, size_t samples, float* losses,
                   SampleWeights* weights, EstimateNumbers* numbers, DeviceContext& context);

// Enqueues the estimate, of every coupling; false if cancelled.
bool importance_sampling(const Estimator&, const DeviceQuestion&, DeviceContext&, DeviceFactored* factored,
                         DeviceEstimate*);

}  // namespace local_entropy
