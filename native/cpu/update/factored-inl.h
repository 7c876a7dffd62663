// The first layer's gradient in factored form, A^T C, and the optimizer's step along it without ever storing
// it whole.
//
// Some rows of A^T C are made in a buffer that stays in the first cache, added to |gradient|^2, and used for
// the step at once: the moments and the parameters are read and written once, the gradient never leaves. Each
// worker steps the rows of W^1 that it multiplied (columns-inl.h).
//
// Symbols: A (B x (d0 + 1)) with its column of ones, C (B x columns, stride c_row).

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

constexpr size_t kSlopes = 800;  // floats of A^T C at a time, so that C stays in the first cache beside them

// Steps rows begin … end - 1 of x; returns their squares' sum.
template <class Step>
inline double step_rows(const Step& given, const Factored& factored, size_t columns, size_t begin, size_t end,
                        float* slopes, float* x, float* const* moments) {
  const Step step = given;  // copies, which no store below can change: they stay in registers
  float* carried[2] = {nullptr, nullptr};
  for (int i = 0; i < Step::kMoments; i++) carried[i] = moments[i];
  const size_t most = std::max(size_t(1), kSlopes / columns);
  double squares = 0;
  for (size_t first = begin; first < end; first += most) {
    const size_t count = std::min(most, end - first), at = first * columns;
    if (no_slopes(*factored.rows, first, count)) {
      if (Step::kMoments > 0)  // else a step along zero changes nothing
        for_vectors(count * columns,
                    [&](size_t i, size_t n) { step_vector(step, set(0), n, at + i, x, carried); });
      continue;
    }
    some_slopes(factored, columns, first, count, slopes);
    Float total = set(0);
    for_vectors(count * columns, [&](size_t i, size_t n) {
      const Float slope = load_some(slopes + i, n);
      total = total + slope * slope;  // which Adam takes as well
      step_vector(step, slope, n, at + i, x, carried);
    });
    squares += sum(total);
  }
  return squares;
}

// Steps x ((d0 + 1) x columns) and its moments along A^T C; returns |A^T C|^2.
inline double factored_step(const Optimizer& optimizer, double rate, uint64_t index, const Factored& factored,
                            size_t columns, Workspace& workspace, Executor* executor, float* x,
                            float* const* moments) {
  const size_t width = factored.rows->width, room = std::max(kSlopes, columns) + kLanes;
  float* slopes = workspace.take<float>(room * executor->size());
  double squares[kPieces];
  with_step(optimizer, rate, index, [&](const auto& step) {
    fork(executor, [&](unsigned worker) {
      const FlushDenormals flush;
      const Share share(kPieces, 1, worker, executor->size());
      for (size_t piece = share.begin; piece < share.end; piece++) {
        const size_t end = piece + 1 == kPieces ? width + 1 : piece_begin(width, piece + 1);
        squares[piece] = step_rows(step, factored, columns, piece_begin(width, piece), end,
                                   slopes + worker * room, x, moments);
      }
    });
  });
  double norm2 = 0;
  for (const double of_piece : squares) norm2 += of_piece;
  return norm2;
}
