// Products with the first layer: first-layer.h.
#include "../machine/block.h"
#include "first-layer.h"
#include "product.h"

namespace local_entropy {

namespace {

constexpr unsigned kThreads = 256;

// |a_b|^2, a warp a row.
__global__ void norms_of(DeviceBatch batch, float* norms) {
  const size_t b = size_t(blockIdx.x) * (kThreads / 32) + threadIdx.x / 32;
  if (b >= batch.size) return;
  float sum = 0;
  for (size_t i = threadIdx.x % 32; i < batch.examples.width; i += 32) {
    const float value = input_at(batch, b, i);
    sum = fmaf(value, value, sum);
  }
  sum = warp_sum(sum);
  if (threadIdx.x % 32 == 0) norms[b] = sum + 1;
}

}  // namespace

void first_product(const DeviceBatch& batch, const float* w, size_t columns, float* out, size_t out_row,
                   DeviceContext& context) {
  const size_t width = batch.examples.width;
  product(context, InputsLeft{batch, false},
          Product{batch.size, columns, width, w, columns, 1, w + width * columns, 0, out, out_row});
}

void first_gradient(const DeviceBatch& batch, const float* c, size_t c_row, size_t columns, bool add,
                    float* gradient, DeviceContext& context) {
  product(context, InputsLeft{batch, true},
          Product{batch.examples.width + 1, columns, batch.size, c, c_row, 1, add ? gradient : nullptr,
                  columns, gradient, columns});
}

float* row_norms(const DeviceBatch& batch, DeviceContext& context) {
  float* norms = context.arena->take<float>(batch.size);
  launch(norms_of, {blocks_for(batch.size, kThreads / 32), kThreads}, context.stream, batch, norms);
  return norms;
}

}  // namespace local_entropy
