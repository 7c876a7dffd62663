// The exact projection of the first layer's noise onto the rows of a minibatch.
//
//   A A^T = L L^T (B x B), Q = A^T L^{-T} has orthonormal columns, Z = Q U + the rest, A Z = L U.
//
// Symbols: B rows, A (B x (d0 + 1)) with its column of ones, r = the number of non-zero pivots, d1 columns.
// The Gram matrix is exact for bytes (integers), else float64; L is float64. A pivot of at most 1e-9 of its
// diagonal entry (a repeated or dependent row) is zero with its column, and its inverse is 0.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../../backend.h"
#include "../machine/lanes-inl.h"
#include "../machine/team-inl.h"
#include "../machine/workspace.h"

BEGIN_TARGET

struct Projection {
  size_t rows;     // B
  double* gram;    // B x B, its lower half
  double* l;       // B x B, lower, zeros above
  uint8_t* used;   // B: 0 where the pivot is zero
  int16_t* bytes;  // B x d0 in 16 bits, whose products a processor adds by pairs; null for floats
  double* wide_l;  // B x B, rows apart by whole vectors
  size_t rank;
};

// total[k] = a . b_k of bytes, kCount rows b_k that lie `count` apart.
template <size_t kCount>
inline void dot_bytes(const int16_t* a, const int16_t* b, size_t count, uint64_t* total) {
  constexpr size_t kPart = 32768;  // 255^2 of them stay below 2^31
  for (size_t k = 0; k < kCount; k++) total[k] = 0;
  for (size_t first = 0; first < count; first += kPart) {
    const size_t end = std::min(count, first + kPart);
    int32_t part[kCount] = {};
    for (size_t i = first; i < end; i++)
#pragma GCC unroll 4
      for (size_t k = 0; k < kCount; k++) part[k] += int32_t(a[i]) * int32_t(b[k * count + i]);
    for (size_t k = 0; k < kCount; k++) total[k] += uint64_t(part[k]);
  }
}

// Eight partial sums in fixed order.
template <class Number>
inline double dot(const Number* a, const Number* b, size_t count) {
  double sums[8] = {0, 0, 0, 0, 0, 0, 0, 0};
  size_t i = 0;
  for (; i + 8 <= count; i += 8)
    for (size_t lane = 0; lane < 8; lane++) sums[lane] += double(a[i + lane]) * double(b[i + lane]);
  for (; i < count; i++) sums[i % 8] += double(a[i]) * double(b[i]);
  return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

constexpr size_t kGramColumns = 4;

// Columns j … j + kGramColumns - 1 of the Gram matrix from the diagonal down: their rows of the batch stay in
// the first cache while all others pass. bytes: the batch's (B x width), or null.
inline void gram_columns(const Batch& batch, const int16_t* bytes, size_t j, double* gram) {
  const Examples& examples = *batch.examples;
  const size_t width = examples.width, rows = batch.size, end = std::min(rows, j + kGramColumns);
  for (size_t i = j; i < rows; i++) {
    double* row = gram + i * rows;
    if (bytes == nullptr) {
      const float *floats = examples.floats.data(), *own = floats + batch.row(i) * width;
      for (size_t k = j; k < end; k++) row[k] = dot(own, floats + batch.row(k) * width, width) + 1;
      continue;
    }
    uint64_t total[kGramColumns];
    if (end - j == kGramColumns)
      dot_bytes<kGramColumns>(bytes + i * width, bytes + j * width, width, total);
    else
      for (size_t k = j; k < end; k++)
        dot_bytes<1>(bytes + i * width, bytes + k * width, width, total + (k - j));
    for (size_t k = j; k < end; k++) row[k] = double(total[k - j]) / 65025.0 + 1;
  }
}

inline void widen_bytes(const Batch& batch, int16_t* wide) {
  const Examples& examples = *batch.examples;
  for (size_t r = 0; r < batch.size; r++) {
    const uint8_t* from = examples.bytes.data() + batch.row(r) * examples.width;
    for (size_t i = 0; i < examples.width; i++) wide[r * examples.width + i] = from[i];
  }
}

// out[r] = sum of a_r b over `count` entries (a multiple of 8), kRows rows a_r that lie `stride` apart: eight
// partial sums in fixed order.
template <int kRows>
inline void dots(const double* a, size_t stride, const double* b, size_t count, double* out) {
  typedef double Eight __attribute__((vector_size(64), aligned(8)));
  Eight sums[kRows] = {};
  for (size_t i = 0; i < count; i += 8) {
    const Eight x = *reinterpret_cast<const Eight*>(b + i);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; r++)
      sums[r] += x * *reinterpret_cast<const Eight*>(a + size_t(r) * stride + i);
  }
#pragma GCC unroll 4
  for (int r = 0; r < kRows; r++) {
    const Eight s = sums[r];
    out[r] = ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7]));
  }
}

