// Samples through the network: importance-sampling-pass.h. The products are product.cu's, one launch for all
// units.
#include <algorithm>

#include "importance-sampling-pass.h"

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

SamplePass new_sample_pass(const DeviceQuestion& q, const Projection* projection, size_t units, size_t floats,
                           DeviceContext& context) {
  constexpr size_t kMost = 16384;
  const Network& network = *q.network;
  DeviceArena& arena = *context.arena;
  SamplePass pass{};
  pass.q = &q;
  pass.context = &context;
  pass.projection = projection;
  pass.batch = q.batches[0];
  pass.layout = new_noise_layout(network, projection);
  pass.tail = q.parameters + tail_offset(network);
  const size_t rows = pass.batch.size, first = rows * network.layers[1],
               tail = network.parameters() - tail_offset(network);
  size_t of_unit = floats + pass.layout.size() + first + tail + rows;
  for (size_t l = 1; l <= network.depth(); l++) of_unit += 2 * rows * network.layers[l];
  pass.most = std::max(size_t(1), std::min({units, kMost, pieces.floats / of_unit}));
  pass.base = arena.take<float>(first);
  first_product(pass.batch, q.parameters, network.layers[1], pass.base, network.layers[1], context);
  if (projection != nullptr) pass.factor = scaled_factor(*projection, 1, context);
  pass.noise = arena.take<float>(pass.most * pass.layout.size());
  pass.first_noise = arena.take<float>(pass.most * first);
  pass.perturbed = arena.take<float>(pass.most * tail);
  pass.pass = new_dense_pass(arena, network, rows, pass.most);
  return pass;
}

void draw_noise(const NoiseLayout& layout, uint64_t seed, uint32_t update, size_t first, size_t count,
                float* noise, DeviceContext& context) {
  launch(draw, {dim3(blocks_for(layout.size() / 4, kThreads), unsigned(count)), kThreads}, context.stream,
         layout, seed, update, uint32_t(first), noise);
}

void draw_units(SamplePass* pass, size_t first, size_t count) {
  const DeviceQuestion& q = *pass->q;
  const size_t rows = pass->batch.size, columns = q.network->layers[1], width = q.network->layers[0],
               size = pass->layout.size();
  pass->pass.count = count;
  draw_noise(pass->layout, q.seed, q.update, first, count, pass->noise, *pass->context);
  Product p{rows, columns, rows, pass->noise, columns, 1, nullptr, 0, pass->first_noise, columns};
  p.count = count;
  p.b_next = size;
  p.c_next = rows * columns;
  if (pass->projection != nullptr) return product(*pass->context, StridedLeft{pass->factor, rows, 1}, p);
  p.depth = width;
  p.start = pass->noise + width * columns;
  p.start_next = size;
  product(*pass->context, InputsLeft{pass->batch, false}, p);
}

void forward_units(SamplePass* pass, float sign, float scale) {
  const DeviceQuestion& q = *pass->q;
  const Network& network = *q.network;
  DensePass& dense = pass->pass;
  DeviceContext& context = *pass->context;
  const unsigned units = unsigned(dense.count);
  const size_t size = pass->batch.size * network.layers[1],
               tail = network.parameters() - tail_offset(network);
  const float s = sign * float(q.noise_scale);
  const bool only = network.depth() == 1;
  launch(first_layer, {dim3(blocks_for(size, kThreads), units), kThreads}, context.stream, pass->base,
         pass->first_noise, s, size, !only, network.activation, only ? dense.signal[1] : dense.activation[1]);
  for (size_t l = 1; l < network.depth(); l++) {
    const size_t at = network.shape(l + 1).offset - tail_offset(network), count = pass->layout.count[l];
    launch(perturb, {dim3(blocks_for(count, kThreads), units), kThreads}, context.stream, pass->tail + at,
           pass->noise + pass->layout.offset[l], pass->layout.size(), s, count, tail, pass->perturbed + at);
  }
  dense_upper(context, network, {pass->perturbed, tail}, dense);
  dense_losses(context, network, q.costs, pass->batch, scale, dense);
}

void unit_losses(const SamplePass& pass, size_t stride, float* losses) {
  launch(mean_losses, {blocks_for(pass.pass.count, kThreads / 32), kThreads}, pass.context->stream,
         pass.pass.losses, pass.pass.count, pass.batch.size, stride, losses);
}

void add_tail_gradient(const SamplePass& pass, bool add, float* gradient, size_t next) {
  const Network& network = *pass.q->network;
  const size_t rows = pass.batch.size, units = pass.pass.count;
  for (size_t l = 2; l <= network.depth(); l++) {
    const size_t width = network.layers[l - 1], columns = network.layers[l];
    Product p{width + 1, columns, next == 0 ? units * rows : rows, pass.pass.signal[l],
              columns,   1,       add ? gradient : nullptr,        columns,
              gradient,  columns};
    if (next != 0) {
      p.count = units;
      p.b_next = rows * columns;
      p.start_next = p.c_next = next;
    }
    product(*pass.context, StridedLeft{pass.pass.activation[l - 1], 1, width, rows * width, width}, p);
    gradient += (width + 1) * columns;
  }
}

}  // namespace local_entropy
