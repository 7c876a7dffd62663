// Transitions of the projected Langevin chain: sgld-chain.h.
//
// At 784-200-10 and B = 20 a transition is 260,000 multiply-adds (L V, the second layer, back, its gradient,
// L^T G): 2,000 cycles of the 128 lanes of a multiprocessor, 1.2 microseconds; a dozen barriers, the row
// losses and the sums of slices come to about as much. The noise is made by other kernels beforehand: 24 kB a
// transition, read once.

#include "../linear/activation.h"
#include "../linear/block-product.h"
#include "../machine/block.h"
#include "../network/loss.h"
#include "sgld-chain.h"

namespace local_entropy {

namespace {

constexpr unsigned kThreads = 512;

// What a chain keeps in fast memory, in floats from the start of its pool.
struct ChainPool {
  size_t v, v_sum, x, x_sum, state;  // state: their length, as in Chain::state
  size_t factor, position, partial, losses;
  size_t activation[kMostLayers + 1], signal[kMostLayers + 1];
  size_t tail, size;

  ChainPool(const ChainNetwork& network, size_t rows) {
    const size_t first = rows * network.width[1];
    tail = 0;
    for (uint32_t l = 2; l <= network.depth; l++) tail += size_t(network.width[l - 1] + 1) * network.width[l];
    v = 0;
    v_sum = first;
    x = 2 * first;
    x_sum = x + tail;
    state = factor = x_sum + tail;
    position = factor + rows * rows;
    partial = position + tail;
    losses = partial + 16 * kThreads;
    size = losses + rows;
    for (uint32_t l = 1; l <= network.depth; l++) {
      activation[l] = size;
      signal[l] = activation[l] + (l < network.depth ? rows * network.width[l] : 0);
      size = signal[l] + rows * network.width[l];
    }
  }
};

// x <- keep x + half g + scale xi; sum <- sum + next x. Returns the new x.
__device__ inline float langevin(const Transition& t, float g, float xi, float* x, float* sum) {
  const float moved = fmaf(t.keep, *x, fmaf(t.half, g, t.scale * xi));
  *x = moved;
  *sum = fmaf(t.next, moved, *sum);
  return moved;
}

// Cross-entropy, or a loss by targets.
static_assert(kLossesWithGradient == 5, "a loss with a gradient is missing in row_signals");

// A warp a row: its loss, and its logits become dloss/dlogits over B.
__device__ void row_signals(const Chain& chain, float* logits, float* losses) {
  const unsigned rows = unsigned(chain.batch.size), classes = chain.network.width[chain.network.depth];
  const unsigned lane = threadIdx.x % 32;
  for (unsigned b = threadIdx.x / 32; b < rows; b += blockDim.x / 32) {
    float* z = logits + b * classes;
    float top = -INFINITY;
    for (unsigned c = lane; c < classes; c += 32) top = fmaxf(top, z[c]);
    top = warp_join(top, Larger());
    unsigned best = classes;  // the first largest
    for (unsigned c = lane; c < classes && best == classes; c += 32)
      if (z[c] == top) best = c;
    best = classes - warp_join(classes - best, Larger());
    float others = 0;
    for (unsigned c = lane; c < classes; c += 32)
      if (c != best) others += expf(z[c] - top);
    others = warp_sum(others);
    if (chain.loss_kind != LossKind::kCrossEntropy) {
      const float value =
          target_loss(chain.loss_kind, chain.batch, b, classes, top, others, 1 / float(rows), z);
      if (lane == 0) losses[b] = value;
      continue;
    }
    const unsigned label = chain.batch.label(b);
    const float own = z[label], factor = 1 / ((1 + others) * float(rows));
    __syncwarp();  // all have read the label's logit
    if (lane == 0) losses[b] = cross_entropy(top, own, others);
    for (unsigned c = lane; c < classes; c += 32) {
      const float e = c == best ? 1.0f : expf(z[c] - top);
      z[c] = factor * (c != label ? e : label == best ? -others : e - (1 + others));
    }
  }
}

// From V and the position to the logits in signal[L].
__device__ void chain_forward(const Chain& chain, const ChainPool& at, float* pool) {
  const ChainNetwork& network = chain.network;
  const int rows = int(chain.batch.size), depth = int(network.depth);
  const float *v = pool + at.v, *factor = pool + at.factor, *base = chain.base, *w = pool + at.position;
  for (int l = 1; l <= depth; l++) {
    const int inner = l == 1 ? rows : int(network.width[l - 1]), columns = int(network.width[l]);
    const float *left = l == 1 ? factor : pool + at.activation[l - 1], *right = l == 1 ? v : w;
    const float* start = l == 1 ? base : w + size_t(inner) * columns;  // the bias row
    const int start_row = l == 1 ? columns : 0;
    float* to = pool + (l < depth ? at.activation[l] : at.signal[l]);
    block_product(
        rows, columns, inner, l == 1 ? Triangle::kLower : Triangle::kNone, pool + at.partial,
        [&](int r, int k) { return left[r * inner + k]; },
        [&](int k, int c) { return right[k * columns + c]; },
        [&](int r, int c, float sum) {
          const float value = start[r * start_row + c] + sum;
          to[r * columns + c] = l < depth ? activate(network.activation, value) : value;
        });
    __syncthreads();
    if (l > 1) w += size_t(inner + 1) * columns;
  }
}

// From signal[L] back; every layer moves as soon as nothing else needs where it stood. noise: of this
// transition.
__device__ void chain_move(const Chain& chain, const ChainPool& at, const NoiseLayout& layout,
                           const Transition& t, const float* noise, float* pool) {
  const ChainNetwork& network = chain.network;
  const int rows = int(chain.batch.size);
  size_t begin = at.tail;
  for (int l = int(network.depth); l > 1; l--) {
    const int width = int(network.width[l - 1]), columns = int(network.width[l]);
    begin -= size_t(width + 1) * columns;
    const float *signal = pool + at.signal[l], *active = pool + at.activation[l - 1];
    float *w = pool + at.position + begin, *back = pool + at.signal[l - 1];
    block_product(
        rows, width, columns, Triangle::kNone, pool + at.partial,
        [&](int r, int k) { return signal[r * columns + k]; },
        [&](int k, int h) { return w[h * columns + k]; },
        [&](int r, int h, float sum) {
          back[r * width + h] = through_slope(network.activation, active[r * width + h], sum);
        });
    __syncthreads();
    const float *xi = noise + layout.offset[l - 1], *center = chain.tail + begin;
    float *x = pool + at.x + begin, *x_sum = pool + at.x_sum + begin;
    block_product(
        width + 1, columns, rows, Triangle::kNone, pool + at.partial,
        [&](int h, int r) { return h < width ? active[r * width + h] : 1.0f; },
        [&](int r, int c) { return signal[r * columns + c]; },
        [&](int h, int c, float g) {
          const int i = h * columns + c;
          w[i] = center[i] + langevin(t, g, xi[i], x + i, x_sum + i);
        });
  }
  const int columns = int(network.width[1]);
  const float *signal = pool + at.signal[1], *factor = pool + at.factor;
  float *v = pool + at.v, *v_sum = pool + at.v_sum;
  block_product(
      rows, columns, rows, Triangle::kUpper, pool + at.partial,
      [&](int r, int k) { return factor[k * rows + r]; },
      [&](int k, int c) { return signal[k * columns + c]; },
      [&](int r, int c, float g) {
        const int i = r * columns + c;
        langevin(t, g, noise[i], v + i, v_sum + i);
      });
  __syncthreads();
}

__global__ void __launch_bounds__(kThreads, 1)
    transitions(Chain chain, ChainPool at, NoiseLayout layout, const Transition* numbers, uint32_t count,
                const float* noise) {
  float* pool = chain.scratch == nullptr ? dynamic_shared<float>() : chain.scratch;
  const unsigned rows = unsigned(chain.batch.size);
  for (size_t i = threadIdx.x; i < at.state; i += blockDim.x) pool[i] = chain.state[i];
  for (size_t i = threadIdx.x; i < size_t(rows) * rows; i += blockDim.x)
    pool[at.factor + i] = chain.factor[i];
  __syncthreads();
  for (size_t i = threadIdx.x; i < at.tail; i += blockDim.x)
    pool[at.position + i] = chain.tail[i] + pool[at.x + i];  // read behind the first layer's barrier
  double loss = 0;                                           // of warp 0
  for (uint32_t j = 0; j < count; j++) {
    chain_forward(chain, at, pool);
    row_signals(chain, pool + at.signal[chain.network.depth], pool + at.losses);
    __syncthreads();
    if (threadIdx.x < 32) {
      double sum = 0;
      for (unsigned b = threadIdx.x; b < rows; b += 32) sum += double(pool[at.losses + b]);
      loss += warp_sum(sum) / double(rows);
    }
    chain_move(chain, at, layout, numbers[j], noise + j * layout.size(), pool);
  }
  for (size_t i = threadIdx.x; i < at.state; i += blockDim.x) chain.state[i] = pool[i];
  if (threadIdx.x == 0) *chain.loss += loss;
}

}  // namespace

float* chain_scratch(const ChainNetwork& network, size_t rows, DeviceContext& context) {
  constexpr size_t kSpare = 1024;
  const size_t size = ChainPool(network, rows).size;
  return size * sizeof(float) + kSpare <= shared_memory_per_block() ? nullptr
                                                                    : context.arena->take<float>(size);
}

void run_chain(const Chain& chain, const NoiseLayout& layout, const Transition* numbers, uint32_t count,
               const float* noise, DeviceContext& context) {
  const ChainPool pool(chain.network, chain.batch.size);
  launch(transitions, {1, kThreads, chain.scratch == nullptr ? pool.size * sizeof(float) : 0}, context.stream,
         chain, pool, layout, numbers, count, noise);
}

}  // namespace local_entropy
