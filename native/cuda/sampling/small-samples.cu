// Small projected networks, a sample after the other by a block of threads: small-samples.h.
//
//   P = base + s L U, logits = (act(P), 1) (W + s Z), f the loss's mean over the rows, sums of r Z and Z
//
// U and Z are made once, in shared memory, and stay there until they are summed. A thread makes a column of
// P, the rows in registers, then a tile of the logits over a slice of the hidden units. While the first warp
// works out a sample's loss and weight, in a long chain of few instructions, all make most of the next noise.
//
// Cost at 784-200-10 and B = 20, from the compiler's code for sm_90, in instructions of a thread: a Philox
// block's four normals with its stores 207 (1,520 of them: 0.31 million), a column of P with a row of W + s Z
// 465 (0.09), a unit in a tile of the logits 28 (0.08 with their sums), the sums of noise 22 for four (0.03),
// the rest 0.04: 0.56 million. An H200 issues 3.3e13 a second, so 59 million samples a second at most. Its
// shared memory, by counting the banks that each access takes, is busy for 3,000 cycles a sample and
// multiprocessor: 87 million a second. Memory: 4 bytes a sample, and the sums of each slice.
//
// Symbols: B rows, d1 units, C classes, L (B x B), U (B x d1), Z ((d1 + 1) x C), s the perturbation's scale.
#include <algorithm>

#include "../../description.h"
#include "../linear/activation.h"
#include "../machine/block.h"
#include "../machine/parts.h"
#include "../network/loss.h"
#include "../random/gaussian.h"
#include "small-samples-pool.h"
#include "small-samples.h"

