// Losses of samples, a sample a block of threads: its noise is made in shared memory and never leaves it.
//
//   P = base + s L U, logits = (act(P), 1) (W + s Z), the loss's mean over the rows
//
// Cost at 784-200-10 and B = 20, from the compiler's code for sm_90, in instructions of a thread: a Philox
// block with its four normals and their stores 311 (1,536 of them: 0.46 million), a step of a tile's product
// 39 for 16 entries (L U: 0.16 million; the second layer with its slices 0.27 million), 0.95 million in all;
// the sum of w Z makes the noise again, 275 a block, 0.42 million. An H200 issues 3e13 a second: floors of 32
// ns for the losses and 46 ns with the sum, 22 million samples a second. Memory: 4 bytes a sample.
//
// Symbols: B rows, d1 units, C classes, L (B x B), U (B x d1), Z ((d1 + 1) x C), s the perturbation's scale.
#include <algorithm>

#include "block-product.h"
#include "importance-sampling-losses.h"

namespace local_entropy {

namespace {

constexpr unsigned kThreads = 256, kWanted = 3;  // blocks of threads on a multiprocessor at a time

struct SampleTask {
  NoiseLayout layout;
  DeviceBatch batch;
  Activation activation;
  uint32_t columns, classes;  // d1 (the classes without a hidden layer)
  bool hidden, pair;
  uint64_t seed;
  uint32_t update;
  float s;
  size_t units;
  const float* factor;  // L
  const float* base;    // B x d1
  const float* tail;    // W ((d1 + 1) x C)
  const float* costs;
  float* losses;
};

// Shared memory, in floats.
struct SamplePool {
  size_t noise, factor, tail, active, logits, partial, size;

  __host__ __device__ SamplePool(const NoiseLayout& layout, size_t rows, size_t columns, size_t classes,
                                 bool hidden) {
    noise = 0;
    factor = layout.size();
    tail = factor + rows * rows;
    active = tail + (hidden ? (columns + 1) * classes : 0);
    logits = active + (hidden ? rows * columns : 0);
    partial = logits + rows * classes;
    size = partial + 16 * kThreads;
  }
};

// Logits at x + sign s Z.
__device__ void sample_logits(const SampleTask& task, const SamplePool& at, float sign, float* pool) {
  const int rows = int(task.batch.size), columns = int(task.columns), classes = int(task.classes);
  const float *factor = pool + at.factor, *u = pool + at.noise, *base = task.base;
  float *active = pool + at.active, *logits = pool + at.logits;
  const float s = sign * task.s;
  block_product(
      rows, columns, rows, Triangle::kLower, pool + at.partial,
      [&](int r, int k) { return factor[r * rows + k]; }, [&](int k, int c) { return u[k * columns + c]; },
      [&](int r, int c, float sum) {
        const float p = fmaf(s, sum, base[r * columns + c]);
        if (task.hidden)
          active[r * columns + c] = activate(task.activation, p);
        else
          logits[r * classes + c] = p;
      });
  __syncthreads();
  if (!task.hidden) return;
  const float *w = pool + at.tail, *z = pool + at.noise + task.layout.offset[1];
  const int bias = columns * classes;
  block_product(
      rows, classes, columns, Triangle::kNone, pool + at.partial,
      [&](int r, int k) { return active[r * columns + k]; },
      [&](int k, int c) { return fmaf(s, z[k * classes + c], w[k * classes + c]); },
      [&](int r, int c, float sum) { logits[r * classes + c] = sum + fmaf(s, z[bias + c], w[bias + c]); });
  __syncthreads();
}

__global__ void __launch_bounds__(kThreads, kWanted) losses_of_samples(SampleTask task) {
  float* pool = dynamic_shared<float>();
  const unsigned rows = unsigned(task.batch.size);
  const SamplePool at(task.layout, rows, task.columns, task.classes, task.hidden);
  for (unsigned i = threadIdx.x; i < rows * rows; i += kThreads) pool[at.factor + i] = task.factor[i];
  for (unsigned i = threadIdx.x; i < at.active - at.tail; i += kThreads) pool[at.tail + i] = task.tail[i];
  for (size_t unit = blockIdx.x; unit < task.units; unit += gridDim.x) {
    for (size_t block = threadIdx.x; block < task.layout.size() / 4; block += kThreads) {
      const NoisePlace place = noise_place(task.layout, block);
      const FourNormals normals = noise_at(place, task.seed, task.update, uint32_t(unit));
#pragma unroll
      for (unsigned k = 0; k < 4; k++) pool[at.noise + place.position + 16 * k] = normals.at[k];
    }
    for (unsigned i = 0; i <= unsigned(task.pair); i++) {
      __syncthreads();  // the noise is made; the logits before are read
      sample_logits(task, at, i == 0 ? 1.0f : -1.0f, pool);
      if (threadIdx.x >= 32) continue;  // the others begin what follows
      double sum = 0;
      for (unsigned b = threadIdx.x; b < rows; b += 32)
        sum += double(
            row_loss(pool + at.logits + b * task.classes, task.classes, task.batch.label(b), task.costs));
      sum = warp_sum(sum);
      if (threadIdx.x == 0) task.losses[task.pair ? 2 * unit + i : unit] = float(sum / double(rows));
    }
  }
}

SamplePool pool_of(const DeviceQuestion& q, const NoiseLayout& layout) {
  const Network& network = *q.network;
  return SamplePool(layout, q.batches[0].size, network.layers[1], network.classes(), network.depth() == 2);
}

}  // namespace

bool fits_sample_losses(const DeviceQuestion& q, const Projection* projection) {
  return projection != nullptr && q.network->depth() <= 2 &&
         pool_of(q, new_noise_layout(*q.network, projection)).size * sizeof(float) <=
             shared_memory_per_block();
}

void sample_losses(const SamplePass& pass, bool pair, size_t units, float* losses) {
  const DeviceQuestion& q = *pass.q;
  const Network& network = *q.network;
  const SampleTask task{pass.layout,
                        pass.batch,
                        network.activation,
                        network.layers[1],
                        network.classes(),
                        network.depth() == 2,
                        pair,
                        q.seed,
                        q.update,
                        float(q.noise_scale),
                        units,
                        pass.factor,
                        pass.base,
                        pass.tail,
                        q.costs,
                        losses};
  const size_t bytes = pool_of(q, pass.layout).size * sizeof(float);
  const size_t fit = std::max(size_t(1), std::min(size_t(kWanted), shared_memory_per_block() / bytes));
  // A sample's loss does not depend on the block that makes it.
  const unsigned blocks = unsigned(std::min(units, fit * multiprocessors()));
  launch(losses_of_samples, {blocks, kThreads, bytes}, pass.context->stream, task);
}

}  // namespace local_entropy
