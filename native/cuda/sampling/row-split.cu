// The row split of samples and pairs: row-split.h.
#include "../linear/first-layer.h"
#include "../linear/product.h"
#include "../machine/block.h"
#include "row-split.h"

namespace local_entropy {

namespace {

constexpr unsigned kThreads = 256;

// Where a row's factor 1/(s^2 |hid|^2 B J) and the sign of its noise come together.
struct Share {
  const float* losses;  // M x B
  const float* center;  // B
  size_t units, rows;   // of the pass
  float scale;          // sign/(s B J): what remains of sign s/(s^2 B J)

  __device__ float at(size_t unit, size_t b) const { return scale * (losses[unit * rows + b] - center[b]); }
};

// c (B x columns) += sum over units in order.
__global__ void first_shares(Share share, const float* norms, const float* noise, size_t columns, float* c) {
  const size_t at = size_t(blockIdx.x) * blockDim.x + threadIdx.x, size = share.rows * columns;
  if (at >= size) return;
  const size_t b = at / columns;
  float sum = 0;
  for (size_t u = 0; u < share.units; u++) sum = fmaf(share.at(u, b), noise[u * size + at], sum);
  c[at] += sum / norms[b];
}

// blockIdx.y: the unit. c (M x B x columns) <- or += its share alone.
__global__ void unit_first_shares(Share share, const float* norms, const float* noise, size_t columns,
                                  bool add, float* c) {
  const size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x, size = share.rows * columns;
  if (i >= size) return;
  const size_t at = blockIdx.y * size + i, b = i / columns;
  const float value = share.at(blockIdx.y, b) / norms[b] * noise[at];
  c[at] = add ? c[at] + value : value;
}

// A warp a row of the pass: signal (row x columns) <- share/|hid|^2 eta; hidden: row x width, without its 1.
__global__ void upper_shares(Share share, const float* hidden, size_t width, const float* eta, size_t columns,
                             float* signal) {
  const size_t row = size_t(blockIdx.x) * (kThreads / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (row >= share.units * share.rows) return;
  float square = 0;
  for (size_t i = lane; i < width; i += 32)
    square = fmaf(hidden[row * width + i], hidden[row * width + i], square);
  const float factor = share.at(row / share.rows, row % share.rows) / (1 + warp_sum(square));
  for (size_t c = lane; c < columns; c += 32) signal[row * columns + c] = factor * eta[row * columns + c];
}

// Of one unit: where its H and its noise lie.
struct UnitParts {
  NoiseLayout layout;
  const float *first, *tail, *noise;  // M x …
  size_t tail_size;
};

// A block of threads a unit.
__global__ void squares_of(UnitParts parts, const SampleWeights* weights, double units, const float* beta,
                           double* squares) {
  const size_t u = blockIdx.x;
  const float alpha = float(weights->first_order);
  const float factor = beta == nullptr ? 0.0f : float(weights->factor / units) * beta[u];
  const float* noise = parts.noise + u * parts.layout.size();
  const float* tail = parts.tail + u * parts.tail_size;
  double sum = 0;
  for (uint32_t l = 0; l < parts.layout.depth; l++) {
    const size_t count = parts.layout.count[l];
    const float* h = l == 0 ? parts.first + u * count : tail;
    for (size_t i = threadIdx.x; i < count; i += blockDim.x) {
      if (l == 0 && !noise_used(parts.layout, i)) continue;  // L's column is zero, so H's entry is too
      const float value = fmaf(alpha, h[i], factor * noise[parts.layout.offset[l] + i]);
      sum += double(value) * double(value);
    }
    if (l > 0) tail += count;
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) squares[u] = sum;
}

// eta of layers 2 … L at where the pass stands, then the signals whose products are the tail's shares.
void upper_signals(SampledPoint& point, const RowSplit& split, const Share& share) {
  const Network& network = *point.q->network;
  const size_t rows = point.batch.size, all = rows * point.pass.count;
  for (size_t l = 2; l <= network.depth(); l++) {
    const size_t width = network.layers[l - 1], columns = network.layers[l];
    const float* z = point.noise + point.layout.offset[l - 1];
    Product p{rows, columns, width, z, columns, 1, z + width * columns, 0, split.eta[l], columns};
    p.count = point.pass.count;
    p.b_next = p.start_next = point.layout.size();
    p.c_next = rows * columns;
    product(*point.context, StridedLeft{point.pass.activation[l - 1], width, 1, rows * width}, p);
    launch(upper_shares, {blocks_for(all, kThreads / 32), kThreads}, point.context->stream, share,
           point.pass.activation[l - 1], width, split.eta[l], columns, point.pass.signal[l]);
  }
}

Share share_of(const SampledPoint& point, const RowSplit& split, float sign) {
  const size_t rows = point.batch.size;
  return {point.pass.losses, split.center, point.pass.count, rows,
          float(sign / (point.q->noise_scale * double(rows) * split.samples))};
}

}  // namespace

size_t row_split_floats(const Network& network, size_t rows, bool projected, bool wants_error) {
  size_t floats = 0;
  for (size_t l = 2; l <= network.depth(); l++) floats += rows * network.layers[l];
  if (!wants_error) return floats;
  const size_t first = rows * network.layers[1], tail = network.parameters() - tail_offset(network);
  return floats + first + tail + (projected ? first : tail_offset(network));
}

RowSplit new_row_split(const SampledPoint& point, size_t samples, bool wants_error) {
  const DeviceQuestion& q = *point.q;
  const Network& network = *q.network;
  DeviceContext& context = *point.context;
  DeviceArena& arena = *context.arena;
  const size_t rows = point.batch.size, first = rows * network.layers[1],
               tail = network.parameters() - tail_offset(network);
  RowSplit split{};
  split.samples = double(samples);
  split.norms = row_norms(point.batch, context);
  DensePass center = new_dense_pass(arena, network, rows);
  dense_first(context, network, {q.parameters}, point.batch, center);
  dense_upper(context, network, {point.tail}, center);
  center.sample = q.loss.samples;
  dense_losses(context, network, q.loss, point.batch, 0, center);
  split.center = center.losses;
  split.eta.resize(network.depth() + 1);
  for (size_t l = 2; l <= network.depth(); l++)
    split.eta[l] = arena.take<float>(point.most * rows * network.layers[l]);
  split.c = arena.zeros<float>(context.stream, first);
  split.tail = arena.zeros<float>(context.stream, tail);
  if (!wants_error) return split;
  split.unit_c = arena.take<float>(point.most * first);
  split.unit_tail = arena.take<float>(point.most * tail);
  split.unit_first =
      arena.take<float>(point.most * (point.projection != nullptr ? first : tail_offset(network)));
  return split;
}

void add_first_order(SampledPoint& point, const RowSplit& split, float sign) {
  const Share share = share_of(point, split, sign);
  const size_t columns = point.q->network->layers[1], size = point.batch.size * columns;
  launch(first_shares, {blocks_for(size, 128), 128}, point.context->stream, share, split.norms,
         point.first_noise, columns, split.c);
  upper_signals(point, split, share);
  add_tail_gradient(point, true, split.tail);
}

void unit_squares(SampledPoint& point, const RowSplit& split, bool pair, size_t units,
                  const SampleWeights* weights, const float* beta, double* squares) {
  const Network& network = *point.q->network;
  DeviceContext& context = *point.context;
  const size_t rows = point.batch.size, columns = network.layers[1], size = rows * columns,
               tail = network.parameters() - tail_offset(network);
  const unsigned count = unsigned(point.pass.count);
  for (int i = 0; i <= int(pair); i++) {
    const float sign = i == 0 ? 1.0f : -1.0f;
    forward_units(&point, sign, 0);
    const Share share = share_of(point, split, sign);
    launch(unit_first_shares, {dim3(blocks_for(size, kThreads), count), kThreads}, context.stream, share,
           split.norms, point.first_noise, columns, i > 0, split.unit_c);
    upper_signals(point, split, share);
    add_tail_gradient(point, i > 0, split.unit_tail, tail);
  }
  Product p{rows, columns, rows, split.unit_c, columns, 1, nullptr, 0, split.unit_first, columns};
  p.count = count;
  p.b_next = p.c_next = size;
  if (point.projection != nullptr) {
    product(context, StridedLeft{point.factor, 1, rows}, p);
  } else {
    p.rows = network.layers[0] + 1;
    p.c_next = p.rows * columns;
    product(context, InputsLeft{point.batch, true}, p);
  }
  launch(squares_of, {count, kThreads}, context.stream,
         UnitParts{point.layout, split.unit_first, split.unit_tail, point.noise, tail}, weights,
         double(units), beta, squares);
}

}  // namespace local_entropy