namespace local_entropy {

namespace {

constexpr unsigned kThreads = SamplePool::kThreads, kTileRows = SamplePool::kTileRows,
                   kTileClasses = SamplePool::kTileClasses, kTile = SamplePool::kTile;
constexpr unsigned kFewGroups = 5, kManyGroups = 8;  // of rows in registers
constexpr unsigned kAhead = 3;  // Philox blocks of the next noise that a thread makes before it is due

struct SampleTask {
  NoiseLayout layout;
  DeviceBatch batch;
  Activation activation;
  uint32_t columns, classes;  // d1 (the classes without a hidden layer)
  bool hidden, pair;
  PhiloxKeys keys;
  uint32_t update;
  float s;
  size_t units;
  const float* factor;  // L
  const float* base;    // d1 x padded rows
  const float* tail;    // W ((d1 + 1) x C)
  DeviceLoss loss;
  float* losses;
  SampleSlices slices;  // all null: the losses alone
  SamplePool at;
};

// Philox blocks of a unit's noise, layers one after the other.
__device__ inline uint32_t noise_blocks(const SampleTask& task) { return uint32_t(task.layout.size() / 4); }

// What it leaves in the layout's padding nobody reads.
__device__ inline FourNormals noise_of_block(const SampleTask& task, uint32_t unit, uint32_t block) {
  const uint32_t first = uint32_t(task.layout.offset[1] / 4);
  const bool upper = block >= first;
  return normals_of_words(philox(task.keys, block - (upper ? first : 0), unit, task.update,
                                 kStreamFirstLayer + (upper ? 1u : 0u)));
}

// Where a thread's first Philox block stands in a unit's noise; its next ones follow 4 kThreads floats apart.
__device__ inline float* place_of_noise(float* noise) {
  static_assert(kThreads % 16 == 0, "threads take whole groups of 64 normals");
  return noise + threadIdx.x / 16 * 64 + threadIdx.x % 16;
}

__device__ inline void put_noise(const FourNormals& normals, float* to) {
#pragma unroll
  for (unsigned k = 0; k < 4; k++) to[16 * k] = normals.at[k];
}

// The noise of one unit, a thread's Philox blocks from the `made`-th on.
__device__ inline void make_noise(const SampleTask& task, uint32_t unit, unsigned made, float* noise) {
  float* to = place_of_noise(noise) + made * 4 * kThreads;
#pragma unroll 2
  for (uint32_t block = threadIdx.x + made * kThreads; block < noise_blocks(task);
       block += kThreads, to += 4 * kThreads)
    put_noise(noise_of_block(task, unit, block), to);
}

// base (units x padded rows, zeros past the last row) <- the first layer at x (rows x units).
__global__ void by_units(const float* first, unsigned rows, unsigned units, unsigned padded_rows,
                         float* base) {
  const unsigned at = blockIdx.x * blockDim.x + threadIdx.x, unit = at / padded_rows, row = at % padded_rows;
  if (unit < units) base[at] = row < rows ? first[row * units + unit] : 0;
}

// sum[k] += u · the factor's row k, for the rows from `from` on.
template <unsigned kGroups>
__device__ inline void add_multiple(const float* factor, float u, unsigned from,
                                    float (&sum)[kGroups * kTileRows]) {
#pragma unroll
  for (unsigned h = from / 4; h < kGroups; h++) {
    const float4 l = reinterpret_cast<const float4*>(factor)[h];
    const float row[4] = {l.x, l.y, l.z, l.w};
#pragma unroll
    for (unsigned i = 0; i < 4; i++)
      if (4 * h + i >= from) sum[4 * h + i] = fmaf(row[i], u, sum[4 * h + i]);
  }
}

// Four floats to shared memory at once. The compiler would store them one by one, four threads to a bank.
__device__ inline void put_four(float* to, float a, float b, float c, float d) {
#if defined(__CUDA_ARCH__)
  asm volatile("st.shared.v4.f32 [%0], {%1, %2, %3, %4};" ::"r"(uint32_t(__cvta_generic_to_shared(to))),
               "f"(a), "f"(b), "f"(c), "f"(d)
               : "memory");
#else
  *reinterpret_cast<float4*>(to) = make_float4(a, b, c, d);
#endif
}

// A unit's activations at x + s Z, kRows rows at a time, or without a hidden layer a class's logits.
template <unsigned kGroups>
__device__ inline void activate_unit(const SampleTask& task, unsigned unit, float s, float* pool) {
  constexpr unsigned kRows = kGroups * kTileRows;
  const SamplePool& at = task.at;
  const unsigned rows = unsigned(task.batch.size), columns = task.columns;
  const float* factor = pool + at.factor;
  for (unsigned first = 0; first < rows; first += kRows) {
    const float* u = pool + at.noise + unit;
    float sum[kRows] = {};
#pragma unroll 1
    for (unsigned k = 0; k < first; k++, u += columns, factor += kRows)
      add_multiple<kGroups>(factor, *u, 0, sum);
#pragma unroll
    for (unsigned k = 0; k < kRows; k++, u += columns, factor += kRows)
      add_multiple<kGroups>(factor, *u, k, sum);  // past the last row the factor has zeros
    factor += (at.padded_rows - first - kRows) * kRows;
    const float4* base = reinterpret_cast<const float4*>(task.base + unit * at.padded_rows + first);
#pragma unroll
    for (unsigned h = 0; h < kGroups; h++) {
      const float4 x = base[h];
      sum[4 * h] = fmaf(s, sum[4 * h], x.x);
      sum[4 * h + 1] = fmaf(s, sum[4 * h + 1], x.y);
      sum[4 * h + 2] = fmaf(s, sum[4 * h + 2], x.z);
      sum[4 * h + 3] = fmaf(s, sum[4 * h + 3], x.w);
    }
    if (!task.hidden) {
#pragma unroll
      for (unsigned k = 0; k < kRows; k++)
        if (first + k < rows) pool[at.logits + (first + k) * task.classes + unit] = sum[k];
      continue;
    }
    if (task.activation == Activation::kRelu) {
#pragma unroll
      for (unsigned k = 0; k < kRows; k++) sum[k] = activate(Activation::kRelu, sum[k]);
    }
    float* to = pool + at.active + unit * at.row_stride + first;
#pragma unroll
    for (unsigned h = 0; h < kGroups; h++)
      put_four(to + 4 * h, sum[4 * h], sum[4 * h + 1], sum[4 * h + 2], sum[4 * h + 3]);
    if (task.activation == Activation::kRelu) continue;
#pragma unroll 1
    for (unsigned k = 0; k < kRows; k++) to[k] = activate(task.activation, to[k]);
  }
}

// The first layer, and a row of W + s Z for each of its units and the bias.
template <unsigned kGroups>
__device__ inline void first_layer(const SampleTask& task, float s, float* pool) {
  const SamplePool& at = task.at;
  const unsigned columns = task.columns, classes = task.classes;
  for (unsigned unit = threadIdx.x; unit < columns + unsigned(task.hidden); unit += kThreads) {
    if (unit < columns) activate_unit<kGroups>(task, unit, s, pool);
    if (!task.hidden) continue;
    const float *z = pool + task.layout.offset[1] + unit * classes, *w = pool + at.tail + unit * classes;
    float* to = pool + (unit < columns ? at.upper + unit * at.class_stride : at.bias);
#pragma unroll 1
    for (unsigned first = 0; first < classes;
         first += kTileClasses, to += 8, z += kTileClasses, w += kTileClasses) {
      float sum[kTileClasses];  // past the last class: anything
#pragma unroll
      for (unsigned j = 0; j < kTileClasses; j++) sum[j] = fmaf(s, z[j], w[j]);
      put_four(to, sum[0], sum[1], sum[2], sum[3]);
      to[4] = sum[4];
    }
  }
}

// A thread's part of the second layer, the same for all samples.
struct UpperItem {
  unsigned unit, active, upper;  // where it begins; unit >= d1: nothing to do

