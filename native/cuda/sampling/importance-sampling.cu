// Importance sampling of E_q[X], q ~ exp(-f/delta) N(x, tau I), and evolution strategies for heat, from
// independent samples and antithetic pairs (García Trillos, Kaplan, Sanz-Alonso, Entropy 2019, Algorithm 4,
// eq. 16; delta = 1 is the paper's):
//
//   w_j = exp(-f(x + s Z_j)/delta), gradient = -(delta s/tau) sum_j w_j Z_j / sum w
//   centred:    sum_j (w_j - mean w) Z_j / ((J - 1) mean w) in place of the quotient
//   antithetic: pair p is x ± s Z_p, sum_p (w+ - w-) Z_p / sum w
//   by rows:    (s^2/tau) [H - (delta/s) mean rho Z]/mean w, H: evolution-strategies.h
//   heat:       H by rows; else mean f Z/s, centred sum_j (f_j - mean f) Z_j/((J - 1) s).
//   projected:  Z is (U, later layers); the first layer is mapped back by A^T L^{-T}, and where the
//   complement is
//               sampled it is drawn once, with variance sum w^2/(sum w)^2.
//
// The losses first, kept in 4 bytes a sample; then the sums, with the noise made again where it is used.
// Small networks make both at once, unless the error is wanted, which takes weights known beforehand.
//
// Symbols: J samples, s the perturbation's scale, a unit is a sample or a pair, B rows, d1 columns of the
// first layer.
#include <algorithm>

#include "../machine/block.h"
#include "evolution-strategies.h"
#include "importance-sampling-small.h"

