// The first layer's gradient in factored form, A^T C, of which some rows at a time are made.
//
// Symbols: A (B x (d0 + 1)) with its column of ones, C (B x columns, stride c_row).
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "columns-inl.h"

BEGIN_TARGET

struct Factored {
  const Rows* rows = nullptr;  // the whole batch, with its columns; null: the estimator formed the gradient
  const float* c = nullptr;
  size_t c_row = 0;
};

// slopes (count x columns, and a vector's room) <- rows first … of A^T C, d0 being the bias's.
inline void some_slopes(const Factored& factored, size_t columns, size_t first, size_t count, float* slopes) {
  const Rows& rows = *factored.rows;
  const Columns& lists = *rows.columns;
  const size_t inputs = std::min(count, rows.width - std::min(first, rows.width));
  if (!rows.sparse)
    product({inputs, columns, rows.count, rows.value + first, 1, rows.width, factored.c, factored.c_row,
             nullptr, 0, slopes, columns});
  const size_t vectors = (columns + kLanes - 1) / kLanes,
               panels = (vectors + kLongTileVectors - 1) / kLongTileVectors;
  for (size_t k = 0; k < inputs && rows.sparse; k++) {
    const size_t list = (first + k) * lists.capacity, length = lists.length[first + k];
    if (length == 0) {
      std::memset(slopes + k * columns, 0, columns * sizeof(float));
      continue;
    }
    for (size_t panel = 0; panel < panels; panel++) {
      const size_t v = vectors * panel / panels, next = vectors * (panel + 1) / panels, j = v * kLanes;
      const size_t last = next == vectors ? columns % kLanes : 0;
      sparse_row_of<kLongTileVectors>(next - v, lists.row + list, lists.value + list, length, factored.c + j,
                                      factored.c_row, nullptr, last, slopes + k * columns + j);
    }
  }
  if (inputs == count) return;
  float* bias = slopes + inputs * columns;
  std::memset(bias, 0, columns * sizeof(float));
  for (size_t r = 0; r < rows.count; r++) add_scaled(bias, 1, factored.c + r * factored.c_row, columns, bias);
}

// Whether no row of the batch has any of the inputs first … first + count - 1.
inline bool no_slopes(const Rows& rows, size_t first, size_t count) {
  if (!rows.sparse || first + count > rows.width) return false;
  uint32_t any = 0;
  for (size_t i = first; i < first + count; i++) any |= rows.columns->length[i];
  return any == 0;
}

END_TARGET
