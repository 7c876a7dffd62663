// Walsh blocks as importance sampling and evolution strategies share them, at most one hidden layer: all
// rows' losses, with the row split their first-order part, and the gradient from these and the operation's
// factors.
//
//   gradient (A^T D1, D2), D1 and D2 of row-split-walsh-inl.h, times alpha; plus beta times the mean over
//   blocks of value Z, values in the losses' place: for one block U diag(E), E = WHT(v+ - v-)/2m, and Z_hc
//   E_{d1+c} with the row split or Z_hc E_h without
//
// Symbols: K blocks i in groups of at most 8, C (B x w1) coefficients of the first layer's gradient A^T C;
// the rest: walsh-row-inl.h.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>

#include "../network/first-layer-inl.h"
#include "row-split-inl.h"
#include "row-split-walsh-inl.h"
#include "walsh-losses-inl.h"
#include "walsh-noise-inl.h"

BEGIN_TARGET

// Base and y of rows first … first + count - 1 of the batch; returns the rows and where the first of them
// lies.
inline const Rows& begin_rows(const WalshRun& run, WalshWorker* worker, size_t first, size_t count,
                              size_t blocks, size_t* offset, const float** base) {
  const Question& q = *run.q;
  const size_t width = run.point.shape.width, length = run.point.shape.length, batch = q.batches[0].size;
  if (!run.projected) load_rows(q.batches[0], first, count, &worker->rows);
  const Rows& rows = run.projected ? run.sampled.rows : worker->rows;
  *offset = run.projected ? first : 0;
  *base = worker->base;
  if (run.projected)
    *base = run.sampled.base + first * length;
  else
    first_product(rows, 0, count, q.parameters, width, worker->base, length);
  for (size_t i = 0; i < blocks; i++) {
    if (run.projected) {
      product({count, width, first + count, run.sampled.factor + first * batch, batch, 1, run.noise[i].first,
               width, nullptr, 0, worker->y[i], length});
      continue;
    }
    first_product(rows, 0, count, run.noise[i].first, width, worker->y[i], length);
    const Float s = set(float(q.noise_scale));
    for (size_t at = 0; at < count * length; at += kLanes)
      store(worker->y[i] + at, s * load(worker->y[i] + at));
  }
  return rows;
}

// All rows under `count` blocks whose noise is drawn: each chunk's sums, and C (B x length) where by rows,
// both times scale/B; where `apart` D2 and C are one for each block, one after the other, in place of their
// sum. first_group: C is set, else added to. False if cancelled.
template <int kCount>
inline bool walsh_rows(const WalshRun& run, size_t count, bool apart, double scale, bool first_group,
                       float* coefficients) {
  const WalshShape& shape = run.point.shape;
  const size_t wanted = apart ? count : 1;
  const size_t batch = run.q->batches[0].size, length = shape.length;
  const float per_row = float(scale / double(batch));
  fork_items(run.context->executor, run.chunks, [&](size_t chunk, unsigned w) {
    WalshWorker& worker = run.workers[w];
    const WalshSums& sums = run.sums[chunk];
    std::memset(sums.second, 0, wanted * shape.classes * length * sizeof(float));
    std::memset(sums.losses, 0, count * 2 * length * sizeof(float));
    const size_t begin = batch * chunk / run.chunks, end = batch * (chunk + 1) / run.chunks;
    for (size_t first = begin; first < end; first += sub_rows(run.chunk_rows)) {
      if (run.context->cancelled->load(std::memory_order_relaxed)) return;
      const size_t rows_here = std::min(sub_rows(run.chunk_rows), end - first);
      size_t offset;
      const float* base;
      const Rows& rows = begin_rows(run, &worker, first, rows_here, count, &offset, &base);
      for (size_t r = 0; r < rows_here; r++) {
        const size_t b = first + r;
        for (size_t i = 0; i < count; i++) {
          WalshRow& row = worker.row[i];
          walsh_row<kCount>(run.point, run.noise[i], base + r * length, worker.y[i] + r * length, rows,
                            offset + r, (run.first_block + i) * 2 * shape.m, b, worker.scratch, &row);
          float* losses = sums.losses + i * 2 * length;
          for (size_t at = 0; at < 2 * length; at += kLanes)
            store(losses + at, load(losses + at) + load(row.losses + at));
          if (run.by_rows) sign_mean<kCount>(shape, row.losses, worker.scratch, row.means);
        }
        if (!run.by_rows) continue;
        const float variance = run.point.scale2 * row_norm(run.sampled.projection, rows, offset + r, b);
        for (size_t k = 0; k < wanted; k++) {
          const Parts parts{k, apart ? k + 1 : count};
          first_layer_row(run.point, worker.row, count, parts, variance, per_row, first_group,
                          coefficients + (k * batch + b) * length);
          if (shape.layout == WalshLayout::kRowSplit)
            second_layer_row<kCount>(run.point, worker.row, count, parts,
                                     run.center == nullptr ? 0 : run.center[b], per_row, worker.scratch,
                                     sums.second + k * shape.classes * length);
        }
      }
    }
  });
  return !run.context->cancelled->load();
}

