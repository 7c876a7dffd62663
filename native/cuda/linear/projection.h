// The exact projection of the first layer's noise onto the rows of a minibatch, on the device.
//
//   A A^T = L L^T (B x B), Q = A^T L^{-T} has orthonormal columns, Z = Q U + the rest, A Z = L U.
//
// Symbols: B rows, A (B x (d0 + 1)) with its column of ones, d1 columns. The Gram matrix is exact for bytes
// (integers), else float64; L is float64. A pivot of at most 1e-9 of its diagonal entry (a repeated or
// dependent row) is zero with its column, and its inverse is 0.
//
// Everything enqueues; the rank stays on the device.
#pragma once
#include "../kernels.h"
#include "../machine/block.h"
#include "../random/gaussian.h"

namespace local_entropy {

// Device memory of the context's arena.
struct Projection {
  size_t rows;     // B
  double* gram;    // B x B
  double* l;       // B x B, lower, zeros above
  uint8_t* used;   // B: 0 where the pivot is zero
  uint32_t* rank;  // one
};

Projection new_projection(const DeviceBatch& batch, DeviceContext& context);

// s L in float32 (B x B).
float* scaled_factor(const Projection& p, double s, DeviceContext& context);

// Rows first … first + count - 1 of a batch.
DeviceBatch rows_of(const DeviceBatch& batch, size_t first, size_t count);

// out (B x columns, stride out_row) <- A w.
void first_product(const DeviceBatch& batch, const float* w, size_t columns, float* out, size_t out_row,
                   DeviceContext& context);
// gradient ((d0 + 1) x columns) <- A^T c, or += where `add`; c (B x c_row).
void first_gradient(const DeviceBatch& batch, const float* c, size_t c_row, size_t columns, bool add,
                    float* gradient, DeviceContext& context);

// c (B x columns) <- L^{-1} A w: the part of w ((d0 + 1) x columns) within the span.
void into_span(const DeviceBatch& batch, const Projection& p, const float* w, size_t columns,
               DeviceContext& context, double* c);

// out ((d0 + 1) x columns) <- Q v + (I - Q Q^T) out. v (B x columns) is overwritten.
void from_span(const DeviceBatch& batch, const Projection& p, double* v, size_t columns,
               DeviceContext& context, float* out);

// |a_b|^2 of every row (B), the column of ones included.
float* row_norms(const DeviceBatch& batch, DeviceContext& context);

// Where a factor is known to the device only.
struct DeviceFactor {
  const double* at = nullptr;  // null: 1
  double times = 1;

  __device__ double value() const { return at == nullptr ? times : times * *at; }
};

// The first layer's gradient from C (B x d1) and the noise's sum (projected: B x d1, else (d0 + 1) x d1, or
// null): of_c A^T C + factor Q noise, direct of_c A^T C + factor noise. C is changed, and where of_c is 0 not
// read. Where `factored` is not null and the batch is projected, the product with A^T is left to the caller.
void write_first_layer(const DeviceQuestion& q, const Projection* p, float* c, DeviceFactor of_c,
                       const float* noise, DeviceFactor factor, DeviceContext& context,
                       DeviceFactored* factored, float* gradient);

// The noise of one unit, laid out by layers, each padded to whole groups of 64 normals: layer 1 in its
// projected form is U (B x d1), else every layer is its matrix.
constexpr uint32_t kMostLayers = 16;
struct NoiseLayout {
  uint32_t depth, columns;         // columns: d1
  size_t offset[kMostLayers + 1];  // the last is the size of all
  size_t count[kMostLayers];
  const uint8_t* used;  // rows of U that a pivot uses, or null

  __host__ __device__ size_t size() const { return offset[depth]; }
};

// Throws a DeviceError where the network is deeper than kMostLayers.
NoiseLayout new_noise_layout(const Network& network, const Projection* p);

// Where one Philox block of a unit's noise stands: the position of its first normal, which the others follow
// at distances of 16, and whether they are normals of a layer (not its padding).
struct NoisePlace {
  size_t position;
  uint32_t stream, block;
  bool drawn[4];
};

// `block` counts over the padded layout, layer after layer.
__device__ inline NoisePlace noise_place(const NoiseLayout& layout, size_t block) {
  NoisePlace place{block / 16 * 64 + block % 16, kStreamFirstLayer, 0, {}};
  uint32_t l = 0;
  while (place.position >= layout.offset[l + 1]) l++;
  const size_t inside = place.position - layout.offset[l];
  place.stream += l;
  place.block = block_of(inside);
#pragma unroll
  for (uint32_t k = 0; k < 4; k++) place.drawn[k] = inside + 16 * k < layout.count[l];
  return place;
}

// The four normals of a unit at a place, zeros in the padding.
__device__ inline FourNormals noise_at(const NoisePlace& place, uint64_t seed, uint32_t update,
                                       uint32_t index) {
  FourNormals normals = normals_of_block({seed, place.stream, update, index}, place.block);
#pragma unroll
  for (uint32_t k = 0; k < 4; k++)
    if (!place.drawn[k]) normals.at[k] = 0;
  return normals;
}

// Whether U's row of this position in layer 1 is one that a pivot uses. The others are drawn too, but L's
// column and its inverse are zero there, so nothing sees them but a sum of squares.
__device__ inline bool noise_used(const NoiseLayout& layout, size_t position) {
  return layout.used == nullptr || position >= layout.count[0] || layout.used[position / layout.columns];
}

}  // namespace local_entropy
