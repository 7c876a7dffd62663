// Importance sampling: importance-sampling.h. Weights are made in two passes of double sums.
#include "../../description.h"
#include "../linear/projection.h"
#include "../machine/block.h"
#include "../machine/parts.h"
#include "../random/gaussian.h"
#include "importance-sampling.h"
#include "sample-losses.h"
#include "samples.h"
#include "walsh.h"

namespace local_entropy {

namespace {

constexpr unsigned kThreads = 256;

struct Scales {
  double delta, s, tau, samples;
};

// c0 and top, from all losses.
struct Level {
  double level, top, lost;
  bool infinite;  // whether a loss is

  __device__ Level(const Scales& scales, const SamplePart& losses)
      : level(losses.sum / (scales.samples - losses.squares)), infinite(losses.squares > 0) {
    const double exponent = (losses.most + level) / scales.delta;
    top = exponent > 20 ? exponent : 0;
    lost = exp(-top);
  }
};

// losses <- w - lost, or rho; by a block of threads.
__device__ inline SamplePart weight_share(const Scales& scales, const Level& of, bool remainder,
                                          float* losses, size_t begin, size_t end) {
  double sum = 0, squares = 0, most = 0;
  for (size_t j = begin + threadIdx.x; j < end; j += blockDim.x) {
    const double x = -(double(losses[j]) - of.level) / scales.delta, w = exp(x - of.top);
    sum += w;
    squares += w * w;
    most = fmax(most, w);
    // Near x = 0 rho keeps an absolute error of 1e-16 beside x^2/2.
    const double more = of.top == 0 ? expm1(x) : w - of.lost;
    losses[j] = float(remainder ? more - of.lost * x : more);
  }
  sum = block_sum(sum);
  squares = block_sum(squares);
  return {sum, squares, block_largest(most)};
}

__device__ inline void write_weights(const Scales& scales, const Level& of, const SamplePart& w,
                                     SampleWeights* weights, EstimateNumbers* numbers) {
  const double mean = w.sum / scales.samples;
  *weights = {of.level,
              scales.s * scales.s / scales.tau * of.lost / mean,
              -scales.delta * scales.s / scales.tau / mean,
              mean,
              w.squares,
              of.top,
              of.lost};
  numbers->loss = of.infinite ? INFINITY : of.level;
  numbers->free_energy = of.level - scales.delta * (of.top + log(mean));
  numbers->effective_sample_size = w.sum * w.sum / w.squares;
  numbers->largest_weight = w.most / w.sum;
}

// Every block of threads merges the losses' parts for itself: the same sums in the same order.
__global__ void weight_parts(size_t samples, bool remainder, Scales scales, const SamplePart* losses_parts,
                             float* losses, SamplePart* parts) {
  const Level of(scales, merge_parts(losses_parts, gridDim.x));
  const SamplePart part =
      weight_share(scales, of, remainder, losses, share_begin(samples, gridDim.x, blockIdx.x),
                   share_begin(samples, gridDim.x, blockIdx.x + 1));
  if (threadIdx.x == 0) parts[blockIdx.x] = part;
}

__global__ void merge_weights(Scales scales, const SamplePart* losses_parts, const SamplePart* parts,
                              unsigned count, SampleWeights* weights, EstimateNumbers* numbers) {
  write_weights(scales, Level(scales, merge_parts(losses_parts, count)), merge_parts(parts, count), weights,
                numbers);
}

// All of it by one block of threads, where there are few samples.
__global__ void weigh_few(size_t samples, bool remainder, Scales scales, float* losses,
                          SampleWeights* weights, EstimateNumbers* numbers) {
  const Level of(scales, loss_share(losses, 0, samples));
  const SamplePart w = weight_share(scales, of, remainder, losses, 0, samples);
  if (threadIdx.x == 0) write_weights(scales, of, w, weights, numbers);
}

__device__ inline double complement_scale(const SampleWeights& weights, double samples) {
  return -weights.factor * sqrt(weights.squares) / samples;
}

// v <- factor/samples · sum.
__global__ void scale_sum(const SampleWeights* weights, double samples, const float* sum, size_t count,
                          double* v) {
  const size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < count) v[i] = weights->factor / samples * double(sum[i]);
}

// A thread makes one Philox block of the complement's normals.
__global__ void draw_complement(const SampleWeights* weights, double samples, Noise noise, size_t count,
                                float* to) {
  const size_t block = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
  const float scale = float(-complement_scale(*weights, samples));
  const size_t position = position_of(uint32_t(block % 16), 0) + block / 16 * 64;
  if (position >= count) return;
  const FourNormals normals = normals_of_block(noise, uint32_t(block));
#pragma unroll
  for (uint32_t k = 0; k < 4; k++)
    if (position + 16 * k < count) to[position + 16 * k] = scale * normals.at[k];
}

// Of plain sums, |factor|/units sqrt(squares), and the complement's own where it was drawn. rank: null where
// it was not. width: d0 + 1.
__global__ void error_of(const uint32_t* rank, size_t width, size_t columns, const SampleWeights* weights,
                         double units, double samples, const double* squares, EstimateNumbers* numbers) {
  const double scale = weights->factor / units;
  double spread = scale * scale * *squares;
  if (rank != nullptr) {
    const double of_complement = complement_scale(*weights, samples);
    spread += of_complement * of_complement * double((width - *rank) * columns);
  }
  numbers->standard_error = sqrt(spread);
}

// First layer's gradient of the projected form with its complement's one draw: Q (factor/units · sum) minus
// scale (I - Q Q^T) Z, scale = (delta s/tau) sqrt(sum w^2)/sum w.
void sample_first_layer(const Projection& p, const DeviceQuestion& q, const SampleWeights* weights,
                        size_t samples, const float* sum, DeviceContext& context, float* gradient) {
  const LayerShape shape = q.network->shape(1);
  const size_t inside = p.rows * shape.columns, count = shape.rows * shape.columns;
  double* v = context.arena->take<double>(inside);
  launch(scale_sum, {blocks_for(inside, kThreads), kThreads}, context.stream, weights, double(samples), sum,
         inside, v);
  const Noise noise{q.seed, kStreamComplement, q.update, 0};
  const size_t blocks = (count + 63) / 64 * 16;
  launch(draw_complement, {blocks_for(blocks, kThreads), kThreads}, context.stream, weights, double(samples),
         noise, count, gradient);
  from_span(q.batches[0], p, v, shape.columns, context, gradient);
}

}  // namespace