inline float* walsh_center(const WalshRun& run) {
  return center_losses(*run.q, run.projected ? &run.sampled.rows : nullptr, run.sampled.base,
                       run.point.shape.length, *run.workspace);
}

// The two matrices that an estimate is made of: A^T C (+ direct: R) for the first layer, `second` by classes.
struct WalshGradient {
  float* coefficients;  // B x length
  float* first;         // sum_i U_i diag(E_i): r x w1
  float* second;        // classes x length
};

inline WalshGradient new_walsh_gradient(const WalshRun& run) {
  const size_t batch = run.q->batches[0].size, length = run.point.shape.length;
  return {run.workspace->take<float>(batch * length), run.workspace->take<float>(run.layout.offset[1]),
          run.workspace->take<float>(run.point.shape.classes * length)};
}

// Zeros in what the first of several parts does not set.
inline void clear(const WalshRun& run, WalshGradient* g) {
  const size_t length = run.point.shape.length;
  if (!run.by_rows) std::memset(g->coefficients, 0, run.q->batches[0].size * length * sizeof(float));
  std::memset(g->second, 0, run.point.shape.classes * length * sizeof(float));
}

// Chunks' D2 in order; of block k where they are apart.
inline void add_second(const WalshRun& run, size_t k, float* second) {
  const size_t size = run.point.shape.classes * run.point.shape.length;
  for (size_t c = 0; c < run.chunks; c++) add_scaled(second, 1, run.sums[c].second + k * size, size, second);
}

// first += U diag(E) (set where `fresh`), second += factor E Z, E from one block's values (2 x length); its
// noise is drawn[i].
template <int kCount>
inline void add_noise_mean(const WalshRun& run, size_t i, const float* values, float factor, bool fresh,
                           float* scratch, float* mean, WalshGradient* g) {
  const WalshShape& shape = run.point.shape;
  sign_mean<kCount>(shape, values, scratch, mean);
  const size_t rows = run.layout.count[0] / shape.width;
  for (size_t r = 0; r < rows; r++) {
    const float* u = run.noise[i].first + r * shape.width;
    float* to = g->first + r * shape.width;
    for_vectors(shape.width, [&](size_t at, size_t n) {
      const Float before = fresh ? set(0) : load_some(to + at, n);
      store_some(to + at, n, fma(load_some(u + at, n), load_some(mean + at, n), before));
    });
  }
  if (shape.layout == WalshLayout::kNoHidden) return;
  for (size_t c = 0; c < shape.classes; c++) {
    const float* z = run.noise[i].second + c * shape.length;
    float* to = g->second + c * shape.length;
    const Float by_class = set(run.by_rows ? factor * mean[shape.width + c] : factor);
    for (size_t at = 0; at < shape.used * kLanes; at += kLanes) {
      const Float value = run.by_rows ? load(z + at) : load(z + at) * load(mean + at);
      store(to + at, fma(by_class, value, load(to + at)));
    }
  }
}

