// Samples through the network: sampled-point.h. The products are product.cu's, one launch for all
// units.
#include <algorithm>

#include "../linear/activation.h"
#include "../linear/first-layer.h"
#include "../linear/product.h"
#include "../machine/block.h"
#include "sampled-point.h"

namespace local_entropy {

namespace {

constexpr unsigned kThreads = 256;

// blockIdx.y: the unit; a thread makes one Philox block.
__global__ void draw(NoiseLayout layout, uint64_t seed, uint32_t update, uint32_t first, float* noise) {
  const size_t block = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (block >= layout.size() / 4) return;
  const NoisePlace place = noise_place(layout, block);
  const FourNormals normals = noise_at(place, seed, update, first + blockIdx.y);
  float* to = noise + blockIdx.y * layout.size() + place.position;
#pragma unroll
  for (uint32_t k = 0; k < 4; k++) to[16 * k] = normals.at[k];
}

// blockIdx.y: the unit. to (size) <- base + scale noise, activated where `active`.
__global__ void first_layer(const float* base, const float* noise, float scale, size_t size, bool active,
                            Activation activation, float* to) {
  const size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= size) return;
  const size_t at = blockIdx.y * size + i;
  const float value = fmaf(scale, noise[at], base[i]);
  to[at] = active ? activate(activation, value) : value;
}

// blockIdx.y: the unit; one layer's part of the tail.
__global__ void perturb(const float* x, const float* noise, size_t noise_next, float scale, size_t count,
                        size_t next, float* to) {
  const size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < count) to[blockIdx.y * next + i] = fmaf(scale, noise[blockIdx.y * noise_next + i], x[i]);
}

// A warp a unit.
__global__ void mean_losses(const float* losses, size_t units, size_t rows, size_t stride, float* to) {
  const size_t u = size_t(blockIdx.x) * (kThreads / 32) + threadIdx.x / 32;
  if (u >= units) return;
  double sum = 0;
  for (size_t b = threadIdx.x % 32; b < rows; b += 32) sum += double(losses[u * rows + b]);
  sum = warp_sum(sum);
  if (threadIdx.x % 32 == 0) to[u * stride] = float(sum / double(rows));
}

}  // namespace

SampledPoint new_sampled_point(const DeviceQuestion& q, const Projection* projection, size_t units,
                               size_t floats, DeviceContext& context) {
  constexpr size_t kMost = 16384;
  const Network& network = *q.network;
  DeviceArena& arena = *context.arena;
  SampledPoint point{};
  point.q = &q;
  point.context = &context;
  point.projection = projection;
  point.batch = q.batches[0];
  point.layout = new_noise_layout(network, projection);
  point.tail = q.parameters + tail_offset(network);
  const size_t rows = point.batch.size, first = rows * network.layers[1],
               tail = network.parameters() - tail_offset(network);
  size_t of_unit = floats + point.layout.size() + first + tail + rows;
  for (size_t l = 1; l <= network.depth(); l++) of_unit += 2 * rows * network.layers[l];
  point.most = std::max(size_t(1), std::min({units, kMost, portions.floats / of_unit}));
  point.base = arena.take<float>(first);
  first_product(point.batch, q.parameters, network.layers[1], point.base, network.layers[1], context);
  if (projection != nullptr) point.factor = scaled_factor(*projection, 1, context);
  point.noise = arena.take<float>(point.most * point.layout.size());
  point.first_noise = arena.take<float>(point.most * first);
  point.perturbed = arena.take<float>(point.most * tail);
  point.pass = new_dense_pass(arena, network, rows, point.most);
  return point;
}

void draw_noise(const NoiseLayout& layout, uint64_t seed, uint32_t update, size_t first, size_t count,
                float* noise, DeviceContext& context) {
  launch(draw, {dim3(blocks_for(layout.size() / 4, kThreads), unsigned(count)), kThreads}, context.stream,
         layout, seed, update, uint32_t(first), noise);
}

void draw_units(SampledPoint* point, size_t first, size_t count) {
  const DeviceQuestion& q = *point->q;
  const size_t rows = point->batch.size, columns = q.network->layers[1], width = q.network->layers[0],
               size = point->layout.size();
  point->pass.count = count;
  point->unit = first;
  draw_noise(point->layout, q.seed, q.update, first, count, point->noise, *point->context);
  Product p{rows, columns, rows, point->noise, columns, 1, nullptr, 0, point->first_noise, columns};
  p.count = count;
  p.b_next = size;
  p.c_next = rows * columns;
  if (point->projection != nullptr) return product(*point->context, StridedLeft{point->factor, rows, 1}, p);
  p.depth = width;
  p.start = point->noise + width * columns;
  p.start_next = size;
  product(*point->context, InputsLeft{point->batch, false}, p);
}

void forward_units(SampledPoint* point, float sign, float scale) {
  const DeviceQuestion& q = *point->q;
  const Network& network = *q.network;
  DensePass& dense = point->pass;
  DeviceContext& context = *point->context;
  const unsigned units = unsigned(dense.count);
  const size_t size = point->batch.size * network.layers[1],
               tail = network.parameters() - tail_offset(network);
  const float s = sign * float(q.noise_scale);
  const bool only = network.depth() == 1;
  launch(first_layer, {dim3(blocks_for(size, kThreads), units), kThreads}, context.stream, point->base,
         point->first_noise, s, size, !only, network.activation,
         only ? dense.signal[1] : dense.activation[1]);
  for (size_t l = 1; l < network.depth(); l++) {
    const size_t at = network.shape(l + 1).offset - tail_offset(network), count = point->layout.count[l];
    launch(perturb, {dim3(blocks_for(count, kThreads), units), kThreads}, context.stream, point->tail + at,
           point->noise + point->layout.offset[l], point->layout.size(), s, count, tail,
           point->perturbed + at);
  }
  dense_upper(context, network, {point->perturbed, tail}, dense);
  dense.step = q.loss.pair ? 2 : 1;
  dense.sample = dense.step * point->unit + (sign < 0 ? 1 : 0);
  dense_losses(context, network, q.loss, point->batch, scale, dense);
}

void unit_losses(const SampledPoint& point, size_t stride, float* losses) {
  launch(mean_losses, {blocks_for(point.pass.count, kThreads / 32), kThreads}, point.context->stream,
         point.pass.losses, point.pass.count, point.batch.size, stride, losses);
}

void add_tail_gradient(const SampledPoint& point, bool add, float* gradient, size_t next) {
  const Network& network = *point.q->network;
  const size_t rows = point.batch.size, units = point.pass.count;
  for (size_t l = 2; l <= network.depth(); l++) {
    const size_t width = network.layers[l - 1], columns = network.layers[l];
    Product p{width + 1, columns, next == 0 ? units * rows : rows, point.pass.signal[l],
              columns,   1,       add ? gradient : nullptr,        columns,
              gradient,  columns};
    if (next != 0) {
      p.count = units;
      p.b_next = rows * columns;
      p.start_next = p.c_next = next;
    }
    product(*point.context, StridedLeft{point.pass.activation[l - 1], 1, width, rows * width, width}, p);
    gradient += (width + 1) * columns;
  }
}

}  // namespace local_entropy
