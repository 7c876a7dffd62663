// A product of small matrices by one block of threads, operands in shared or global memory:
//
//   out(r, c, sum_k a(r, k) b(k, c)),  r < rows, c < columns, k < inner.
//
// A thread holds a tile of 4 rows (neighbours) and 4 columns (as far apart as there are tiles, so that a warp
// reads neighbouring columns). Where there are fewer tiles than threads the sum is cut into slices, whose
// parts are added in order; `partial` then holds 16 floats a thread. The order of the sums depends on shape
// and number of threads alone.
#pragma once
#include "../machine/device.h"

namespace local_entropy {

// Which entries of a are not zero: all, k <= r, or k >= r.
enum class Triangle : uint8_t { kNone, kLower, kUpper };

// All threads of the block of threads call; what a and b read is complete (a barrier before), and a barrier
// is due before another thread reads what `out` wrote.
template <class Left, class Right, class Out>
__device__ inline void block_product(int rows, int columns, int inner, Triangle triangle, float* partial,
                                     Left a, Right b, Out out) {
  constexpr int kTile = 4, kLeast = 4;  // terms of a slice at least
  const int threads = int(blockDim.x), down = (rows + kTile - 1) / kTile,
            across = (columns + kTile - 1) / kTile, tiles = down * across;
  int slices = threads / tiles;
  const int most = (inner + kLeast - 1) / kLeast;
  slices = slices < 1 ? 1 : slices > most ? most : slices;
  for (int item = int(threadIdx.x); item < tiles * slices; item += threads) {
    const int tile = item % tiles, slice = item / tiles, row = tile / across * kTile, column = tile % across;
    const int from = triangle == Triangle::kUpper ? row : 0;
    const int to = triangle == Triangle::kLower && row + kTile < inner ? row + kTile : inner;
    const int begin = from + (to - from) * slice / slices, end = from + (to - from) * (slice + 1) / slices;
    float sum[kTile][kTile] = {};
    for (int k = begin; k < end; k++) {
      float left[kTile], right[kTile];
#pragma unroll
      for (int i = 0; i < kTile; i++) {
        const int r = row + i, c = column + i * across;
        left[i] = a(r < rows ? r : rows - 1, k);
        right[i] = b(k, c < columns ? c : columns - 1);
      }
#pragma unroll
      for (int i = 0; i < kTile; i++)
#pragma unroll
        for (int j = 0; j < kTile; j++) sum[i][j] = fmaf(left[i], right[j], sum[i][j]);
    }
#pragma unroll
    for (int i = 0; i < kTile; i++)
#pragma unroll
      for (int j = 0; j < kTile; j++) {
        const int r = row + i, c = column + j * across;
        if (slices > 1)
          partial[(i * kTile + j) * tiles * slices + item] = sum[i][j];
        else if (r < rows && c < columns)
          out(r, c, sum[i][j]);
      }
  }
  if (slices == 1) return;
  __syncthreads();
  for (int at = int(threadIdx.x); at < rows * columns; at += threads) {
    const int r = at / columns, c = at % columns;
    const float* part =
        partial + (r % kTile * kTile + c / across) * tiles * slices + r / kTile * across + c % across;
    float sum = 0;
    for (int slice = 0; slice < slices; slice++) sum += part[slice * tiles];
    out(r, c, sum);
  }
  __syncthreads();
}

}  // namespace local_entropy