// Rows i … i + kRows - 1 of L. Entries of one row wait for each other, those of four do not. Rows lie
// `stride` apart, a multiple of 8, and are zero where they are not known yet, so that a sum may run past its
// end.
template <int kRows>
inline void cholesky_rows(Projection* p, size_t i, double* l, size_t stride) {
  const size_t rows = p->rows;
  double *own = l + i * stride, products[kRows];
  for (size_t j = 0; j < i; j++) {
    if (!p->used[j]) continue;
    dots<kRows>(own, stride, l + j * stride, round_up(j, 8), products);
    for (size_t r = 0; r < kRows; r++)
      own[r * stride + j] = (p->gram[(i + r) * rows + j] - products[r]) / l[j * stride + j];
  }
  for (size_t r = i; r < i + kRows; r++) {
    double *row = l + r * stride, product;
    for (size_t j = i; j < r; j++) {
      dots<1>(row, stride, l + j * stride, round_up(j, 8), &product);
      if (p->used[j]) row[j] = (p->gram[r * rows + j] - product) / l[j * stride + j];
    }
    dots<1>(row, stride, row, round_up(r, 8), &product);
    const double pivot = p->gram[r * rows + r] - product;
    p->used[r] = pivot > kPivotBound * p->gram[r * rows + r];
    row[r] = p->used[r] ? std::sqrt(pivot) : 0;
    p->rank += p->used[r];
  }
}

inline void cholesky(Projection* p) {
  const size_t rows = p->rows, stride = round_up(rows, 8);
  double* l = p->wide_l;
  std::memset(l, 0, rows * stride * sizeof(double));
  p->rank = 0;
  size_t i = 0;
  for (; i + 4 <= rows; i += 4) cholesky_rows<4>(p, i, l, stride);
  for (; i < rows; i++) cholesky_rows<1>(p, i, l, stride);
  for (i = 0; i < rows; i++) std::memcpy(p->l + i * rows, l + i * stride, rows * sizeof(double));
}

// Memory for a batch's projection.
inline Projection take_projection(Workspace& workspace, const Batch& batch) {
  const size_t rows = batch.size;
  const Examples& examples = *batch.examples;
  return {rows,
          workspace.take<double>(rows * rows),
          workspace.take<double>(rows * rows),
          workspace.take<uint8_t>(rows),
          examples.bytes.empty() ? nullptr : workspace.take<int16_t>(rows * examples.width),
          workspace.take<double>(rows * round_up(rows, 8)),
          0};
}

constexpr size_t kFewRows = 64;  // below, all of it takes some microseconds: not worth a fork

// Fills p. The team is not asked for few rows, and may be null then: within a fork there is none to ask.
inline void form_projection(const Batch& batch, Executor* executor, Projection* p) {
  if (p->bytes != nullptr) widen_bytes(batch, p->bytes);
  const size_t blocks = (p->rows + kGramColumns - 1) / kGramColumns;
  if (p->rows < kFewRows)
    for (size_t block = 0; block < blocks; block++)
      gram_columns(batch, p->bytes, block * kGramColumns, p->gram);
  else
    fork_items(executor, blocks,
               [&](size_t block, unsigned) { gram_columns(batch, p->bytes, block * kGramColumns, p->gram); });
  cholesky(p);
}

inline Projection new_projection(Workspace& workspace, const Batch& batch, Executor* executor) {
  Projection p = take_projection(workspace, batch);
  form_projection(batch, executor, &p);
  return p;
}

// s L in float32 (B x B).
inline float* scaled_factor(Workspace& workspace, const Projection& p, double s) {
  float* scaled = workspace.take<float>(p.rows * p.rows);
  for (size_t i = 0; i < p.rows * p.rows; i++) scaled[i] = float(s * p.l[i]);
  return scaled;
}

// Columns begin … end - 1 of c (B x columns) <- L^{-1} c.
inline void solve_lower(const Projection& p, double* c, size_t columns, size_t begin, size_t end) {
  for (size_t i = 0; i < p.rows; i++) {
    double* row = c + i * columns;
    for (size_t k = 0; k < i; k++) {
      const double factor = p.l[i * p.rows + k];
      const double* from = c + k * columns;
      if (factor != 0)
        for (size_t j = begin; j < end; j++) row[j] -= factor * from[j];
    }
    const double inverse = p.used[i] ? 1 / p.l[i * p.rows + i] : 0;
    for (size_t j = begin; j < end; j++) row[j] *= inverse;
  }
}

// Columns begin … end - 1 of c (B x columns) <- L^{-T} c.
inline void solve_upper(const Projection& p, double* c, size_t columns, size_t begin, size_t end) {
  for (size_t i = p.rows; i-- > 0;) {
    double* row = c + i * columns;
    const double inverse = p.used[i] ? 1 / p.l[i * p.rows + i] : 0;
    for (size_t j = begin; j < end; j++) row[j] *= inverse;
    for (size_t k = 0; k < i; k++) {
      const double factor = p.l[i * p.rows + k];
      double* to = c + k * columns;
      if (factor != 0)
        for (size_t j = begin; j < end; j++) to[j] -= factor * row[j];
    }
  }
}

END_TARGET
