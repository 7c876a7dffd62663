// Sums over slices of the samples: noise-slices.h.
#include <algorithm>

#include "../machine/parts.h"
#include "noise-slices.h"

namespace local_entropy {

namespace {

// beta_u = scale r_u + shift for the units of a slice: of_slices (2 slices).
__global__ void scale_slices(SampleSlices slices, UnitWeight kind, const SampleWeights* weights,
                             float* of_slices) {
  const size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= slices.slices) return;
  const double higher = weights->level - slices.levels[i];
  double scale = 1, shift = 0;
  if (slices.entropy) {
    scale = exp(higher / slices.delta - weights->top);
    shift = kind == UnitWeight::kCentred ? scale - weights->mean : scale;
  } else {
    shift = kind == UnitWeight::kCentred ? -higher : slices.levels[i];
  }
  of_slices[2 * i] = float(scale);
  of_slices[2 * i + 1] = float(shift);
}

// blockIdx.y: some of the slices. parts (gridDim.y x size).
__global__ void add_slices(SampleSlices slices, size_t size, const float* of_slices, float* parts) {
  const size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= size) return;
  const size_t end = share_begin(slices.slices, gridDim.y, blockIdx.y + 1);
  float sum = 0;
  for (size_t slice = share_begin(slices.slices, gridDim.y, blockIdx.y); slice < end; slice++) {
    sum = fmaf(of_slices[2 * slice], slices.weighted[slice * size + i], sum);
    if (slices.plain != nullptr) sum = fmaf(of_slices[2 * slice + 1], slices.plain[slice * size + i], sum);
  }
  parts[blockIdx.y * size + i] = sum;
}

}  // namespace

size_t sample_slice_count(size_t units) {
  // Four of four units at least for each place on an H200, which holds two blocks of threads on each of its
  // 132 multiprocessors; with few units one for each place.
  constexpr size_t kPlaces = 264, kLeast = 4;
  return std::min(units, std::max(kPlaces, std::min(4 * kPlaces, units / kLeast)));
}

SampleSlices new_sample_slices(const SampledPoint& point, bool pair, size_t units, bool entropy,
                               double delta) {
  DeviceArena& arena = *point.context->arena;
  const size_t slices = sample_slice_count(units), size = point.layout.size();
  return {slices,
          entropy,
          delta,
          arena.take<float>(slices * size),
          pair ? nullptr : arena.take<float>(slices * size),
          arena.take<double>(slices)};
}

void sum_of_slices(const SampledPoint& point, const SampleSlices& slices, UnitWeight kind,
                   const SampleWeights* weights, float* sum) {
  constexpr unsigned kAdding = 256;
  constexpr size_t kTogether = 32;
  DeviceContext& context = *point.context;
  const size_t size = point.layout.size(), parts = (slices.slices + kTogether - 1) / kTogether;
  float* of_slices = context.arena->take<float>(2 * slices.slices);
  launch(scale_slices, {blocks_for(slices.slices, kAdding), kAdding}, context.stream, slices, kind, weights,
         of_slices);
  float* of_parts = parts == 1 ? sum : context.arena->take<float>(parts * size);
  launch(add_slices, {dim3(blocks_for(size, kAdding), unsigned(parts)), kAdding}, context.stream, slices,
         size, of_slices, of_parts);
  if (parts > 1) add_parts(of_parts, parts, size, 1, false, sum, context);
}

}  // namespace local_entropy
