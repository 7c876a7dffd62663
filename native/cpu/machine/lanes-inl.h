// Small helpers of vectors: what every target makes of its own few functions (targets/sse4.h lists them).
#pragma once
#include <cstddef>
#include <cstdint>

#include "target.h"

BEGIN_TARGET

inline Float select(Int mask, Float yes, Float no) { return (Float)((mask & (Int)yes) | (~mask & (Int)no)); }

// Lanes 0 … n - 1 of p, `fill` in the others.
inline Float load_or(const float* p, size_t n, float fill) {
  return n >= kLanes ? load(p) : select((Int)(lane_numbers() < uint32_t(n)), load_first(p, n), set(fill));
}

// Calls body(offset, n) for the vectors of 0 … count - 1; n = kLanes but for the last.
template <class Body>
inline void for_vectors(size_t count, Body body) {
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) body(i, kLanes);
  if (i < count) body(i, count - i);
}
inline Float load_some(const float* p, size_t n) { return n == kLanes ? load(p) : load_first(p, n); }
inline void store_some(float* p, size_t n, Float x) {
  if (n == kLanes)
    store(p, x);
  else
    store_first(p, n, x);
}

inline size_t round_up(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

END_TARGET