// gradient (n) <- A^T scale C + Q factor R (direct: A^T scale C + factor R), then the second matrix.
//
// Where `factored` is not null and the batch is projected, A^T C is left to the caller.
inline void write_walsh_gradient(WalshRun& run, double scale, double factor, WalshGradient* g,
                                 Factored* factored, float* gradient) {
  const Question& q = *run.q;
  const WalshShape& shape = run.point.shape;
  Rows& rows = run.projected ? run.sampled.rows : run.workers[0].rows;
  write_first_layer(*run.workspace, q, run.sampled.projection, rows, g->coefficients, shape.length, scale,
                    factor == 0 ? nullptr : g->first, factor, run.context->executor, factored, gradient);
  if (shape.layout == WalshLayout::kNoHidden) return;
  transpose(g->second, shape.classes, shape.width + 1, shape.length, 1, gradient + tail_offset(*q.network),
            shape.classes);
}

// |a|^2 in double, and of sums of vectors, for the spread between blocks.
inline void add_to_mean(const float* g, size_t n, double* mean, double* squares) {
  for (size_t i = 0; i < n; i++) {
    mean[i] += g[i];
    *squares += double(g[i]) * double(g[i]);
  }
}

// sqrt(sum_i |g_i - mean|^2/(K (K - 1))) over the blocks' own parts g_i of the estimate, their slopes from
// the group's others: `first_order` times the heat part, `factor` times the noise's mean. Parts made without
// the others' slopes would vary far more than the estimate does.
template <int kCount>
inline bool walsh_standard_error(WalshRun& run, const float* values, double first_order, double factor,
                                 double* error) {
  const size_t n = run.q->network->parameters(), length = run.point.shape.length;
  const size_t batch = run.q->batches[0].size, of_second = run.point.shape.classes * length;
  const size_t groups = walsh_groups(run.blocks), most = std::min<size_t>(run.blocks, kBlocksInGroup);
  float* gradient = run.workspace->take<float>(n);
  double* mean = run.workspace->zeros<double>(n);
  double squares = 0;
  WalshGradient g = new_walsh_gradient(run);
  float *scratch = run.workspace->take<float>(length), *means = run.workspace->take<float>(length);
  float* coefficients = g.coefficients;
  if (run.by_rows) {
    coefficients = run.workspace->take<float>(most * batch * length);
    for (size_t c = 0; c < run.chunks; c++) run.sums[c].second = run.workspace->take<float>(most * of_second);
  }
  for (size_t group = 0; group < groups; group++) {
    const size_t first = run.blocks * group / groups, count = run.blocks * (group + 1) / groups - first;
    if (groups > 1) draw_blocks(run, first, count);
    if (run.by_rows && !walsh_rows<kCount>(run, count, true, first_order, true, coefficients)) return false;
    for (size_t i = 0; i < count; i++) {
      g.coefficients = coefficients + (run.by_rows ? i * batch * length : 0);
      clear(run, &g);
      if (run.by_rows) add_second(run, i, g.second);
      if (values != nullptr)
        add_noise_mean<kCount>(run, i, values + (first + i) * 2 * length, float(factor / run.q->noise_scale),
                               true, scratch, means, &g);
      write_walsh_gradient(run, 1, values == nullptr ? 0 : factor, &g, nullptr, gradient);
      add_to_mean(gradient, n, mean, &squares);
    }
  }
  const double count = double(run.blocks);
  double of_mean = 0;
  for (size_t i = 0; i < n; i++) of_mean += mean[i] * mean[i] / count;
  *error = std::sqrt(std::max(0.0, squares - of_mean) / (count * (count - 1)));
  return true;
}

