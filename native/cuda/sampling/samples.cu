// Independent samples and antithetic pairs: samples.h.
#include <algorithm>
#include <stdexcept>

#include "../linear/projection.h"
#include "../machine/block.h"
#include "samples.h"
#include "small-samples.h"
#include "walsh.h"

namespace local_entropy {

namespace {

constexpr unsigned kThreads = 256;

// Calls body(first, count) for the units, as many at a time as the point has room for, with their noise
// drawn; false if cancelled.
template <class Body>
bool for_units(SampleRun& run, Body body) {
  DeviceContext& context = *run.point.context;
  const DeviceArena::Mark mark = context.arena->mark();
  for (size_t first = 0; first < run.units; first += run.point.most) {
    if (first > 0 && !context.go_on()) return false;
    const size_t count = std::min(run.point.most, run.units - first);
    draw_units(&run.point, first, count);
    body(first, count);
    context.arena->rewind(mark);
  }
  return true;
}

// losses (J) of all samples, and by rows H.
bool losses_of_units(SampleRun& run, float* losses) {
  if (run.small) {
    small_samples(run.point, run.pair, run.units, losses, run.sums_too ? &run.slices : nullptr);
    return true;
  }
  const size_t per_unit = run.pair ? 2 : 1;
  return for_units(run, [&](size_t first, size_t) {
    for (size_t i = 0; i < per_unit; i++) {
      const float sign = i == 0 ? 1.0f : -1.0f;
      forward_units(&run.point, sign, 0);
      unit_losses(run.point, per_unit, losses + per_unit * first + i);
      if (run.estimator->rowwise) add_first_order(run.point, run.split, sign);
    }
  });
}

// One later layer: gradient <- alpha H + factor/units noise; h and noise may be null.
__global__ void upper_gradient(const SampleWeights* weights, double units, const float* h, const float* noise,
                               size_t count, float* gradient) {
  const size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= count) return;
  const float first = h == nullptr ? 0 : float(weights->first_order) * h[i];
  gradient[i] = noise == nullptr ? first : fmaf(float(weights->factor / units), noise[i], first);
}

// sqrt((units sum_u |share_u|^2 - |gradient|^2)/(units - 1)): a unit's estimate is `units` times its share.
// One block of threads.
__global__ void spread_of(const double* squares, size_t units, const float* gradient, size_t n,
                          EstimateNumbers* numbers) {
  double spread = 0;
  for (size_t u = threadIdx.x; u < units; u += blockDim.x) spread += double(units) * squares[u];
  for (size_t i = threadIdx.x; i < n; i += blockDim.x) spread -= double(gradient[i]) * double(gradient[i]);
  spread = block_sum(spread);
  if (threadIdx.x == 0) numbers->standard_error = sqrt(fmax(0.0, spread) / double(units - 1));
}

}  // namespace

SampleRun new_sample_run(const Estimator& estimator, const DeviceQuestion& q, const Projection* projection,
                         bool wants_error, DeviceContext& context) {
  const Coupling& coupling = estimator.coupling;
  SampleRun run{};
  run.estimator = &estimator;
  run.pair = coupling.kind == Coupling::Kind::kAntithetic;
  run.samples = coupling.samples;
  run.units = coupling.samples / (run.pair ? 2 : 1);
  run.wants_error = wants_error && run.units > 1;
  const bool by_rows = estimator.rowwise;
  run.centred = !by_rows && !run.pair && coupling.centred;
  run.over = double(run.units) - (run.centred ? 1 : 0);
  const size_t floats =
      by_rows ? row_split_floats(*q.network, q.batches[0].size, estimator.projected, run.wants_error) : 0;
  const bool given = q.loss.kind == LossKind::kGiven;
  run.small = !by_rows && !given && fits_small_samples(q, projection, run.pair, false);
  run.sums_too = run.small && !run.wants_error && fits_small_samples(q, projection, run.pair, true);
  run.point = new_sampled_point(q, projection, run.small ? 1 : run.units, floats, context);
  if (by_rows) run.split = new_row_split(run.point, run.samples, run.wants_error);
  if (run.sums_too)
    run.slices =
        new_sample_slices(run.point, run.pair, run.units,
                          estimator.kind == Estimator::Kind::kImportanceSampling, estimator.temperature);
  return run;
}

