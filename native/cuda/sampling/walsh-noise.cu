// Noise of Walsh blocks: walsh-noise.h.
//
// Cost: a normal is about 45 instructions, so two times 6,010 of them for the 512 samples of a block
// (784-200-10, B = 20) are 1,100 a sample; s L U is 4,200 products, 80 a sample and 300 instructions with
// their loads.
#include <algorithm>

#include "../linear/transform.h"
#include "../machine/parts.h"
#include "walsh-noise.h"

namespace local_entropy {

namespace {

constexpr unsigned kThreads = 256;

// blockIdx.y: the block of noise; a thread makes one Philox block.
__global__ void draw_blocks(WalshNoise noise, WalshShape shape, float s, bool direct, uint64_t first,
                            float* u, float* second) {
  const NoiseLayout& layout = noise.layout;
  const size_t block = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (block >= layout.size() / 4) return;
  const NoisePlace place = noise_place(layout, block);
  const FourNormals normals = noise_at(place, noise.seed, noise.update, uint32_t(first + blockIdx.y));
  float* to = u + blockIdx.y * layout.count[0];
  float* upper = second + size_t(blockIdx.y) * shape.classes * shape.m;
#pragma unroll
  for (uint32_t k = 0; k < 4; k++) {
    const size_t at = place.position + 16 * k;
    if (at < layout.count[0]) to[at] = direct ? s * normals.at[k] : normals.at[k];
    if (layout.depth == 1 || at < layout.offset[1]) continue;
    const size_t inside = at - layout.offset[1];
    if (inside < layout.count[1])
      upper[inside % shape.classes * shape.m + inside / shape.classes] = s * normals.at[k];
  }
}

// One column of one block a thread. Eight rows at a time from the last, so that a row is read before it is
// replaced.
__global__ void mix_columns(const float* factor, uint32_t rows, uint32_t columns, float* y) {
  constexpr uint32_t kTile = 8;
  const uint32_t h = blockIdx.x * blockDim.x + threadIdx.x;
  if (h >= columns) return;
  float* column = y + size_t(blockIdx.y) * rows * columns + h;
  for (uint32_t tile = (rows + kTile - 1) / kTile; tile-- > 0;) {
    const uint32_t first = tile * kTile, end = first + kTile < rows ? first + kTile : rows;
    float sum[kTile] = {};
    for (uint32_t r = 0; r < end; r++) {
      const float u = column[size_t(r) * columns];
#pragma unroll
      for (uint32_t k = 0; k < kTile; k++)
        if (first + k < end) sum[k] = fmaf(factor[size_t(first + k) * rows + r], u, sum[k]);
    }
#pragma unroll
    for (uint32_t k = 0; k < kTile; k++)
      if (first + k < end) column[size_t(first + k) * columns] = sum[k];
  }
}

// A team a Walsh block.
template <int R>
__global__ void sign_means(WalshShape shape, uint64_t blocks, float* values) {
  float* pool = dynamic_shared<float>();
  const uint32_t teams = blockDim.x / shape.threads;
  const WalshTeam<R> team(shape, pool);
  const uint64_t i = uint64_t(blockIdx.x) * teams + team.number;
  const bool any = i < blocks;
  float* own = values + i * 2 * shape.m;
  const float factor = 1.0f / float(2 * shape.m);
  float x[R];
#pragma unroll
  for (int r = 0; r < R; r++) {
    const uint32_t g = team.place(r);
    x[r] = any && team.inside(r) ? factor * (own[g] - own[shape.m + g]) : 0;
  }
  walsh_transform(team, x);
#pragma unroll
  for (int r = 0; r < R; r++) {
    const uint32_t g = team.place(r);
    if (any && team.inside(r)) own[g] = x[r];
  }
}

template <int R>
void enqueue_sign_means(const WalshShape& shape, uint64_t blocks, float* values, DeviceContext& context) {
  const uint32_t teams = kThreads / shape.threads;
  launch(sign_means<R>,
         {blocks_for(blocks, teams), kThreads, shape.threads > 32 ? R * kThreads * sizeof(float) : 0},
         context.stream, shape, blocks, values);
}

// blockIdx.y: a slice of the blocks; a thread sums one Philox block's four positions over the slice.
__global__ void noise_means(WalshNoise noise, WalshShape shape, uint64_t first, uint64_t count,
                            const float* signs, float* parts) {
  const NoiseLayout& layout = noise.layout;
  const size_t block = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (block >= layout.size() / 4) return;
  const uint64_t begin = share_begin(count, gridDim.y, blockIdx.y),
                 end = share_begin(count, gridDim.y, blockIdx.y + 1);
  float sum[4] = {};
  uint32_t column[4];  // whose E
  const NoisePlace place = noise_place(layout, block);
#pragma unroll
  for (uint32_t k = 0; k < 4; k++) {
    const size_t at = place.position + 16 * k;
    const bool lower = at < layout.offset[1];
    const size_t inside = lower ? at : at - layout.offset[1];
    column[k] = uint32_t(lower                                    ? inside % shape.width
                         : shape.layout == WalshLayout::kRowSplit ? shape.width + inside % shape.classes
                                                                  : inside / shape.classes);
    if (column[k] >= shape.m) column[k] = 0;  // padding, whose normals are zero
  }
  for (uint64_t i = begin; i < end; i++) {
    const FourNormals normals = noise_at(place, noise.seed, noise.update, uint32_t(first + i));
    const float* own = signs + i * 2 * shape.m;
#pragma unroll
    for (uint32_t k = 0; k < 4; k++) sum[k] = fmaf(normals.at[k], own[column[k]], sum[k]);
  }
#pragma unroll
  for (uint32_t k = 0; k < 4; k++) parts[blockIdx.y * layout.size() + place.position + 16 * k] = sum[k];
}

}  // namespace

void draw_walsh_blocks(const WalshNoise& noise, const WalshShape& shape, double s, bool direct,
                       uint64_t first, uint32_t count, float* u, float* second, DeviceContext& context) {
  launch(draw_blocks, {dim3(blocks_for(noise.layout.size() / 4, kThreads), count), kThreads}, context.stream,
         noise, shape, float(s), direct, first, u, second);
}

void mix_walsh_blocks(const float* factor, uint32_t rows, uint32_t columns, uint32_t count, float* y,
                      DeviceContext& context) {
  launch(mix_columns, {dim3(blocks_for(columns, 64), count), 64}, context.stream, factor, rows, columns, y);
}

void walsh_sign_means(const WalshShape& shape, uint64_t blocks, float* values, DeviceContext& context) {
  switch (shape.registers) {
    case 1:
      return enqueue_sign_means<1>(shape, blocks, values, context);
    case 2:
      return enqueue_sign_means<2>(shape, blocks, values, context);
    case 4:
      return enqueue_sign_means<4>(shape, blocks, values, context);
    case 8:
      return enqueue_sign_means<8>(shape, blocks, values, context);
    default:
      return enqueue_sign_means<16>(shape, blocks, values, context);
  }
}

void walsh_noise_mean(const WalshNoise& noise, const WalshShape& shape, uint64_t first, uint64_t count,
                      const float* signs, float* sum, DeviceContext& context) {
  constexpr size_t kLeast = 8, kMost = 64,
                   kFloats = size_t(1) << 24;  // blocks of a slice; slices; floats of all
  const size_t size = noise.layout.size();
  const size_t slices =
      std::max(size_t(1), std::min({(size_t(count) + kLeast - 1) / kLeast, kMost, kFloats / size}));
  float* parts = slices == 1 ? sum : context.arena->take<float>(slices * size);
  launch(noise_means, {dim3(blocks_for(size / 4, kThreads), unsigned(slices)), kThreads}, context.stream,
         noise, shape, first, count, signs, parts);
  if (slices > 1) add_parts(parts, slices, size, 1, false, sum, context);
}

}  // namespace local_entropy
