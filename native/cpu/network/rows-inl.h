// Rows of a minibatch as the first layer sees them, and the two products with its matrix:
//
//   P^1 = A^0 W^1 and (A^0)^T G, A^0 (B x (d0 + 1)) with its column of ones.
//
// Rows are worked off in blocks, so memory does not grow with B. The products go over lists of the non-zero
// inputs where more than half are zero (images), else over tiles; both add the same terms in the same order.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../../backend.h"
#include "../linear/product-inl.h"
#include "../machine/workspace.h"

BEGIN_TARGET

constexpr size_t kRowBlock = 128;

// Inputs, and the rows of W^1 with them, lie in pieces (columns-inl.h), which end where a vector of any
// target does.
constexpr size_t kPieces = 8, kPieceLanes = 16;

inline size_t piece_begin(size_t width, size_t piece) {
  return piece == kPieces ? width : width * piece / kPieces / kPieceLanes * kPieceLanes;
}

struct Columns;  // columns-inl.h

// Inputs of a block of rows: lists of the non-zero ones, or the whole matrix (count x width).
struct Rows {
  size_t count = 0, width = 0, capacity = 0;
  size_t first = 0;  // of the batch's rows
  bool sparse = false;
  uint32_t* length = nullptr;       // count
  uint32_t* piece = nullptr;        // count x (kPieces + 1): where a piece's inputs begin in a row's list
  uint32_t* index = nullptr;        // count x width, row r's list at r width
  float* value = nullptr;           // as index, or the matrix
  uint16_t* labels = nullptr;       // count
  const float** targets = nullptr;  // count: each row's, where the examples have them
  Columns* columns = nullptr;       // the lists by columns, where the team makes the product
};

inline Rows new_rows(Workspace& workspace, size_t count, size_t width) {
  Rows rows;
  rows.width = width;
  rows.capacity = count;
  rows.length = workspace.take<uint32_t>(count);
  rows.piece = workspace.take<uint32_t>(count * (kPieces + 1));
  rows.index = workspace.take<uint32_t>(count * width);
  rows.value = workspace.take<float>(count * width);
  rows.labels = workspace.take<uint16_t>(count);
  rows.targets = workspace.take<const float*>(count);
  return rows;
}

struct ByteValues {
  float at[256] = {};
  constexpr ByteValues() {
    for (int byte = 0; byte < 256; byte++) at[byte] = float(byte) / 255.0f;
  }
};
constexpr ByteValues kByteValues;

inline float input_value(uint8_t byte) { return kByteValues.at[byte]; }
inline float input_value(float value) { return value; }

template <class Input>
inline size_t non_zeros(const Input* row, size_t width) {
  constexpr size_t kLane = 64, kMost = 255;  // counters of a byte, so that bytes are counted 64 at a time
  size_t total = 0, i = 0;
  while (i + kLane <= width) {
    uint8_t counts[kLane] = {};
    for (size_t n = 0; n < kMost && i + kLane <= width; n++, i += kLane)
      for (size_t lane = 0; lane < kLane; lane++) counts[lane] += row[i + lane] != 0;
    uint32_t sum_of = 0;
    for (size_t lane = 0; lane < kLane; lane++) sum_of += counts[lane];
    total += sum_of;
  }
  for (; i < width; i++) total += row[i] != 0;
  return total;
}

template <class Input>
inline bool mostly_zero(const Input* inputs, const Batch& batch, size_t first, size_t count, size_t width) {
  size_t total = 0;
  for (size_t r = 0; r < count; r++) total += non_zeros(inputs + batch.row(first + r) * width, width);
  return 2 * total < count * width;
}

// Whether the eight inputs at `row` are all zero, by their bits: a float's -0 is listed, which does no harm.
template <class Input>
inline bool all_zero(const Input* row) {
  uint64_t words[sizeof(Input)], bits = 0;
  std::memcpy(words, row, sizeof words);
  for (const uint64_t word : words) bits |= word;
  return bits == 0;
}

// Appends those of the inputs begin … end - 1 that are not zero to a list of `length`; returns its new
// length.
template <class Input>
inline uint32_t list_inputs(const Input* row, size_t begin, size_t end, uint32_t length, uint32_t* index,
                            float* value) {
  size_t i = begin;
  if constexpr (kCompresses)
    for (; i + kLanes <= end; i += kLanes)
      length += append_inputs(row + i, uint32_t(i), index + length, value + length);
  while (i < end) {
    if (i + 8 <= end && all_zero(row + i)) {
      i += 8;
      continue;
    }
    for (const size_t stop = std::min(end, i + 8); i < stop; i++) {
      index[length] = uint32_t(i);
      value[length] = input_value(row[i]);
      length += row[i] != 0;
    }
  }
  return length;
}

template <class Input>
inline void load_row(const Input* row, size_t r, Rows* rows) {
  const size_t width = rows->width;
  float* value = rows->value + r * width;
  if (!rows->sparse) {
    for (size_t i = 0; i < width; i++) value[i] = input_value(row[i]);
    return;
  }
  uint32_t* piece = rows->piece + r * (kPieces + 1);
  piece[0] = 0;
  for (size_t p = 0; p < kPieces; p++)
    piece[p + 1] = list_inputs(row, piece_begin(width, p), piece_begin(width, p + 1), piece[p],
                               rows->index + r * width, value);
  rows->length[r] = piece[kPieces];
}

