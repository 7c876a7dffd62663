// What an estimator makes of the losses of all samples, on the device: what stands before the noises and the
// first-order part of a gradient. importance-sampling.h and evolution-strategies.h say what the numbers are.
#pragma once
#include "../machine/question.h"

namespace local_entropy {

struct SampleWeights {
  double level;                // c0
  double first_order, factor;  // of H; of the mean of w Z, or of rho Z
  double mean, squares;        // mean w, sum w^2
  double top, lost;            // and e^-top
};

// losses (J) <- what stands before each sample's noise. Writes *weights and *numbers, both on the device.
using Weigh = void (*)(const Estimator&, const DeviceQuestion&, size_t samples, float* losses, SampleWeights*,
                       EstimateNumbers*, DeviceContext&);

}  // namespace local_entropy
