// Sums of weighted noise: noise-sum.h.
#include <algorithm>

#include "../machine/block.h"
#include "../machine/parts.h"
#include "noise-sum.h"

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
  switch (kind) {
    case UnitWeight::kRaw:
      shift = weights->lost;
      break;
    case UnitWeight::kCentred:
      shift = entropy ? weights->lost - weights->mean : -weights->level;
      break;
    case UnitWeight::kPlain:
      break;
  }
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

}  // namespace local_entropy