// Chooses the form of rows first … first + count - 1; load_share then reads some of them.
inline void choose_form(const Batch& batch, size_t first, size_t count, Rows* rows) {
  const Examples& examples = *batch.examples;
  rows->count = count;
  rows->first = first;
  rows->sparse = examples.bytes.empty()
                     ? mostly_zero(examples.floats.data(), batch, first, count, rows->width)
                     : mostly_zero(examples.bytes.data(), batch, first, count, rows->width);
}

inline void load_share(const Batch& batch, size_t first, size_t begin, size_t end, Rows* rows) {
  const Examples& examples = *batch.examples;
  for (size_t r = begin; r < end; r++) {
    const size_t from = batch.row(first + r);
    if (examples.bytes.empty())
      load_row(examples.floats.data() + from * rows->width, r, rows);
    else
      load_row(examples.bytes.data() + from * rows->width, r, rows);
    rows->labels[r] = examples.labels.empty() ? 0 : examples.labels[from];
    if (!examples.targets.empty()) rows->targets[r] = examples.targets.data() + from * examples.outputs;
  }
}

inline void load_rows(const Batch& batch, size_t first, size_t count, Rows* rows) {
  choose_form(batch, first, count, rows);
  load_share(batch, first, 0, count, rows);
}

// P (one row, columns j …) = bias + sum of the row's values times their rows of W; no bias where it is null.
template <int kVectors, bool kPartial>
inline void sparse_row(const uint32_t* index, const float* value, size_t length, const float* w,
                       size_t columns, const float* bias, size_t last, float* p) {
  Float sums[kVectors];
#pragma GCC unroll 16
  for (int v = 0; v < kVectors; v++)
    sums[v] = bias == nullptr                 ? set(0)
              : kPartial && v == kVectors - 1 ? load_first(bias + v * kLanes, last)
                                              : load(bias + v * kLanes);
  for (size_t e = 0; e < length; e++) {
    const float* row = w + size_t(index[e]) * columns;
    const Float x = set(value[e]);
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; v++)
      sums[v] =
          fma(x, kPartial && v == kVectors - 1 ? load_first(row + v * kLanes, last) : load(row + v * kLanes),
              sums[v]);
  }
#pragma GCC unroll 16
  for (int v = 0; v < kVectors; v++) {
    if (kPartial && v == kVectors - 1)
      store_first(p + v * kLanes, last, sums[v]);
    else
      store(p + v * kLanes, sums[v]);
  }
}

template <int kVectors>
inline void sparse_row_of(size_t vectors, const uint32_t* index, const float* value, size_t length,
                          const float* w, size_t columns, const float* bias, size_t last, float* p) {
  if constexpr (kVectors > 0) {
    if (vectors != kVectors)
      sparse_row_of<kVectors - 1>(vectors, index, value, length, w, columns, bias, last, p);
    else if (last == 0)
      sparse_row<kVectors, false>(index, value, length, w, columns, bias, last, p);
    else
      sparse_row<kVectors, true>(index, value, length, w, columns, bias, last, p);
  }
}

// P (rows begin … end - 1, stride p_row) = A^0 W for W ((d0 + 1) x columns), the bias row last.
inline void first_product(const Rows& rows, size_t begin, size_t end, const float* w, size_t columns,
                          float* p, size_t p_row) {
  const float* bias = w + rows.width * columns;
  if (!rows.sparse) {
    product({end - begin, columns, rows.width, rows.value + begin * rows.width, rows.width, 1, w, columns,
             bias, 0, p + begin * p_row, p_row});
    return;
  }
  const size_t vectors = (columns + kLanes - 1) / kLanes, panels = (vectors + 7) / 8;
  for (size_t r = begin; r < end; r++) {
    for (size_t panel = 0; panel < panels; panel++) {
      const size_t v = vectors * panel / panels, next = vectors * (panel + 1) / panels, j = v * kLanes;
      const size_t last = next == vectors ? columns % kLanes : 0;
      sparse_row_of<8>(next - v, rows.index + r * rows.width, rows.value + r * rows.width, rows.length[r],
                       w + j, columns, bias + j, last, p + r * p_row + j);
    }
  }
}

// gradient ((d0 + 1) x columns), its columns begin … end - 1: (A^0)^T G, set where `add` is false.
// G: count x columns, stride g_row.
inline void first_gradient(const Rows& rows, const float* g, size_t g_row, size_t columns, size_t begin,
                           size_t end, bool add, float* gradient) {
  if (begin == end) return;
  const size_t width = end - begin;
  float* bias = gradient + rows.width * columns + begin;
  if (!add)
    for (size_t i = 0; i <= rows.width; i++)
      std::memset(gradient + i * columns + begin, 0, width * sizeof(float));
  for (size_t r = 0; r < rows.count; r++) add_scaled(bias, 1, g + r * g_row + begin, width, bias);
  if (!rows.sparse) {
    product({rows.width, width, rows.count, rows.value, 1, rows.width, g + begin, g_row, gradient + begin,
             columns, gradient + begin, columns});
    return;
  }
  for (size_t r = 0; r < rows.count; r++) {
    const float* from = g + r * g_row + begin;
    const size_t list = r * rows.width;
    for (size_t e = 0; e < rows.length[r]; e++) {
      float* to = gradient + rows.index[list + e] * columns + begin;
      add_scaled(to, rows.value[list + e], from, width, to);
    }
  }
}

END_TARGET
