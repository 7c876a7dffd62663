// Where the normals of one unit's noise stand.
//
// Symbols: B rows, d0 … dL widths.
#pragma once
#include "../../description.h"
#include "../linear/projection.h"
#include "../random/gaussian.h"

namespace local_entropy {

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

// `block`, a Philox block, counts over the padded layout, layer after layer.
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
