// Weights of samples: importance-sampling-weights.h.
#include <algorithm>

#include "block.h"
#include "importance-sampling-weights.h"
#include "parts.h"

namespace local_entropy {

namespace {

constexpr unsigned kThreads = 256, kMostParts = 512;
constexpr size_t kPart = 4096;  // samples of a part at least

// Of one part: first the losses, then the weights.
struct Part {
  double sum, squares, most;  // losses: sum, -, the largest of -f
};

__device__ inline void write_part(double sum, double squares, double most, Part* parts) {
  sum = block_sum(sum);
  squares = block_sum(squares);
  most = block_largest(most);
  if (threadIdx.x == 0) parts[blockIdx.x] = {sum, squares, most};
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

__global__ void loss_parts(size_t samples, const float* losses, Part* parts) {
  const size_t begin = share_begin(samples, gridDim.x, blockIdx.x),
               end = share_begin(samples, gridDim.x, blockIdx.x + 1);
  double sum = 0, most = -INFINITY;
  for (size_t j = begin + threadIdx.x; j < end; j += blockDim.x) {
    sum += double(losses[j]);
    most = fmax(most, -double(losses[j]));
  }
  write_part(sum, 0, most, parts);
}

__global__ void mean_loss(size_t samples, const Part* parts, unsigned count, double factor,
                          SampleWeights* weights, EstimateNumbers* numbers) {
  const double level = merge_parts(parts, count).sum / double(samples);
  *weights = {level, 1, factor, 0, 0, 1};
  numbers->loss = level;
}

struct Scales {
  double delta, s, tau;
};

__device__ inline double top_of(double level, double most, double delta) {
  const double exponent = (most + level) / delta;
  return exponent > 20 ? exponent : 0;
}

// Every block merges the losses' parts for itself: the same sums in the same order.
__global__ void weight_parts(size_t samples, bool remainder, Scales scales, const Part* losses_parts,
                             float* losses, Part* parts) {
  const Part all = merge_parts(losses_parts, gridDim.x);
  const double level = all.sum / double(samples), top = top_of(level, all.most, scales.delta),
               lost = exp(-top);
  const size_t begin = share_begin(samples, gridDim.x, blockIdx.x),
               end = share_begin(samples, gridDim.x, blockIdx.x + 1);
  double sum = 0, squares = 0, most = 0;
  for (size_t j = begin + threadIdx.x; j < end; j += blockDim.x) {
    const double x = -(double(losses[j]) - level) / scales.delta, w = exp(x - top);
    sum += w;
    squares += w * w;
    most = fmax(most, w);
    // w - lost; near x = 0 rho keeps an absolute error of 1e-16 beside x^2/2.
    const double more = top == 0 ? expm1(x) : w - lost;
    losses[j] = float(remainder ? more - lost * x : more);
  }
  write_part(sum, squares, most, parts);
}

__global__ void merge_weights(size_t samples, Scales scales, const Part* losses_parts, const Part* parts,
                              unsigned count, SampleWeights* weights, EstimateNumbers* numbers) {
  const Part f = merge_parts(losses_parts, count), w = merge_parts(parts, count);
  const double level = f.sum / double(samples), top = top_of(level, f.most, scales.delta),
               mean = w.sum / double(samples);
  const double lost = exp(-top);
  *weights = {level,
              scales.s * scales.s / scales.tau * lost / mean,
              -scales.delta * scales.s / scales.tau / mean,
              mean,
              w.squares,
              lost};
  numbers->loss = level;
  numbers->free_energy = level - scales.delta * (top + log(mean));
  numbers->effective_sample_size = w.sum * w.sum / w.squares;
  numbers->largest_weight = w.most / w.sum;
}

unsigned part_count(size_t samples) {
  return unsigned(std::max(size_t(1), std::min(size_t(kMostParts), samples / kPart)));
}

}  // namespace

void weigh_samples(const Estimator& estimator, const DeviceQuestion& q, size_t samples, float* losses,
                   SampleWeights* weights, EstimateNumbers* numbers, DeviceContext& context) {
  const unsigned count = part_count(samples);
  const Scales scales{estimator.temperature, q.noise_scale, q.tau};
  Part *of_losses = context.arena->take<Part>(count), *of_weights = context.arena->take<Part>(count);
  launch(loss_parts, {count, kThreads}, context.stream, samples, losses, of_losses);
  launch(weight_parts, {count, kThreads}, context.stream, samples, estimator.rowwise, scales, of_losses,
         losses, of_weights);
  launch(merge_weights, {1, 1}, context.stream, samples, scales, of_losses, of_weights, count, weights,
         numbers);
}

void mean_of_samples(size_t samples, const float* losses, double factor, SampleWeights* weights,
                     EstimateNumbers* numbers, DeviceContext& context) {
  const unsigned count = part_count(samples);
  Part* parts = context.arena->take<Part>(count);
  launch(loss_parts, {count, kThreads}, context.stream, samples, losses, parts);
  launch(mean_loss, {1, 1}, context.stream, samples, parts, count, factor, weights, numbers);
}

}  // namespace local_entropy
