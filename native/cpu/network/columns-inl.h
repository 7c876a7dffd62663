// The product A^0 W^1 by the whole team, and the inputs' lists by columns of A^0, which the step goes along.
//
//   P^1 = bias + sum over pieces p of A_p W_p, in order of p
//
// A piece is a range of inputs: columns of A^0, and rows of W^1, which lie together. A worker takes pieces
// that lie together, the same ones here and in the step (update/step-inl.h), so its part of W^1 and of the
// moments stays in its core's cache and two cores never write one line. The pieces depend on the width alone,
// so neither does any bit on the number of threads.
//
// Symbols: B rows of a block, d0 = width of the inputs, d1 = `columns` of W^1.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../machine/team-inl.h"
#include "rows-inl.h"

BEGIN_TARGET

struct Columns {
  uint32_t* length;  // d0: non-zero inputs of each column
  uint32_t* row;     // d0 x capacity: those of column i from i capacity on, rows ascending
  float* value;      // as row
  size_t capacity;   // of rows
  float* partial;    // kPieces x capacity x stride: A_p W_p
  size_t stride;     // d1, rounded up to whole vectors
};

inline Columns* new_columns(Workspace& workspace, size_t capacity, size_t width, size_t columns) {
  Columns* made = workspace.take<Columns>(1);
  const size_t stride = round_up(columns, kLanes);
  *made = {workspace.take<uint32_t>(width),
           workspace.take<uint32_t>(width * capacity),
           workspace.take<float>(width * capacity),
           capacity,
           workspace.take<float>(kPieces * capacity * stride),
           stride};
  return made;
}

// Lists of the columns of pieces first … last - 1.
inline void list_columns(const Rows& rows, size_t first, size_t last) {
  const Columns lists = *rows.columns;  // a copy: what is stored below cannot be one of its fields
  const size_t begin = piece_begin(rows.width, first), end = piece_begin(rows.width, last);
  std::memset(lists.length + begin, 0, (end - begin) * sizeof(uint32_t));
  for (size_t r = 0; r < rows.count; r++) {
    const uint32_t* index = rows.index + r * rows.width;
    const float* value = rows.value + r * rows.width;
    const uint32_t* piece = rows.piece + r * (kPieces + 1);
    for (size_t at = piece[first]; at < piece[last]; at++) {
      const size_t i = index[at], to = i * lists.capacity + lists.length[i]++;
      lists.row[to] = uint32_t(r);
      lists.value[to] = value[at];
    }
  }
}

// Columns j … of A_p W_p (count x stride). A piece's part of W stays in the second cache while one row after
// the other goes along it, its sums in registers.
template <int kVectors, bool kPartial>
inline void multiply_piece(const Rows& rows, size_t piece, const float* w, size_t columns, size_t last,
                           float* p) {
  for (size_t r = 0; r < rows.count; r++) {
    const uint32_t* begin = rows.piece + r * (kPieces + 1) + piece;
    const size_t from = begin[0], to = begin[1];
    sparse_row<kVectors, kPartial>(rows.index + r * rows.width + from, rows.value + r * rows.width + from,
                                   to - from, w, columns, nullptr, last, p + r * rows.columns->stride);
  }
}

template <int kVectors>
inline void multiply_piece_of(size_t vectors, const Rows& rows, size_t piece, const float* w, size_t columns,
                              size_t last, float* p) {
  if constexpr (kVectors > 0) {
    if (vectors != kVectors)
      multiply_piece_of<kVectors - 1>(vectors, rows, piece, w, columns, last, p);
    else if (last == 0)
      multiply_piece<kVectors, false>(rows, piece, w, columns, last, p);
    else
      multiply_piece<kVectors, true>(rows, piece, w, columns, last, p);
  }
}

// This worker's pieces of the product, after the lists of their columns.
inline void multiply_pieces(const Rows& rows, const float* w, size_t columns, unsigned worker,
                            unsigned workers) {
  const Columns& lists = *rows.columns;
  const Share share(kPieces, 1, worker, workers);
  if (rows.sparse) list_columns(rows, share.begin, share.end);
  const size_t vectors = lists.stride / kLanes, panels = (vectors + kLongTileVectors - 1) / kLongTileVectors;
  for (size_t piece = share.begin; piece < share.end; piece++) {
    const size_t begin = piece_begin(rows.width, piece), end = piece_begin(rows.width, piece + 1);
    float* p = lists.partial + piece * lists.capacity * lists.stride;
    if (!rows.sparse) {
      product({rows.count, columns, end - begin, rows.value + begin, rows.width, 1, w + begin * columns,
               columns, nullptr, 0, p, lists.stride});
      continue;
    }
    for (size_t panel = 0; panel < panels; panel++) {
      const size_t v = vectors * panel / panels, after = vectors * (panel + 1) / panels;
      const size_t last = after == vectors ? columns % kLanes : 0;
      multiply_piece_of<kLongTileVectors>(after - v, rows, piece, w + v * kLanes, columns, last,
                                          p + v * kLanes);
    }
  }
}

// Rows begin … end - 1 of P (stride p_row): the bias and all pieces.
inline void add_pieces(const Rows& rows, size_t begin, size_t end, const float* w, size_t columns, float* p,
                       size_t p_row) {
  const Columns& lists = *rows.columns;
  const float* bias = w + rows.width * columns;
  for (size_t r = begin; r < end; r++)
    for_vectors(columns, [&](size_t j, size_t n) {
      Float total = load_some(bias + j, n);
      for (size_t piece = 0; piece < kPieces; piece++)
        total = total + load_some(lists.partial + (piece * lists.capacity + r) * lists.stride + j, n);
      store_some(p + r * p_row + j, n, total);
    });
}

// P (B x columns, stride p_row) = A^0 W by the team; rows.columns must be there.
inline void team_product(const Rows& rows, const float* w, size_t columns, Executor* executor, float* p,
                         size_t p_row) {
  fork(executor, [&](unsigned worker) { multiply_pieces(rows, w, columns, worker, executor->size()); });
  fork(executor, [&](unsigned worker) {
    const Share share(rows.count, 1, worker, executor->size());
    add_pieces(rows, share.begin, share.end, w, columns, p, p_row);
  });
}

// All rows of the batch by the team: rows <- the block first … first + count - 1.
inline void team_load(const Batch& batch, size_t first, size_t count, Executor* executor, Rows* rows) {
  choose_form(batch, first, count, rows);
  fork(executor, [&](unsigned worker) {
    const Share share(count, 1, worker, executor->size());
    load_share(batch, first, share.begin, share.end, rows);
  });
}

END_TARGET
