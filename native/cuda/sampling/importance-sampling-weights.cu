// Weights of samples: importance-sampling-weights.h.
#include <algorithm>

#include "../machine/block.h"
#include "../machine/parts.h"
#include "importance-sampling-weights.h"

namespace local_entropy {

namespace {

constexpr unsigned kThreads = 256, kMostParts = 512;
constexpr size_t kPart = 4096;  // samples of a part at least

// Of one part: first the losses, then the weights.
struct Part {
  double sum, squares, most;  // losses: sum, -, the largest of -f
};

// Of a share of the samples, by a block.
__device__ inline Part loss_share(const float* losses, size_t begin, size_t end) {
  double sum = 0, most = -INFINITY;
  for (size_t j = begin + threadIdx.x; j < end; j += blockDim.x) {
    sum += double(losses[j]);
    most = fmax(most, -double(losses[j]));
  }
  sum = block_sum(sum);
  return {sum, 0, block_largest(most)};
}

__device__ inline Part merge_parts(const Part* parts, unsigned count) {
  Part all{0, 0, parts[0].most};
  for (unsigned p = 0; p < count; p++) {
    all.sum += parts[p].sum;
    all.squares += parts[p].squares;
    all.most = parts[p].most > all.most ? parts[p].most : all.most;
  }
  return all;
}

struct Scales {
  double delta, s, tau, samples;
};

// c0 and top, from all losses.
struct Level {
  double level, top, lost;

  __device__ Level(const Scales& scales, const Part& losses) : level(losses.sum / scales.samples) {
    const double exponent = (losses.most + level) / scales.delta;
    top = exponent > 20 ? exponent : 0;
    lost = exp(-top);
  }
};

// losses <- w - lost, or rho; by a block.
__device__ inline Part weight_share(const Scales& scales, const Level& of, bool remainder, float* losses,
                                    size_t begin, size_t end) {
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

__device__ inline void write_weights(const Scales& scales, const Level& of, const Part& w,
                                     SampleWeights* weights, EstimateNumbers* numbers) {
  const double mean = w.sum / scales.samples;
  *weights = {of.level,
              scales.s * scales.s / scales.tau * of.lost / mean,
              -scales.delta * scales.s / scales.tau / mean,
              mean,
              w.squares,
              of.top,
              of.lost};
  numbers->loss = of.level;
  numbers->free_energy = of.level - scales.delta * (of.top + log(mean));
  numbers->effective_sample_size = w.sum * w.sum / w.squares;
  numbers->largest_weight = w.most / w.sum;
}

__global__ void loss_parts(size_t samples, const float* losses, Part* parts) {
  const Part part = loss_share(losses, share_begin(samples, gridDim.x, blockIdx.x),
                               share_begin(samples, gridDim.x, blockIdx.x + 1));
  if (threadIdx.x == 0) parts[blockIdx.x] = part;
}

__global__ void mean_loss(size_t samples, const Part* parts, unsigned count, double factor,
                          SampleWeights* weights, EstimateNumbers* numbers) {
  const double level = merge_parts(parts, count).sum / double(samples);
  *weights = {level, 1, factor, 0, 0, 0, 1};
  numbers->loss = level;
}

// Every block merges the losses' parts for itself: the same sums in the same order.
__global__ void weight_parts(size_t samples, bool remainder, Scales scales, const Part* losses_parts,
                             float* losses, Part* parts) {
  const Level of(scales, merge_parts(losses_parts, gridDim.x));
  const Part part = weight_share(scales, of, remainder, losses, share_begin(samples, gridDim.x, blockIdx.x),
                                 share_begin(samples, gridDim.x, blockIdx.x + 1));
  if (threadIdx.x == 0) parts[blockIdx.x] = part;
}

__global__ void merge_weights(Scales scales, const Part* losses_parts, const Part* parts, unsigned count,
                              SampleWeights* weights, EstimateNumbers* numbers) {
  write_weights(scales, Level(scales, merge_parts(losses_parts, count)), merge_parts(parts, count), weights,
                numbers);
}

// All of it by one block, where there are few samples.
__global__ void weigh_few(size_t samples, bool remainder, Scales scales, float* losses,
                          SampleWeights* weights, EstimateNumbers* numbers) {
  const Level of(scales, loss_share(losses, 0, samples));
  const Part w = weight_share(scales, of, remainder, losses, 0, samples);
  if (threadIdx.x == 0) write_weights(scales, of, w, weights, numbers);
}

unsigned part_count(size_t samples) {
  return unsigned(std::max(size_t(1), std::min(size_t(kMostParts), samples / kPart)));
}

}  // namespace

void weigh_samples(const Estimator& estimator, const DeviceQuestion& q, size_t samples, float* losses,
                   SampleWeights* weights, EstimateNumbers* numbers, DeviceContext& context) {
  const unsigned count = part_count(samples);
  const Scales scales{estimator.temperature, q.noise_scale, q.tau, double(samples)};
  if (count == 1)
    return launch(weigh_few, {1, 1024}, context.stream, samples, estimator.rowwise, scales, losses, weights,
                  numbers);
  Part *of_losses = context.arena->take<Part>(count), *of_weights = context.arena->take<Part>(count);
  launch(loss_parts, {count, kThreads}, context.stream, samples, losses, of_losses);
  launch(weight_parts, {count, kThreads}, context.stream, samples, estimator.rowwise, scales, of_losses,
         losses, of_weights);
  launch(merge_weights, {1, 1}, context.stream, scales, of_losses, of_weights, count, weights, numbers);
}

void mean_of_samples(size_t samples, const float* losses, double factor, SampleWeights* weights,
                     EstimateNumbers* numbers, DeviceContext& context) {
  const unsigned count = part_count(samples);
  Part* parts = context.arena->take<Part>(count);
  launch(loss_parts, {count, kThreads}, context.stream, samples, losses, parts);
  launch(mean_loss, {1, 1}, context.stream, samples, parts, count, factor, weights, numbers);
}

}  // namespace local_entropy
