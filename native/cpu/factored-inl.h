// The first layer's gradient in factored form, A^T C, and the optimizer's step along it without ever storing
// it.
//
// On a minibatch of images most inputs are zero in most rows, so entry row i of A^T C is a sum over the few
// rows b with a_bi != 0: it is made in registers, added to |gradient|^2, and used for the step at once. The
// moments and the parameters are then read and written once, the gradient never.
//
// Symbols: A (B x (d0 + 1)) with its column of ones, C (B x columns, stride c_row).

struct Factored {
  const Rows* rows = nullptr;  // null: the estimator formed the gradient
  const float* c = nullptr;
  size_t c_row = 0;
};

// The non-zero inputs by columns of A: those of column i are at start[i] … start[i + 1] - 1.
struct Columns {
  uint32_t* start;  // d0 + 1
  uint32_t* row;
  float* value;
};

inline Columns new_columns(Workspace& workspace, const Rows& rows) {
  size_t entries = 0;
  for (size_t r = 0; r < rows.count; r++) entries += rows.length[r];
  Columns columns{workspace.zeros<uint32_t>(rows.width + 1), workspace.take<uint32_t>(entries),
                  workspace.take<float>(entries)};
  for (size_t r = 0; r < rows.count; r++)
    for (size_t e = 0; e < rows.length[r]; e++) columns.start[rows.index[r * rows.width + e] + 1]++;
  for (size_t i = 0; i < rows.width; i++) columns.start[i + 1] += columns.start[i];
  uint32_t* next = workspace.take<uint32_t>(rows.width);
  std::memcpy(next, columns.start, rows.width * sizeof(uint32_t));
  for (size_t r = 0; r < rows.count; r++) {  // rows in order, so every column's sum has one order
    for (size_t e = 0; e < rows.length[r]; e++) {
      const uint32_t to = next[rows.index[r * rows.width + e]]++;
      columns.row[to] = uint32_t(r);
      columns.value[to] = rows.value[r * rows.width + e];
    }
  }
  return columns;
}

// Row i of A^T C for vectors v … v + kVectors - 1, stepped; returns its squares by lanes.
template <int kVectors, class Step>
__attribute__((always_inline)) inline Float factored_panel(const Step& step, const uint32_t* row,
                                                           const float* value, size_t count, const float* c,
                                                           size_t c_row, size_t columns, size_t first,
                                                           float* x, float* const* moments, size_t at) {
  Float sums[kVectors];
#pragma GCC unroll 16
  for (int v = 0; v < kVectors; v++) sums[v] = set(0);
  for (size_t e = 0; e < count; e++) {
    const float* from = c + row[e] * c_row + first;
    const Float a = set(value == nullptr ? 1.0f : value[e]);
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; v++) sums[v] = fma(a, load(from + v * kLanes), sums[v]);
  }
  Float squares = set(0);
#pragma GCC unroll 16
  for (int v = 0; v < kVectors; v++) {
    const size_t offset = first + v * kLanes;
    squares = fma(sums[v], sums[v], squares);  // C is zero past its columns
    step_vector(step, sums[v], std::min(kLanes, columns - offset), at + offset, x, moments);
  }
  return squares;
}

constexpr size_t kFactoredRows = 64;  // rows of the matrix whose squares are summed in order by one worker

// Steps x ((d0 + 1) x columns) and its moments along A^T C; returns |A^T C|^2. C has zeros past `columns` up
// to a multiple of kLanes.
inline double factored_step(const Optimizer& optimizer, double rate, uint64_t index, const Factored& factored,
                            size_t columns, Workspace& workspace, Team* team, float* x,
                            float* const* moments) {
  const Rows& rows = *factored.rows;
  const Columns lists = new_columns(workspace, rows);
  uint32_t* all = workspace.take<uint32_t>(rows.count);
  for (size_t r = 0; r < rows.count; r++) all[r] = uint32_t(r);
  const size_t blocks = (rows.width + 1 + kFactoredRows - 1) / kFactoredRows;
  double* squares = workspace.take<double>(blocks);
  with_step(optimizer, rate, index, [&](const auto& step) {
    fork(team, [&](unsigned worker) {
      const FlushDenormals flush;
      for (size_t block = blocks * worker / team->size(); block < blocks * (worker + 1) / team->size();
           block++) {
        Float total = set(0);
        const size_t end = std::min(rows.width + 1, (block + 1) * kFactoredRows);
        for (size_t i = block * kFactoredRows; i < end; i++) {
          const bool bias = i == rows.width;
          const uint32_t* row = bias ? all : lists.row + lists.start[i];
          const float* value = bias ? nullptr : lists.value + lists.start[i];
          const size_t count = bias ? rows.count : lists.start[i + 1] - lists.start[i], at = i * columns;
          size_t first = 0;
          for (; first + 3 * kLanes < columns; first += 4 * kLanes)
            total = total + factored_panel<4>(step, row, value, count, factored.c, factored.c_row, columns,
                                              first, x, moments, at);
          for (; first < columns; first += kLanes)
            total = total + factored_panel<1>(step, row, value, count, factored.c, factored.c_row, columns,
                                              first, x, moments, at);
        }
        squares[block] = sum(total);
      }
    });
  });
  double norm2 = 0;
  for (size_t block = 0; block < blocks; block++) norm2 += squares[block];
  return norm2;
}
