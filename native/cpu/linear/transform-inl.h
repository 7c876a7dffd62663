// The Walsh-Hadamard transform of m values, m a power of two: WHT(v)_g = sum_h s_gh v_h with the signs of
// Sylvester's matrix, s_gh = (-1)^popcount(g & h), in natural order and unnormalized: log2 m stages of sums
// and differences.
#pragma once
#include <cstddef>
#include <cstdint>

#include "../machine/target.h"

BEGIN_TARGET

// Transforms of this many vectors stay in registers.
#if defined(__aarch64__)
constexpr size_t kWalshVectors = 16;
#else
constexpr size_t kWalshVectors = kLanes == 16 ? 16 : 8;
#endif

// All stages within a vector.
template <int kDistance>
inline Float walsh_lanes(Float x) {
  if constexpr (kDistance < int(kLanes)) {
    const Int sign = (Int)((lane_numbers() & uint32_t(kDistance)) != 0) & (Int)set(-0.0f);
    return walsh_lanes<2 * kDistance>(fma(x, (Float)(sign | (Int)set(1)), swap_lanes<kDistance>(x)));
  } else {
    return x;
  }
}

// All stages; kPadded: vectors from `used` on, which is past the half, are zero. Inlined everywhere: a call
// would pass the registers through memory.
template <bool kPadded, int kCount>
__attribute__((always_inline)) inline void walsh_registers(Float (&r)[kCount], size_t used) {
#pragma GCC unroll 16
  for (int i = 0; i < kCount; i++)
    if (!kPadded || 2 * i < kCount || size_t(i) < used) r[i] = walsh_lanes<1>(r[i]);
#pragma GCC unroll 4
  for (int distance = 1; distance < kCount; distance *= 2) {
#pragma GCC unroll 16
    for (int i = 0; i < kCount; i++) {
      if (i & distance) continue;
      const Float low = r[i], high = r[i + distance];
      r[i] = low + high;
      r[i + distance] = low - high;
    }
  }
}

// Stages of `distance`, 2 `distance`, … vectors on what lies in memory, four at a time where two stages are
// left.
inline void walsh_memory(float* data, size_t vectors, size_t distance) {
  for (; 4 * distance <= vectors; distance *= 4) {
    for (size_t block = 0; block < vectors; block += 4 * distance) {
      for (size_t i = block; i < block + distance; i++) {
        float *p0 = data + i * kLanes, *p1 = p0 + distance * kLanes, *p2 = p1 + distance * kLanes,
              *p3 = p2 + distance * kLanes;
        const Float a = load(p0), b = load(p1), c = load(p2), d = load(p3);
        const Float s0 = a + b, s1 = a - b, s2 = c + d, s3 = c - d;
        store(p0, s0 + s2);
        store(p1, s1 + s3);
        store(p2, s0 - s2);
        store(p3, s1 - s3);
      }
    }
  }
  if (2 * distance > vectors) return;
  for (size_t i = 0; i < distance; i++) {
    const Float a = load(data + i * kLanes), b = load(data + (i + distance) * kLanes);
    store(data + i * kLanes, a + b);
    store(data + (i + distance) * kLanes, a - b);
  }
}

// sink(v, WHT's vector v) of the input source(v), v = 0 … vectors - 1. kCount: vectors where it is known to
// fit into registers, else 0; scratch: as many vectors, for 0. kPadded: source is zero from `used` on, and
// need not be asked.
template <int kCount, bool kPadded = false, class Source, class Sink>
inline void walsh(size_t vectors, size_t used, float* scratch, Source source, Sink sink) {
  if constexpr (kCount > 0) {
    Float r[kCount];
#pragma GCC unroll 16
    for (int v = 0; v < kCount; v++)
      r[v] = !kPadded || 2 * v < kCount || size_t(v) < used ? source(size_t(v)) : set(0);
    walsh_registers<kPadded>(r, used);
#pragma GCC unroll 16
    for (int v = 0; v < kCount; v++) sink(size_t(v), r[v]);
  } else {
    for (size_t v = 0; v < vectors; v += kWalshVectors)
      walsh<int(kWalshVectors)>(
          kWalshVectors, kWalshVectors, nullptr,
          [&](size_t i) { return !kPadded || v + i < used ? source(v + i) : set(0); },
          [&](size_t i, Float x) { store(scratch + (v + i) * kLanes, x); });
    walsh_memory(scratch, vectors, kWalshVectors);
    for (size_t v = 0; v < vectors; v++) sink(v, load(scratch + v * kLanes));
  }
}

// Calls body with std::integral_constant-like number of vectors where it fits into registers, else 0.
template <int kCount>
struct Vectors {
  static constexpr int value = kCount;
};
template <class Body>
inline void with_vectors(size_t vectors, Body body) {
  switch (vectors) {
    case 1:
      return body(Vectors<1>());
    case 2:
      return body(Vectors<2>());
    case 4:
      return body(Vectors<4>());
    case 8:
      return body(Vectors<8>());
    case 16:
      return body(Vectors < kWalshVectors == 16 ? 16 : 0 > ());
    default:
      return body(Vectors<0>());
  }
}

END_TARGET
