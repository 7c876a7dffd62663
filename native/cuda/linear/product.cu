// A block of threads makes a tile of kTile x kTile entries, each thread kEach x kEach of them in registers,
// from slices of A and B in shared memory. Where there are few tiles the depth is cut into pieces, whose sums
// a second kernel adds in order; it also has the start and the finish.
#include <algorithm>

#include "product.h"

namespace local_entropy {

namespace {

constexpr unsigned kTile = 64, kSlice = 16, kEach = 4, kSide = kTile / kEach, kThreads = kSide * kSide;
constexpr unsigned kPad =
    4;  // so that a column of a slice lies in several banks, and rows stay 16-byte aligned

struct DepthPieces {
  unsigned count;
  size_t depth;  // of each but the last
};

__device__ inline float finished(const Product& p, size_t number, size_t i, size_t j, float value) {
  if (p.start != nullptr) value += p.start[number * p.start_next + i * p.start_row + j];
  switch (p.finish) {
    case Finish::kNothing:
      return value;
    case Finish::kActivate:
      return activate(p.activation, value);
    case Finish::kSlope:
      return through_slope(p.activation, p.activated[number * p.c_next + i * p.c_row + j], value);
  }
  return NAN;
}

// slice[k][t] <- entry(first + t, depth + k) for t < kTile, zeros outside. Neighbouring threads read along
// the depth or across it, whichever lies together in memory.
template <class Entry>
__device__ inline void load_slice(float (*slice)[kTile + kPad], bool along_depth, size_t first, size_t count,
                                  size_t depth, size_t end, Entry entry) {
#pragma unroll
  for (unsigned n = threadIdx.x; n < kTile * kSlice; n += kThreads) {
    const unsigned k = along_depth ? n % kSlice : n / kTile, t = along_depth ? n / kSlice : n % kTile;
    const bool inside = first + t < count && depth + k < end;
    slice[k][t] = inside ? entry(first + t, depth + k) : 0.0f;
  }
}

// partial: null, or piece after piece of count x rows x columns.
template <class Left>
__global__ __launch_bounds__(kThreads) void tiles(Left left, Product p, DepthPieces pieces, float* partial) {
  __shared__ float a[kSlice][kTile + kPad], b[kSlice][kTile + kPad];
  const size_t first_row = size_t(blockIdx.x) * kTile, first_column = size_t(blockIdx.y) * kTile;
  const size_t number = blockIdx.z / pieces.count, piece = blockIdx.z % pieces.count;
  const size_t begin = piece * pieces.depth;
  const size_t end = piece + 1 == pieces.count ? p.depth : begin + pieces.depth;
  const unsigned row = threadIdx.x / kSide * kEach, column = threadIdx.x % kSide * kEach;
  const float* from = p.b + number * p.b_next;
  float sums[kEach][kEach] = {};
  for (size_t depth = begin; depth < end; depth += kSlice) {
    load_slice(a, left.along_depth(), first_row, p.rows, depth, end,
               [&](size_t i, size_t k) { return left.at(i, k, number); });
    load_slice(b, p.b_row == 1, first_column, p.columns, depth, end,
               [&](size_t j, size_t k) { return from[k * p.b_row + j * p.b_column]; });
    __syncthreads();
#pragma unroll
    for (unsigned k = 0; k < kSlice; k++) {
#pragma unroll
      for (unsigned i = 0; i < kEach; i++)
#pragma unroll
        for (unsigned j = 0; j < kEach; j++) sums[i][j] = fmaf(a[k][row + i], b[k][column + j], sums[i][j]);
    }
    __syncthreads();
  }
  for (unsigned i = 0; i < kEach; i++)
    for (unsigned j = 0; j < kEach; j++) {
      const size_t r = first_row + row + i, c = first_column + column + j;
      if (r >= p.rows || c >= p.columns) continue;
      if (partial == nullptr)
        p.c[number * p.c_next + r * p.c_row + c] = finished(p, number, r, c, sums[i][j]);
      else
        partial[((piece * p.count + number) * p.rows + r) * p.columns + c] = sums[i][j];
    }
}

constexpr unsigned kSumThreads = 256;

__global__ void add_pieces(Product p, unsigned pieces, const float* partial) {
  const size_t size = p.count * p.rows * p.columns, at = size_t(blockIdx.x) * kSumThreads + threadIdx.x;
  if (at >= size) return;
  float total = partial[at];
  for (unsigned piece = 1; piece < pieces; piece++) total += partial[piece * size + at];
  const size_t number = at / (p.rows * p.columns), i = at / p.columns % p.rows, j = at % p.columns;
  p.c[number * p.c_next + i * p.c_row + j] = finished(p, number, i, j, total);
}

// Enough pieces for a few hundred tiles, each of 64 terms at least.
DepthPieces pieces_of(const Product& p, size_t tiles) {
  constexpr size_t kWanted = 264, kLeast = 64;
  const size_t most = p.depth / kLeast, wanted = kWanted / tiles;
  const size_t count = std::max(size_t(1), std::min(most, wanted));
  const size_t depth = (p.depth + count - 1) / count;
  return {unsigned((p.depth + depth - 1) / depth), depth};
}

template <class Left>
void enqueue(DeviceContext& context, const Left& left, const Product& p) {
  const unsigned across = blocks_for(p.rows, kTile), along = blocks_for(p.columns, kTile);
  const DepthPieces pieces = pieces_of(p, size_t(across) * along * p.count);
  const size_t size = p.count * p.rows * p.columns;
  float* partial = pieces.count > 1 ? context.arena->take<float>(pieces.count * size) : nullptr;
  constexpr size_t kMostInGrid = 65535;  // of a grid, in z
  const size_t together = kMostInGrid / pieces.count;
  if (p.count > together) throw DeviceError("Too many products at a time for one launch");
  launch(tiles<Left>, {dim3(across, along, unsigned(p.count * pieces.count)), kThreads}, context.stream, left,
         p, pieces, partial);
  if (partial != nullptr)
    launch(add_pieces, {blocks_for(size, kSumThreads), kSumThreads}, context.stream, p, pieces.count,
           partial);
}

}  // namespace

void product(DeviceContext& context, const StridedLeft& left, const Product& p) { enqueue(context, left, p); }
void product(DeviceContext& context, const InputsLeft& left, const Product& p) { enqueue(context, left, p); }

}  // namespace local_entropy
