// Gram matrix, Cholesky factor and solves: projection.h says what they are.
//
// Sizes: the Gram matrix takes B^2 (d0 + 1)/2 products, one warp an entry; the factor B^3/3 in float64 by one
// block of threads, which at B = 20 is a few microseconds of barriers and at B = 784 about a millisecond; a
// solve B^2 a column.
#include "../../description.h"
#include "../machine/block.h"
#include "first-layer.h"
#include "projection.h"

namespace local_entropy {

namespace {

constexpr unsigned kThreads = 256;

// gram (B x B) <- A A^T; warp w of block (x, y) makes entry (y, 8 x + w) and its mirror image.
__global__ void gram_entries(DeviceBatch batch, double* gram) {
  const size_t i = blockIdx.y, j = blockIdx.x * (kThreads / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (j > i) return;  // whole warps
  const size_t width = batch.examples.width, a = batch.row(i) * width, b = batch.row(j) * width;
  double value;
  if (batch.examples.floats == nullptr) {
    const uint8_t* bytes = batch.examples.bytes;
    uint64_t total = 0;
    for (size_t at = lane; at < width; at += 32) total += uint32_t(bytes[a + at]) * uint32_t(bytes[b + at]);
    value = double(warp_sum(total)) / 65025.0 + 1;
  } else {
    const float* floats = batch.examples.floats;
    double total = 0;
    for (size_t at = lane; at < width; at += 32) total += double(floats[a + at]) * double(floats[b + at]);
    value = warp_sum(total) + 1;
  }
  if (lane == 0) gram[i * batch.size + j] = gram[j * batch.size + i] = value;
}

// One block of threads. Column by column: what is left of the matrix loses the column's outer product. The
// work is done in shared memory where `shared` has room for it, else in l itself.
__global__ void cholesky(const double* gram, unsigned rows, bool shared, double* l, uint8_t* used,
                         uint32_t* rank) {
  double* a = shared ? dynamic_shared<double>() : l;
  for (unsigned i = threadIdx.x; i < rows * rows; i += blockDim.x) a[i] = i % rows <= i / rows ? gram[i] : 0;
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  unsigned found = 0;
  for (unsigned k = 0; k < rows; k++) {
    __syncthreads();
    const double pivot = a[size_t(k) * rows + k];
    const bool good = pivot > kPivotBound * gram[size_t(k) * rows + k];
    const double diagonal = good ? sqrt(pivot) : 0;
    found += good;
    __syncthreads();
    for (unsigned i = k + threadIdx.x; i < rows; i += blockDim.x) {
      double& entry = a[size_t(i) * rows + k];
      entry = i == k ? diagonal : good ? entry / diagonal : 0;
    }
    if (threadIdx.x == 0) used[k] = good;
    __syncthreads();
    if (!good) continue;
    for (unsigned i = k + 1 + warp; i < rows; i += warps) {
      const double own = a[size_t(i) * rows + k];
      for (unsigned j = k + 1 + lane; j <= i; j += 32)
        a[size_t(i) * rows + j] -= own * a[size_t(j) * rows + k];
    }
  }
  if (shared)  // the last column's barrier is behind the last change
    for (unsigned i = threadIdx.x; i < rows * rows; i += blockDim.x) l[i] = a[i];
  if (threadIdx.x == 0) *rank = found;
}

__global__ void scale_factor(const double* l, size_t count, double s, float* scaled) {
  const size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < count) scaled[i] = float(s * l[i]);
}

// What a solve reads and where its answer goes besides c.
struct Solve {
  const double* l;
  const uint8_t* used;
  unsigned rows, columns;
  const float* from;    // B x columns, or null: c itself
  DeviceFactor factor;  // of `from`
  const double* less;   // B x columns to be subtracted first, or null
  double* c;            // B x columns
  float* to;            // B x columns, stride to_row, or null
  size_t to_row;
  DeviceFactor keep;  // to <- keep to + the answer; 0: to is not read
};

// c <- L^{-1} c (lower) or L^{-T} c: a block of threads takes 32 columns, lane by lane, its warps the rows
// still to come.
template <bool kLower>
__global__ void solve(Solve s) {
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  const unsigned column = blockIdx.x * 32 + lane;
  const bool inside = column < s.columns;
  const auto at = [&](unsigned row) { return size_t(row) * s.columns + column; };
  const double factor = s.factor.value();
  const float keep = float(s.keep.value());
  for (unsigned i = warp; i < s.rows && inside; i += warps) {
    double value = s.from == nullptr ? s.c[at(i)] : factor * double(s.from[at(i)]);
    if (s.less != nullptr) value -= s.less[at(i)];
    s.c[at(i)] = value;
  }
  for (unsigned n = 0; n < s.rows; n++) {
    const unsigned i = kLower ? n : s.rows - 1 - n;
    __syncthreads();
    const double value = !inside || !s.used[i] ? 0 : s.c[at(i)] / s.l[size_t(i) * s.rows + i];
    __syncthreads();
    if (!inside) continue;
    if (warp == 0) {
      s.c[at(i)] = value;
      if (s.to != nullptr) {
        float& out = s.to[i * s.to_row + column];
        out = keep == 0 ? float(value) : fmaf(keep, out, float(value));
      }
    }
    if (kLower)
      for (unsigned k = i + 1 + warp; k < s.rows; k += warps)
        s.c[at(k)] -= s.l[size_t(k) * s.rows + i] * value;
    else
      for (unsigned k = warp; k < i; k += warps) s.c[at(k)] -= s.l[size_t(i) * s.rows + k] * value;
  }
}

template <bool kLower>
void enqueue(const Solve& s, DeviceContext& context) {
  launch(solve<kLower>, {blocks_for(s.columns, 32), kThreads}, context.stream, s);
}

Solve new_solve(const Projection& p, size_t columns, double* c) {
  return {p.l,     p.used, unsigned(p.rows), unsigned(columns), nullptr, {}, nullptr, c,
          nullptr, 0,      {nullptr, 0}};
}

// to <- factor from.
__global__ void scale(const float* from, DeviceFactor factor, size_t count, float* to) {
  const size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < count) to[i] = float(factor.value()) * from[i];
}

}  // namespace