float* sample_losses(SampleRun& run, DeviceEstimate* estimate) {
  DeviceContext& context = *run.point.context;
  float* losses = context.arena->take<float>(run.samples);
  if (!losses_of_units(run, losses)) return nullptr;
  estimate->samples = run.samples;
  if (estimate->losses != nullptr)
    copy(context.stream, estimate->losses, losses, run.samples * sizeof(float));
  return losses;
}

bool outputs_of_samples(Estimator estimator, const DeviceQuestion& q, DeviceContext& context) {
  const Network& network = *q.network;
  Projection projection;
  if (estimator.projected) projection = new_projection(q.batches[0], context);
  estimator.rowwise = false;  // no first-order part is wanted
  SampleRun run = new_sample_run(estimator, q, estimator.projected ? &projection : nullptr, false, context);
  DeviceEstimate nothing;
  if (sample_losses(run, &nothing) == nullptr) return false;
  DensePass center = new_dense_pass(*context.arena, network, q.batches[0].size);
  center.sample = q.loss.samples;
  dense_first(context, network, {q.parameters}, q.batches[0], center);
  dense_upper(context, network, {q.parameters + tail_offset(network)}, center);
  dense_losses(context, network, q.loss, q.batches[0], 0, center);
  return context.going_on();
}

NoiseSum sum_of_noise(SampleRun& run, UnitWeight kind, const SampleWeights* weights, const float* values) {
  DeviceContext& context = *run.point.context;
  DeviceArena& arena = *context.arena;
  NoiseSum noise;
  noise.sum = arena.take<float>(run.point.layout.size());
  if (run.sums_too) {
    sum_of_slices(run.point, run.slices, kind, weights, noise.sum);
    return noise;
  }
  if (run.wants_error && !run.estimator->rowwise) noise.squares = arena.take<double>(1);
  noise.beta = arena.take<float>(run.units);
  unit_weights(run.units, run.pair, kind, run.estimator->kind == Estimator::Kind::kImportanceSampling,
               weights, values, noise.beta, context);
  noise_sum(run.point.layout, *run.point.q, run.units, noise.beta, noise.sum, noise.squares, context);
  return noise;
}

void write_first_gradient(SampleRun& run, const SampleWeights* weights, const float* sum,
                          DeviceFactored* factored, float* gradient) {
  const DeviceQuestion& q = *run.point.q;
  DeviceContext& context = *run.point.context;
  const bool by_rows = run.estimator->rowwise;
  float* c = by_rows ? run.split.c : context.arena->take<float>(q.batches[0].size * q.network->layers[1]);
  const DeviceFactor of_c = by_rows ? DeviceFactor{&weights->first_order, 1} : DeviceFactor{nullptr, 0};
  write_first_layer(q, run.point.projection, c, of_c, sum, {&weights->factor, 1 / run.over}, context,
                    factored, gradient);
}

void write_upper_gradient(const SampleRun& run, const SampleWeights* weights, const float* sum,
                          float* gradient) {
  const Network& network = *run.point.q->network;
  const float* h = run.estimator->rowwise ? run.split.tail : nullptr;
  for (size_t l = 1; l < run.point.layout.depth; l++) {
    const size_t count = run.point.layout.count[l];
    launch(upper_gradient, {blocks_for(count, kThreads), kThreads}, run.point.context->stream, weights,
           run.over, h, sum == nullptr ? nullptr : sum + run.point.layout.offset[l], count,
           gradient + network.shape(l + 1).offset);
    if (h != nullptr) h += count;
  }
}

bool spread_of_units(SampleRun& run, const SampleWeights* weights, const float* beta,
                     DeviceEstimate* estimate) {
  DeviceContext& context = *run.point.context;
  double* squares = context.arena->take<double>(run.units);
  const bool done = for_units(run, [&](size_t first, size_t) {
    unit_squares(run.point, run.split, run.pair, run.units, weights, beta == nullptr ? nullptr : beta + first,
                 squares + first);
  });
  if (!done) return false;
  launch(spread_of, {1, 1024}, context.stream, squares, run.units, estimate->gradient,
         run.point.q->network->parameters(), estimate->numbers);
  return true;
}

}  // namespace local_entropy