template <int kCount>
inline bool gradient_from_blocks_of(WalshRun& run,
                                    Factors (*factors_of)(const WalshRun&, float* losses, Estimate*),
                                    Factored* factored, Estimate* estimate) {
  const WalshShape& shape = run.point.shape;
  const size_t length = shape.length, batch = run.q->batches[0].size;
  const size_t groups = walsh_groups(run.blocks);
  const double s = run.q->noise_scale, blocks = double(run.blocks);
  WalshGradient g = new_walsh_gradient(run);
  clear(run, &g);
  float *scratch = run.workspace->take<float>(length), *means = run.workspace->take<float>(length);
  float* losses = run.workspace->take<float>(run.blocks * 2 * length);
  for (size_t group = 0; group < groups; group++) {
    const size_t first = run.blocks * group / groups, count = run.blocks * (group + 1) / groups - first;
    run.center = run.by_rows && count == 1 ? walsh_center(run) : nullptr;
    if (group > 0) draw_blocks(run, first, count);
    if (!walsh_rows<kCount>(run, count, false, 1 / blocks, group == 0, g.coefficients)) return false;
    if (run.by_rows) add_second(run, 0, g.second);
    const Float mean = set(float(1 / double(batch)));
    for (size_t at = 0; at < count * 2 * length; at += kLanes) {
      Float total = set(0);
      for (size_t c = 0; c < run.chunks; c++) total = total + load(run.sums[c].losses + at);
      store(losses + first * 2 * length + at, mean * total);
    }
  }
  if (estimate->losses != nullptr)
    for (size_t half = 0; half < 2 * run.blocks; half++)
      std::memcpy(estimate->losses + half * shape.m, losses + half * length, shape.m * sizeof(float));

  estimate->samples = 2 * shape.m * run.blocks;
  const auto [first_order, factor] = factors_of(run, losses, estimate);
  if (first_order != 1) {
    const Float scale = set(float(first_order));
    for (size_t at = 0; at < shape.classes * length; at += kLanes)
      store(g.second + at, scale * load(g.second + at));
  }
  if (factor != 0) {
    for (size_t i = 0; i < run.blocks; i++) {
      if (groups > 1) draw_blocks(run, i, 1);
      add_noise_mean<kCount>(run, groups > 1 ? 0 : i, losses + i * 2 * length, float(factor / s / blocks),
                             i == 0, scratch, means, &g);
    }
  }
  write_walsh_gradient(run, first_order, factor / blocks, &g, factored, estimate->gradient);
  if (!estimate->wants_error || run.blocks < 2) return true;
  return walsh_standard_error<kCount>(run, factor == 0 ? nullptr : losses, first_order, factor,
                                      &estimate->standard_error);
}

// The outputs of all blocks' samples, and at x itself.
inline bool outputs_of_blocks(const Estimator& estimator, const Question& q, const Context& context,
                              Workspace& workspace) {
  WalshRun& run = *workspace.take<WalshRun>(1);
  new_walsh_run(estimator, q, context, workspace, &run);
  const size_t groups = walsh_groups(run.blocks);
  prepare_walsh_run(&run, run.blocks / groups);
  run.by_rows = false;  // no first-order part is wanted
  bool done = true;
  with_vectors(run.point.shape.vectors, [&](auto vectors) {
    for (size_t group = 0; done && group < groups; group++) {
      const size_t first = run.blocks * group / groups, count = run.blocks * (group + 1) / groups - first;
      if (group > 0) draw_blocks(run, first, count);
      done = walsh_rows<decltype(vectors)::value>(run, count, false, 1, true, nullptr);
    }
  });
  if (done) walsh_center(run);
  return done && !context.cancelled->load();
}

// The gradient from Walsh blocks; factors_of: the operation's, of losses (K x 2 x length, f of each sample).
inline bool gradient_from_blocks(const Estimator& estimator, const Question& q, const Context& context,
                                 Workspace& workspace,
                                 Factors (*factors_of)(const WalshRun&, float* losses, Estimate*),
                                 Factored* factored, Estimate* estimate) {
  WalshRun& run = *workspace.take<WalshRun>(1);  // outlives this call where A^T C is left to the caller
  new_walsh_run(estimator, q, context, workspace, &run);
  prepare_walsh_run(&run, run.blocks / walsh_groups(run.blocks));
  bool done = false;
  with_vectors(run.point.shape.vectors, [&](auto vectors) {
    done = gradient_from_blocks_of<decltype(vectors)::value>(run, factors_of, factored, estimate);
  });
  return done && !context.cancelled->load();
}

END_TARGET
