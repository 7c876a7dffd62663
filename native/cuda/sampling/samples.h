// Independent samples and antithetic pairs of importance sampling and evolution strategies: losses, sums of
// noise, and the gradient and error from what the operation makes of the losses.
//
// The losses first, kept in 4 bytes a sample; then the sums, with the noise made again where it is used.
// Small networks make both at once, unless the error is wanted, which takes weights known beforehand.
//
// Symbols: J samples, a unit is a sample or a pair, H the first-order part, n parameters.
#pragma once
#include "../machine/question.h"
#include "noise-slices.h"
#include "noise-sum.h"
#include "row-split.h"
#include "sample-weights.h"
#include "sampled-point.h"

namespace local_entropy {

struct SampleRun {
  const Estimator* estimator;
  SampledPoint point;
  RowSplit split;  // by rows
  bool pair, centred, wants_error;
  bool small, sums_too;  // a kernel of its own makes the losses; and the sums
  SampleSlices slices;   // where it does
  size_t samples, units;
  double over;  // by what a sum over the units is divided for its mean
};

// projection: null in the direct form.
SampleRun new_sample_run(const Estimator& estimator, const DeviceQuestion& q, const Projection* projection,
                         bool wants_error, DeviceContext& context);

// Losses (J) of all samples, and by rows H; copied to the estimate where it wants them. Null if cancelled.
float* sample_losses(SampleRun& run, DeviceEstimate* estimate);

// The outputs of all samples and at x itself, where the question's loss says. False if cancelled.
bool outputs_of_samples(Estimator estimator, const DeviceQuestion&, DeviceContext&);

struct NoiseSum {
  float* sum = nullptr;       // sum_u beta_u Z_u: layout.size()
  float* beta = nullptr;      // units; null where the slices made the sum
  double* squares = nullptr;  // sum_u beta_u^2 |Z_u|^2, where an error is wanted of it
};
// values (J): what weighing made of the losses.
NoiseSum sum_of_noise(SampleRun& run, UnitWeight kind, const SampleWeights* weights, const float* values);

// gradient (n) from H and the noise's sum, or null: the first layer, and the others.
void write_first_gradient(SampleRun& run, const SampleWeights* weights, const float* sum,
                          DeviceFactored* factored, float* gradient);
void write_upper_gradient(const SampleRun& run, const SampleWeights* weights, const float* sum,
                          float* gradient);

// By rows: the standard error from the spread of the units' own estimates. beta: or null. False if cancelled.
bool spread_of_units(SampleRun& run, const SampleWeights* weights, const float* beta,
                     DeviceEstimate* estimate);

}  // namespace local_entropy
