// Evolution strategies: evolution-strategies.h.
#include "../linear/projection.h"
#include "../machine/block.h"
#include "evolution-strategies.h"
#include "sample-losses.h"
#include "samples.h"
#include "walsh.h"

namespace local_entropy {

namespace {

__global__ void mean_loss(size_t samples, const SamplePart* parts, unsigned count, double factor,
                          SampleWeights* weights, EstimateNumbers* numbers) {
  const double level = merge_parts(parts, count).sum / double(samples);
  *weights = {level, 1, factor, 0, 0, 0, 1};
  numbers->loss = level;
}

// From the spread of the units' own estimates, where a unit's share is its noise alone: squares = sum beta^2
// |Z|^2. One block of threads.
__global__ void heat_error(const SampleWeights* weights, double units, double over, const double* squares,
                           const float* gradient, size_t n, EstimateNumbers* numbers) {
  const double scale = weights->factor / over;
  double spread = threadIdx.x == 0 ? units * scale * scale * *squares : 0;
  for (size_t i = threadIdx.x; i < n; i += blockDim.x) spread -= double(gradient[i]) * double(gradient[i]);
  spread = block_sum(spread);
  if (threadIdx.x == 0) numbers->standard_error = sqrt(fmax(0.0, spread) / (units - 1));
}

}  // namespace

void mean_of_samples(const Estimator&, const DeviceQuestion& q, size_t samples, float* losses,
                     SampleWeights* weights, EstimateNumbers* numbers, DeviceContext& context) {
  const unsigned count = sample_part_count(samples);
  SamplePart* parts = context.arena->take<SamplePart>(count);
  sum_losses(samples, losses, count, parts, context);
  launch(mean_loss, {1, 1}, context.stream, samples, parts, count, 1 / q.noise_scale, weights, numbers);
}

bool evolution_strategies(const Estimator& estimator, const DeviceQuestion& q, DeviceContext& context,
                          DeviceFactored* factored, DeviceEstimate* estimate) {
  const bool remainder = !estimator.rowwise;
  if (estimator.coupling.kind == Coupling::Kind::kWalsh)
    return walsh_estimate(estimator, q, context, mean_of_samples, remainder, factored, estimate);
  Projection projection;
  if (estimator.projected) projection = new_projection(q.batches[0], context);
  SampleRun run = new_sample_run(estimator, q, estimator.projected ? &projection : nullptr,
                                 estimate->wants_error, context);
  float* losses = sample_losses(run, estimate);
  if (losses == nullptr) return false;
  SampleWeights* weights = context.arena->take<SampleWeights>(1);
  mean_of_samples(estimator, q, run.samples, losses, weights, estimate->numbers, context);
  NoiseSum noise;
  if (remainder)
    noise = sum_of_noise(run, run.centred ? UnitWeight::kCentred : UnitWeight::kPlain, weights, losses);
  // The error reads the whole gradient.
  write_first_gradient(run, weights, noise.sum, run.wants_error ? nullptr : factored, estimate->gradient);
  write_upper_gradient(run, weights, noise.sum, estimate->gradient);
  if (run.wants_error && remainder)
    launch(heat_error, {1, 1024}, context.stream, weights, double(run.units), run.over, noise.squares,
           estimate->gradient, q.network->parameters(), estimate->numbers);
  else if (run.wants_error && !spread_of_units(run, weights, nullptr, estimate))
    return false;
  return context.going_on();
}

}  // namespace local_entropy