Projection new_projection(const DeviceBatch& batch, DeviceContext& context) {
  const size_t rows = batch.size, bytes = rows * rows * sizeof(double);
  DeviceArena& arena = *context.arena;
  const Projection p{rows, arena.take<double>(rows * rows), arena.take<double>(rows * rows),
                     arena.take<uint8_t>(rows), arena.take<uint32_t>(1)};
  launch(gram_entries, {dim3(blocks_for(rows, kThreads / 32), unsigned(rows)), kThreads}, context.stream,
         batch, p.gram);
  const bool shared = bytes <= shared_memory_per_block();
  launch(cholesky, {1, rows < 64 ? kThreads : 1024, shared ? bytes : 0}, context.stream, p.gram,
         unsigned(rows), shared, p.l, p.used, p.rank);
  return p;
}

float* scaled_factor(const Projection& p, double s, DeviceContext& context) {
  const size_t count = p.rows * p.rows;
  float* scaled = context.arena->take<float>(count);
  launch(scale_factor, {blocks_for(count, kThreads), kThreads}, context.stream, p.l, count, s, scaled);
  return scaled;
}

void into_span(const DeviceBatch& batch, const Projection& p, const float* w, size_t columns,
               DeviceContext& context, double* c) {
  float* image = context.arena->take<float>(p.rows * columns);
  first_product(batch, w, columns, image, columns, context);
  Solve s = new_solve(p, columns, c);
  s.from = image;
  enqueue<true>(s, context);
}

void from_span(const DeviceBatch& batch, const Projection& p, double* v, size_t columns,
               DeviceContext& context, float* out) {
  double* inside = context.arena->take<double>(p.rows * columns);
  into_span(batch, p, out, columns, context, inside);
  float* coefficients = context.arena->take<float>(p.rows * columns);
  Solve s = new_solve(p, columns, v);
  s.less = inside;
  s.to = coefficients;
  s.to_row = columns;
  enqueue<false>(s, context);
  first_gradient(batch, coefficients, columns, columns, true, out, context);
}

void write_first_layer(const DeviceQuestion& q, const Projection* p, float* c, DeviceFactor of_c,
                       const float* noise, DeviceFactor factor, DeviceContext& context,
                       DeviceFactored* factored, float* gradient) {
  const DeviceBatch& batch = q.batches[0];
  const LayerShape shape = q.network->shape(1);
  const size_t columns = shape.columns, inside = batch.size * columns, count = shape.rows * columns;
  const bool plain = of_c.at == nullptr && of_c.times == 1, empty = of_c.at == nullptr && of_c.times == 0;
  if (p != nullptr && noise != nullptr) {
    Solve s = new_solve(*p, columns, context.arena->take<double>(inside));
    s.from = noise;
    s.factor = factor;
    s.to = c;
    s.to_row = columns;
    s.keep = of_c;
    enqueue<false>(s, context);
  } else if (!plain && !empty) {
    launch(scale, {blocks_for(inside, kThreads), kThreads}, context.stream, c, of_c, inside, c);
  }
  if (p != nullptr && factored != nullptr) {
    *factored = {c, columns};
    return;
  }
  const bool add = p == nullptr && noise != nullptr;
  if (add)
    launch(scale, {blocks_for(count, kThreads), kThreads}, context.stream, noise, factor, count, gradient);
  if (p == nullptr && empty) return;
  first_gradient(batch, c, columns, columns, add, gradient, context);
}

}  // namespace local_entropy