  __device__ explicit UpperItem(const SampleTask& task) {
    const SamplePool& at = task.at;
    const unsigned tiles = at.groups * at.class_tiles, tile = threadIdx.x % tiles;
    unit = threadIdx.x < tiles * at.parts ? threadIdx.x / tiles : task.columns;
    active = at.active + unit * at.row_stride + tile % at.groups * kTileRows;
    upper = at.upper + unit * at.class_stride + tile / at.groups * 8;
  }
};

// logits <- (activations, 1) times the weights above; two barriers of its own.
__device__ inline void upper_layer(const SampleTask& task, const UpperItem& item, float* pool) {
  const SamplePool& at = task.at;
  const unsigned tiles = at.groups * at.class_tiles, items = tiles * at.parts;
  const float *active = pool + item.active, *upper = pool + item.upper;
  float sum[kTile] = {};
#pragma unroll 2
  for (unsigned unit = item.unit; unit < task.columns; unit += at.parts) {
    const float4 a = *reinterpret_cast<const float4*>(active), w = *reinterpret_cast<const float4*>(upper);
    const float left[kTileRows] = {a.x, a.y, a.z, a.w}, right[kTileClasses] = {w.x, w.y, w.z, w.w, upper[4]};
    active += at.parts * at.row_stride;
    upper += at.parts * at.class_stride;
#pragma unroll
    for (unsigned i = 0; i < kTileRows; i++)
#pragma unroll
      for (unsigned j = 0; j < kTileClasses; j++)
        sum[i * kTileClasses + j] = fmaf(left[i], right[j], sum[i * kTileClasses + j]);
  }
  __syncthreads();
  float* parts = pool + at.active;
  if (threadIdx.x < items) {
#pragma unroll
    for (unsigned e = 0; e < kTile; e++) parts[e * items + threadIdx.x] = sum[e];
  }
  __syncthreads();
  const unsigned size = unsigned(task.batch.size) * task.classes;
  for (unsigned i = threadIdx.x; i < size; i += kThreads) {
    const unsigned row = i / task.classes, k = i % task.classes, j = k % kTileClasses,
                   across = k / kTileClasses;
    const float* part =
        parts + (row % kTileRows * kTileClasses + j) * items + across * at.groups + row / kTileRows;
    float total = pool[at.bias + across * 8 + j];
    for (unsigned p = 0; p < at.parts; p++) total += part[p * tiles];
    pool[at.logits + i] = total;
  }
}

// The loss of the logits, by the first warp; every lane gets it.
__device__ inline double loss_of_logits(const SampleTask& task, const float* logits) {
  const unsigned rows = unsigned(task.batch.size);
  double sum = 0;
  for (unsigned b = threadIdx.x; b < rows; b += 32)
    sum += double(row_loss(logits + b * task.classes, task.classes, task.batch, b, task.loss, 0));
  return warp_sum(sum) / double(rows);
}

// weighted <- shrink weighted + (shrink - 1) plain + weight noise, plain += noise; count is a multiple of 4.
__device__ inline void add_noise(const float* noise, size_t count, float weight, float shrink,
                                 float* weighted, float* plain) {
  const float4* z = reinterpret_cast<const float4*>(noise);
  float4 *of = reinterpret_cast<float4*>(weighted), *all = reinterpret_cast<float4*>(plain);
  for (unsigned i = threadIdx.x; i < unsigned(count / 4); i += kThreads) {
    const float4 one = z[i];
    float4 sum = of[i], of_all = plain == nullptr ? make_float4(0, 0, 0, 0) : all[i];
    if (shrink != 1) {
      const float less = shrink - 1;
      sum = make_float4(fmaf(shrink, sum.x, less * of_all.x), fmaf(shrink, sum.y, less * of_all.y),
                        fmaf(shrink, sum.z, less * of_all.z), fmaf(shrink, sum.w, less * of_all.w));
    }
    of[i] = make_float4(fmaf(weight, one.x, sum.x), fmaf(weight, one.y, sum.y), fmaf(weight, one.z, sum.z),
                        fmaf(weight, one.w, sum.w));
    if (plain != nullptr)
      all[i] = make_float4(of_all.x + one.x, of_all.y + one.y, of_all.z + one.z, of_all.w + one.w);
  }
}

template <unsigned kGroups>
__global__ void __launch_bounds__(kThreads, kGroups == kFewGroups ? 2 : 1) run_samples(SampleTask task) {
  __shared__ float of_unit[2];  // what it weighs, and by how much the sums before shrink
  float* pool = dynamic_shared<float>();
  const unsigned rows = unsigned(task.batch.size);
  const SamplePool& at = task.at;
  const bool sums = task.slices.weighted != nullptr;
  for (unsigned i = threadIdx.x; i < at.padded_rows * at.padded_rows; i += kThreads) {
    constexpr unsigned kRows = kGroups * kTileRows;  // pass after pass, column after column
    const unsigned pass = i / kRows / at.padded_rows, k = i / kRows % at.padded_rows,
                   row = pass * kRows + i % kRows;
    pool[at.factor + i] = row < rows && k <= row ? task.factor[row * rows + k] : 0;
  }
  for (unsigned i = unsigned(task.layout.size()) + threadIdx.x; i < at.factor; i += kThreads) pool[i] = 0;
  for (unsigned i = at.tail + threadIdx.x; i < at.active; i += kThreads)
    pool[i] = i - at.tail < (task.columns + 1) * task.classes ? task.tail[i - at.tail] : 0;
  const size_t slice = blockIdx.x, size = task.layout.size();
  const uint32_t end = uint32_t(share_begin(task.units, gridDim.x, slice + 1));
  const UpperItem item(task);
  SliceLevel level;  // the first thread's
  uint32_t unit = uint32_t(share_begin(task.units, gridDim.x, slice));
  make_noise(task, unit, 0, pool + at.noise);
  for (; unit < end; unit++) {
    float f = 0, before = 0;  // the first thread's
    for (unsigned i = 0; i <= unsigned(task.pair); i++) {
      __syncthreads();  // the noise is made; the logits before are read
      first_layer<kGroups>(task, i == 0 ? task.s : -task.s, pool);
      __syncthreads();
      if (task.hidden) upper_layer(task, item, pool);
      __syncthreads();
      before = f;
      if (threadIdx.x < 32) f = float(loss_of_logits(task, pool + at.logits));
      if (threadIdx.x == 0) task.losses[task.pair ? 2 * size_t(unit) + i : unit] = f;
    }
    if (threadIdx.x == 0 && sums)
      of_unit[0] = level.weight(task.slices, task.pair ? before : f, f, of_unit + 1);
    // The next noise, while the first warp works out the loss; in registers, for this one is still needed.
    FourNormals ahead[kAhead];
    const bool last = unit + 1 == end;
#pragma unroll
    for (unsigned k = 0; k < kAhead; k++) {
      const uint32_t block = threadIdx.x + k * kThreads;
      if (!last && block < noise_blocks(task)) ahead[k] = noise_of_block(task, unit + 1, block);
    }
    __syncthreads();
    if (sums) {
      add_noise(pool + at.noise, size, of_unit[0], of_unit[1], pool + at.weighted,
                task.pair ? nullptr : pool + at.plain);
      __syncthreads();  // the noise is read
    }
    if (last) break;
    float* to = place_of_noise(pool + at.noise);
#pragma unroll
    for (unsigned k = 0; k < kAhead; k++)
      if (threadIdx.x + k * kThreads < noise_blocks(task)) put_noise(ahead[k], to + k * 4 * kThreads);
    make_noise(task, unit + 1, kAhead, pool + at.noise);
  }
  if (!sums) return;
  if (threadIdx.x == 0) task.slices.levels[slice] = level.level;
  for (size_t i = threadIdx.x; i < size; i += kThreads) {
    task.slices.weighted[slice * size + i] = pool[at.weighted + i];
    if (!task.pair) task.slices.plain[slice * size + i] = pool[at.plain + i];
  }
}

// Groups of rows in registers: few where that is enough.
unsigned groups_of(const DeviceQuestion& q) {
  return q.batches[0].size <= kFewGroups * kTileRows ? kFewGroups : kManyGroups;
}

SamplePool pool_of(const DeviceQuestion& q, const NoiseLayout& layout, bool pair, bool sums) {
  const Network& network = *q.network;
  return SamplePool(layout, unsigned(q.batches[0].size), network.layers[1], network.classes(),
                    network.depth() == 2, pair, sums, groups_of(q));
}

}  // namespace

bool fits_small_samples(const DeviceQuestion& q, const Projection* projection, bool pair, bool sums) {
  if (projection == nullptr || q.network->depth() > 2) return false;
  constexpr size_t kStatic = 64, kMostRows = 1024;  // shared memory beside the pool
  const NoiseLayout layout = new_noise_layout(*q.network, projection);
  if (q.batches[0].size > kMostRows || layout.size() > shared_memory_per_block() / sizeof(float))
    return false;
  const SamplePool pool = pool_of(q, layout, pair, sums);
  return pool.groups * pool.class_tiles <= kThreads &&
         pool.size * sizeof(float) + kStatic <= shared_memory_per_block();
}

void small_samples(const SampledPoint& point, bool pair, size_t units, float* losses,
                   const SampleSlices* sums) {
  const DeviceQuestion& q = *point.q;
  const Network& network = *q.network;
  const SamplePool pool = pool_of(q, point.layout, pair, sums != nullptr);
  const unsigned columns = network.layers[1], size = columns * pool.padded_rows;
  float* base = point.context->arena->take<float>(size);
  launch(by_units, {blocks_for(size, kThreads), kThreads}, point.context->stream, point.base,
         unsigned(point.batch.size), columns, pool.padded_rows, base);
  const SampleTask task{point.layout,
                        point.batch,
                        network.activation,
                        columns,
                        network.classes(),
                        network.depth() == 2,
                        pair,
                        PhiloxKeys(q.seed),
                        q.update,
                        float(q.noise_scale),
                        units,
                        point.factor,
                        base,
                        point.tail,
                        q.loss,
                        losses,
                        sums == nullptr ? SampleSlices{} : *sums,
                        pool};
  launch(groups_of(q) == kFewGroups ? run_samples<kFewGroups> : run_samples<kManyGroups>,
         {unsigned(sample_slice_count(units)), kThreads, task.at.size * sizeof(float)}, point.context->stream,
         task);
}

}  // namespace local_entropy
