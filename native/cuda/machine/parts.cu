// Sums over parts: parts.h.
#include "parts.h"

namespace local_entropy {

namespace {

constexpr unsigned kWarps = 8;

// 32 entries a block of threads; warp w takes its share of the parts, in order, and warp 0 the warps, in
// order.
__global__ void sum_parts(const float* from, size_t parts, size_t size, float scale, bool add, float* to) {
  __shared__ float of_warp[kWarps][32];
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const size_t at = size_t(blockIdx.x) * 32 + lane;
  float sum = 0;
  const size_t end = share_begin(parts, kWarps, warp + 1);
  for (size_t p = share_begin(parts, kWarps, warp); p < end && at < size; p++) sum += from[p * size + at];
  of_warp[warp][lane] = sum;
  __syncthreads();
  if (warp > 0 || at >= size) return;
  for (unsigned w = 1; w < kWarps; w++) sum += of_warp[w][lane];
  to[at] = add ? fmaf(scale, sum, to[at]) : scale * sum;
}

}  // namespace

void add_parts(const float* from, size_t parts, size_t size, double scale, bool add, float* to,
               DeviceContext& context) {
  launch(sum_parts, {blocks_for(size, 32), kWarps * 32}, context.stream, from, parts, size, float(scale), add,
         to);
}

}  // namespace local_entropy
