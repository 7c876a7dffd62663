// Evolution strategies for heat regularization: mean f Z/s, centred sum_j (f_j - mean f) Z_j/((J - 1) s); by
// rows the first-order part alone (row-split.h).
//
// Symbols: J samples, s the perturbation's scale.
#pragma once
#include "../machine/question.h"
#include "sample-weights.h"

namespace local_entropy {

// The mean loss into *numbers and weights->level; what stands before a noise is its loss, first_order = 1,
// factor = 1/s. `losses` stay.
void mean_of_samples(const Estimator&, const DeviceQuestion& q, size_t samples, float* losses,
                     SampleWeights* weights, EstimateNumbers* numbers, DeviceContext& context);

// Enqueues the estimate, of every coupling; false if cancelled.
bool evolution_strategies(const Estimator&, const DeviceQuestion&, DeviceContext&, DeviceFactored* factored,
                          DeviceEstimate*);

}  // namespace local_entropy
