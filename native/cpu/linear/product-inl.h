// Products of small matrices in registers, and element by element sums.
//
// Every entry of a product is one chain of fma in order of k, whatever tile it falls into, so a product can
// be shared out over threads by rows or columns without changing a bit.
#pragma once
#include <algorithm>
#include <cstddef>

#include "../machine/lanes-inl.h"

BEGIN_TARGET

enum class Triangle { kNone, kLower, kUpper };  // which half of A is not zero, the diagonal included

// C (rows x columns) = start + A (rows x depth) B (depth x columns).
// A(i, k) = a[i a_row + k a_column]; B, C and start are row-major; start null: 0; start_row 0: one row for
// all.
struct Product {
  size_t rows, columns, depth;
  const float* a;
  size_t a_row, a_column;
  const float* b;
  size_t b_row;
  const float* start;
  size_t start_row;
  float* c;
  size_t c_row;
  Triangle triangle = Triangle::kNone;
};

template <int kRows, int kVectors, bool kPartial>
inline void product_tile(const Product& p, size_t i, size_t j, size_t last) {
  Float sums[kRows][kVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; r++) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; v++) {
      if (p.start == nullptr) {
        sums[r][v] = set(0);
      } else {
        const float* from = p.start + (i + r) * p.start_row + j + v * kLanes;
        sums[r][v] = kPartial && v == kVectors - 1 ? load_first(from, last) : load(from);
      }
    }
  }
  const size_t begin = p.triangle == Triangle::kUpper ? i : 0;
  const size_t end = p.triangle == Triangle::kLower ? std::min(p.depth, i + kRows) : p.depth;
  const float* a = p.a + i * p.a_row + begin * p.a_column;
  const float* b = p.b + begin * p.b_row + j;
  for (size_t k = begin; k < end; k++, a += p.a_column, b += p.b_row) {
    Float row[kVectors];
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; v++)
      row[v] = kPartial && v == kVectors - 1 ? load_first(b + v * kLanes, last) : load(b + v * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; r++) {
      const Float x = set(a[r * p.a_row]);
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; v++) sums[r][v] = fma(x, row[v], sums[r][v]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; r++) {
    float* to = p.c + (i + r) * p.c_row + j;
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; v++) {
      if (kPartial && v == kVectors - 1)
        store_first(to + v * kLanes, last, sums[r][v]);
      else
        store(to + v * kLanes, sums[r][v]);
    }
  }
}

// One panel of kVectors vectors of columns, all rows.
template <int kVectors, bool kPartial>
inline void product_panel(const Product& p, size_t j, size_t last) {
  size_t i = 0;
  if constexpr (kVectors == 1)
    for (; i + 12 <= p.rows; i += 12) product_tile<12, 1, kPartial>(p, i, j, last);
  for (; i + 6 <= p.rows; i += 6) product_tile<6, kVectors, kPartial>(p, i, j, last);
  for (; i + 2 <= p.rows; i += 2) product_tile<2, kVectors, kPartial>(p, i, j, last);
  for (; i < p.rows; i++) product_tile<1, kVectors, kPartial>(p, i, j, last);
}

template <int kVectors>
inline void product_panels(const Product& p, size_t j) {
  if constexpr (kVectors > 0) {
    const size_t left = p.columns - j;
    if (left > (kVectors - 1) * kLanes && left < kVectors * kLanes)
      product_panel<kVectors, true>(p, j, left - (kVectors - 1) * kLanes);
    else if (left == kVectors * kLanes)
      product_panel<kVectors, false>(p, j, 0);
    else
      product_panels<kVectors - 1>(p, j);
  }
}

inline void product(const Product& p) {
  size_t j = 0;
  for (; j + kTileVectors * kLanes < p.columns; j += kTileVectors * kLanes)
    product_panel<kTileVectors, false>(p, j, 0);
  product_panels<kTileVectors>(p, j);
}

// to (columns x rows) <- factor from (rows x columns), both row-major with their strides.
inline void transpose(const float* from, size_t rows, size_t columns, size_t from_row, float factor,
                      float* to, size_t to_row) {
  for (size_t i = 0; i < rows; i++)
    for (size_t j = 0; j < columns; j++) to[j * to_row + i] = factor * from[i * from_row + j];
}

// out = a + s b, elementwise.
inline void add_scaled(const float* a, float s, const float* b, size_t count, float* out) {
  const Float scale = set(s);
  for_vectors(count, [&](size_t i, size_t n) {
    store_some(out + i, n, fma(scale, load_some(b + i, n), load_some(a + i, n)));
  });
}

inline float squared_norm(const float* a, size_t count) {
  Float total = set(0);
  for_vectors(count, [&](size_t i, size_t n) {
    const Float x = load_some(a + i, n);
    total = fma(x, x, total);
  });
  return sum(total);
}

// |a|^2, a of `count`: blocks of 4096 in float32 lanes, summed in float64 in order.
inline double squared_length(const float* a, size_t count) {
  double total = 0;
  for (size_t i = 0; i < count; i += 4096) total += squared_norm(a + i, std::min(size_t(4096), count - i));
  return total;
}

END_TARGET
