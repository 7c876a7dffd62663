// Sums of weighted noise: importance-sampling-noise.h.
#include <algorithm>

#include "../machine/parts.h"
#include "importance-sampling-noise.h"

namespace local_entropy {

namespace {

constexpr unsigned kThreads = 256;

__global__ void betas(size_t units, bool pair, UnitWeight kind, bool entropy, const SampleWeights* weights,
                      const float* values, float* beta) {
  const size_t u = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (u >= units) return;
  if (pair) {
    beta[u] = 0.5f * (values[2 * u] - values[2 * u + 1]);
    return;
  }
  double shift = 0;
  if (kind == UnitWeight::kRaw) shift = weights->lost;
  if (kind == UnitWeight::kCentred) shift = entropy ? weights->lost - weights->mean : -weights->level;
  beta[u] = float(double(values[u]) + shift);
}

// blockIdx.y: a slice of the units; a thread sums one Philox block's four positions over the slice.
__global__ void sum_noise(NoiseLayout layout, uint64_t seed, uint32_t update, size_t units, const float* beta,
                          float* parts, double* squares) {
  const size_t block = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
  const bool inside = block < layout.size() / 4;
  const size_t begin = share_begin(units, gridDim.y, blockIdx.y),
               end = share_begin(units, gridDim.y, blockIdx.y + 1);
  float sum[4] = {};
  double square = 0;
  const NoisePlace place = inside ? noise_place(layout, block) : NoisePlace{};
  bool used[4];
#pragma unroll
  for (uint32_t k = 0; k < 4; k++) used[k] = inside && noise_used(layout, place.position + 16 * k);
  for (size_t u = begin; u < end && inside; u++) {
    const FourNormals normals = noise_at(place, seed, update, uint32_t(u));
    float part = 0;
#pragma unroll
    for (uint32_t k = 0; k < 4; k++) {
      const float value = used[k] ? beta[u] * normals.at[k] : 0;
      sum[k] += value;
      part = fmaf(value, value, part);
    }
    square += double(part);
  }
#pragma unroll
  for (uint32_t k = 0; k < 4; k++)
    if (inside) parts[blockIdx.y * layout.size() + place.position + 16 * k] = sum[k];
  if (squares == nullptr) return;
  square = block_sum(square);
  if (threadIdx.x == 0) squares[blockIdx.y * gridDim.x + blockIdx.x] = square;
}

__global__ void sum_squares(const double* parts, size_t count, double* sum) {
  double total = 0;
  for (size_t i = threadIdx.x; i < count; i += blockDim.x) total += parts[i];
  total = block_sum(total);
  if (threadIdx.x == 0) *sum = total;
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

// rank: null where the complement was not drawn. width: d0 + 1.
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

}  // namespace

void unit_weights(size_t units, bool pair, UnitWeight kind, bool entropy, const SampleWeights* weights,
                  const float* values, float* beta, DeviceContext& context) {
  launch(betas, {blocks_for(units, kThreads), kThreads}, context.stream, units, pair, kind, entropy, weights,
         values, beta);
}

void noise_sum(const NoiseLayout& layout, const DeviceQuestion& q, size_t units, const float* beta,
               float* sum, double* squares, DeviceContext& context) {
  // Units of a slice at least, which hide the merging; blocks of threads in all; floats of all slices.
  constexpr size_t kLeast = 16, kBlocks = 2048, kFloats = size_t(1) << 24;
  const size_t size = layout.size(), across = blocks_for(size / 4, kThreads);
  const size_t slices = std::max(size_t(1), std::min({(units + kLeast - 1) / kLeast,
                                                      (kBlocks + across - 1) / across, kFloats / size + 1}));
  DeviceArena& arena = *context.arena;
  float* parts = slices == 1 ? sum : arena.take<float>(slices * size);
  double* of_blocks = squares == nullptr ? nullptr : arena.take<double>(across * slices);
  launch(sum_noise, {dim3(unsigned(across), unsigned(slices)), kThreads}, context.stream, layout, q.seed,
         q.update, units, beta, parts, of_blocks);
  if (slices > 1) add_parts(parts, slices, size, 1, false, sum, context);
  if (squares != nullptr)
    launch(sum_squares, {1, kThreads}, context.stream, of_blocks, across * slices, squares);
}

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

void noise_error(const Projection* sampled, const DeviceQuestion& q, const SampleWeights* weights,
                 double units, double samples, const double* squares, EstimateNumbers* numbers,
                 DeviceContext& context) {
  launch(error_of, {1, 1}, context.stream, sampled == nullptr ? nullptr : sampled->rank,
         q.network->shape(1).rows, q.network->shape(1).columns, weights, units, samples, squares, numbers);
}

}  // namespace local_entropy
