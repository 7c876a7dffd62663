// Writes normals to memory: one thread makes one Philox block, so a half-warp writes 64 bytes at a time.
#include "gaussian.h"

namespace local_entropy {

namespace {

constexpr unsigned kThreads = 256;

// out: count.
__global__ void fill(Noise noise, size_t count, float* out) {
  const size_t block = size_t(blockIdx.x) * kThreads + threadIdx.x;
  if (position_of(uint32_t(block), 0) >= count) return;
  const FourNormals normals = normals_of_block(noise, uint32_t(block));
#pragma unroll
  for (uint32_t component = 0; component < 4; component++) {
    const size_t position = position_of(uint32_t(block), component);
    if (position < count) out[position] = normals.at[component];
  }
}

}  // namespace

void gaussian_fill(Stream stream, const Noise& noise, size_t count, float* out) {
  if (count == 0) return;
  launch(fill, {blocks_for((count + 63) / 64 * 16, kThreads), kThreads}, stream, noise, count, out);
}

}  // namespace local_entropy