namespace local_entropy {

namespace {

constexpr unsigned kThreads = 256;

struct SampleRun {
  const Estimator* estimator;
  SamplePass pass;
  RowSplit split;  // by rows
  bool pair, wants_error;
  bool small, sums_too;  // a kernel of its own makes the losses; and the sums
  SampleSlices slices;   // where it does
  size_t units;
};

SampleRun new_sample_run(const Estimator& estimator, const DeviceQuestion& q, const Projection* projection,
                         bool wants_error, DeviceContext& context) {
  SampleRun run{};
  run.estimator = &estimator;
  run.pair = estimator.coupling.kind == Coupling::Kind::kAntithetic;
  run.units = estimator.coupling.samples / (run.pair ? 2 : 1);
  run.wants_error = wants_error && run.units > 1;
  const bool by_rows = estimator.rowwise;
  const size_t floats =
      by_rows ? row_split_floats(*q.network, q.batches[0].size, projection != nullptr, run.wants_error) : 0;
  run.small = !by_rows && fits_small_samples(q, projection, run.pair, false);
  run.sums_too = run.small && !run.wants_error && fits_small_samples(q, projection, run.pair, true);
  run.pass = new_sample_pass(q, projection, run.small ? 1 : run.units, floats, context);
  if (by_rows) run.split = new_row_split(run.pass, estimator.coupling.samples, run.wants_error);
  if (run.sums_too)
    run.slices =
        new_sample_slices(run.pass, run.pair, run.units,
                          estimator.kind == Estimator::Kind::kImportanceSampling, estimator.temperature);
  return run;
}

// Calls body(first, count) for the units, as many at a time as the pass holds, with their noise drawn; false
// if cancelled.
template <class Body>
bool for_units(SampleRun& run, Body body) {
  DeviceContext& context = *run.pass.context;
  const DeviceArena::Mark mark = context.arena->mark();
  for (size_t first = 0; first < run.units; first += run.pass.most) {
    if (first > 0 && !context.go_on()) return false;
    const size_t count = std::min(run.pass.most, run.units - first);
    draw_units(&run.pass, first, count);
    body(first, count);
    context.arena->rewind(mark);
  }
  return true;
}

// losses (J) of all samples, and by rows H.
bool losses_of_units(SampleRun& run, float* losses) {
  if (run.small) {
    small_samples(run.pass, run.pair, run.units, losses, run.sums_too ? &run.slices : nullptr);
    return true;
  }
  const size_t per_unit = run.pair ? 2 : 1;
  return for_units(run, [&](size_t first, size_t) {
    for (size_t i = 0; i < per_unit; i++) {
      const float sign = i == 0 ? 1.0f : -1.0f;
      forward_units(&run.pass, sign, 0);
      unit_losses(run.pass, per_unit, losses + per_unit * first + i);
      if (run.estimator->rowwise) add_first_order(run.pass, run.split, sign);
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

// gradient (n) from H and the noise's sum, `over` of which make its mean.
void write_gradient(SampleRun& run, const SampleWeights* weights, const float* sum, double over, bool sampled,
                    DeviceFactored* factored, float* gradient) {
  const DeviceQuestion& q = *run.pass.q;
  DeviceContext& context = *run.pass.context;
  const size_t columns = q.network->layers[1], size = q.batches[0].size * columns;
  const bool by_rows = run.estimator->rowwise;
  if (sampled) {
    sample_first_layer(*run.pass.projection, q, weights, run.units, sum, context, gradient);
  } else {
    float* c = by_rows ? run.split.c : context.arena->take<float>(size);
    const DeviceFactor of_c = by_rows ? DeviceFactor{&weights->first_order, 1} : DeviceFactor{nullptr, 0};
    write_first_layer(q, run.pass.projection, c, of_c, sum, {&weights->factor, 1 / over}, context, factored,
                      gradient);
  }
  const float* h = by_rows ? run.split.tail : nullptr;
  for (size_t l = 1; l < run.pass.layout.depth; l++) {
    const size_t count = run.pass.layout.count[l];
    launch(upper_gradient, {blocks_for(count, kThreads), kThreads}, context.stream, weights, over, h,
           sum == nullptr ? nullptr : sum + run.pass.layout.offset[l], count,
           gradient + q.network->shape(l + 1).offset);
    if (h != nullptr) h += count;
  }
}

// sqrt((units sum_u |share_u|^2 - |gradient|^2)/(units - 1)): a unit's estimate is `units` times its share.
// One block.
__global__ void spread_of(const double* squares, size_t units, const float* gradient, size_t n,
                          EstimateNumbers* numbers) {
  double spread = 0;
  for (size_t u = threadIdx.x; u < units; u += blockDim.x) spread += double(units) * squares[u];
  for (size_t i = threadIdx.x; i < n; i += blockDim.x) spread -= double(gradient[i]) * double(gradient[i]);
  spread = block_sum(spread);
  if (threadIdx.x == 0) numbers->standard_error = sqrt(fmax(0.0, spread) / double(units - 1));
}

// Of estimates by rows, and of heat: from the spread of the units' own.
bool spread_of_units(SampleRun& run, const SampleWeights* weights, const float* beta, const float* gradient,
                     EstimateNumbers* numbers) {
  DeviceContext& context = *run.pass.context;
  double* squares = context.arena->take<double>(run.units);
  const bool done = for_units(run, [&](size_t first, size_t) {
    unit_squares(run.pass, run.split, run.pair, run.units, weights, beta == nullptr ? nullptr : beta + first,
                 squares + first);
  });
  if (!done) return false;
  launch(spread_of, {1, 1024}, context.stream, squares, run.units, gradient,
         run.pass.q->network->parameters(), numbers);
  return true;
}

// The same without a row split, where a unit's share is its noise alone: squares = sum beta^2 |Z|^2.
__global__ void heat_error(const SampleWeights* weights, double units, double over, const double* squares,
                           const float* gradient, size_t n, EstimateNumbers* numbers) {
  const double scale = weights->factor / over;
  double spread = threadIdx.x == 0 ? units * scale * scale * *squares : 0;
  for (size_t i = threadIdx.x; i < n; i += blockDim.x) spread -= double(gradient[i]) * double(gradient[i]);
  spread = block_sum(spread);
  if (threadIdx.x == 0) numbers->standard_error = sqrt(fmax(0.0, spread) / (units - 1));
}

}  // namespace

bool importance_sampling_estimate(const Estimator& estimator, const DeviceQuestion& q, DeviceContext& context,
                                  DeviceFactored* factored, DeviceEstimate* estimate) {
  DeviceArena& arena = *context.arena;
  const Coupling& coupling = estimator.coupling;
  const bool entropy = estimator.kind == Estimator::Kind::kImportanceSampling, by_rows = estimator.rowwise;
  Projection factors;
  if (estimator.projected) factors = new_projection(q.batches[0], context);
  SampleRun run =
      new_sample_run(estimator, q, estimator.projected ? &factors : nullptr, estimate->wants_error, context);
  const size_t samples = coupling.samples;
  const bool centred = !by_rows && !run.pair && coupling.centred;
  const bool sampled = entropy && !by_rows && estimator.projected && !run.pair && coupling.sample_complement;
  float* values = arena.take<float>(samples);
  if (!losses_of_units(run, values)) return false;
  estimate->samples = samples;
  if (estimate->losses != nullptr) copy(context.stream, estimate->losses, values, samples * sizeof(float));

  SampleWeights* weights = arena.take<SampleWeights>(1);
  if (entropy)
    weigh_samples(estimator, q, samples, values, weights, estimate->numbers, context);
  else
    mean_of_samples(samples, values, 1 / q.noise_scale, weights, estimate->numbers, context);
  float *beta = nullptr, *sum = nullptr;
  double* squares = nullptr;
  const double units = double(run.units), over = centred ? units - 1 : units;
  if (entropy || !by_rows) {
    sum = arena.take<float>(run.pass.layout.size());
    if (run.wants_error && !by_rows) squares = arena.take<double>(1);
    const UnitWeight kind = by_rows   ? UnitWeight::kPlain
                            : centred ? UnitWeight::kCentred
                            : entropy ? UnitWeight::kRaw
                                      : UnitWeight::kPlain;
    if (run.sums_too) {
      sum_of_slices(run.pass, run.slices, kind, weights, sum);
    } else {
      beta = arena.take<float>(run.units);
      unit_weights(run.units, run.pair, kind, entropy, weights, values, beta, context);
      noise_sum(run.pass.layout, q, run.units, beta, sum, squares, context);
    }
  }
  const bool spread = run.wants_error && (by_rows || !entropy);
  write_gradient(run, weights, sum, over, sampled, spread ? nullptr : factored, estimate->gradient);
  if (!run.wants_error) return !context.cancelled->load(std::memory_order_relaxed);
  if (by_rows) return spread_of_units(run, weights, beta, estimate->gradient, estimate->numbers);
  if (entropy)
    noise_error(sampled ? run.pass.projection : nullptr, q, weights, units, double(samples), squares,
                estimate->numbers, context);
  else
    launch(heat_error, {1, 1024}, context.stream, weights, units, over, squares, estimate->gradient,
           q.network->parameters(), estimate->numbers);
  return !context.cancelled->load(std::memory_order_relaxed);
}

}  // namespace local_entropy