void weigh_samples(const Estimator& estimator, const DeviceQuestion& q, size_t samples, float* losses,
                   SampleWeights* weights, EstimateNumbers* numbers, DeviceContext& context) {
  const unsigned count = sample_part_count(samples);
  const Scales scales{estimator.temperature, q.noise_scale, q.tau, double(samples)};
  if (count == 1)
    return launch(weigh_few, {1, 1024}, context.stream, samples, estimator.rowwise, scales, losses, weights,
                  numbers);
  SamplePart *of_losses = context.arena->take<SamplePart>(count),
             *of_weights = context.arena->take<SamplePart>(count);
  sum_losses(samples, losses, count, of_losses, context);
  launch(weight_parts, {count, kThreads}, context.stream, samples, estimator.rowwise, scales, of_losses,
         losses, of_weights);
  launch(merge_weights, {1, 1}, context.stream, scales, of_losses, of_weights, count, weights, numbers);
}

bool importance_sampling(const Estimator& estimator, const DeviceQuestion& q, DeviceContext& context,
                         DeviceFactored* factored, DeviceEstimate* estimate) {
  const Coupling& coupling = estimator.coupling;
  const bool by_rows = estimator.rowwise;
  if (coupling.kind == Coupling::Kind::kWalsh)
    return walsh_estimate(estimator, q, context, weigh_samples, true, factored, estimate);
  Projection projection;
  if (estimator.projected) projection = new_projection(q.batches[0], context);
  SampleRun run = new_sample_run(estimator, q, estimator.projected ? &projection : nullptr,
                                 estimate->wants_error, context);
  float* losses = sample_losses(run, estimate);
  if (losses == nullptr) return false;
  SampleWeights* weights = context.arena->take<SampleWeights>(1);
  weigh_samples(estimator, q, run.samples, losses, weights, estimate->numbers, context);
  const NoiseSum noise = sum_of_noise(run,
                                      by_rows       ? UnitWeight::kPlain
                                      : run.centred ? UnitWeight::kCentred
                                                    : UnitWeight::kRaw,
                                      weights, losses);
  const Projection* sampled =
      !by_rows && !run.pair && coupling.sample_complement ? run.point.projection : nullptr;
  // The error by rows reads the whole gradient.
  if (sampled != nullptr)
    sample_first_layer(*sampled, q, weights, run.units, noise.sum, context, estimate->gradient);
  else
    write_first_gradient(run, weights, noise.sum, run.wants_error && by_rows ? nullptr : factored,
                         estimate->gradient);
  write_upper_gradient(run, weights, noise.sum, estimate->gradient);
  if (run.wants_error && !by_rows) {
    const LayerShape first = q.network->shape(1);
    launch(error_of, {1, 1}, context.stream, sampled == nullptr ? nullptr : sampled->rank, first.rows,
           first.columns, weights, double(run.units), double(run.samples), noise.squares, estimate->numbers);
  } else if (run.wants_error && !spread_of_units(run, weights, noise.beta, estimate)) {
    return false;
  }
  return context.going_on();
}

}  // namespace local_entropy
