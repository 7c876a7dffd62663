// Work cut into parts, and sums over the parts in fixed order, so that a result does not depend on which
// block of threads ends first.
#pragma once
#include "context.h"

namespace local_entropy {

// Where part `part` of `parts` begins among `count` items.
__host__ __device__ inline size_t share_begin(size_t count, size_t parts, size_t part) {
  return count * part / parts;
}

// to (size) <- scale · sum over p of from (parts x size), or += where `add`.
void add_parts(const float* from, size_t parts, size_t size, double scale, bool add, float* to,
               DeviceContext& context);

}  // namespace local_entropy
