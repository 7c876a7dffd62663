// The gradient from Walsh blocks: importance sampling of local entropy (Algorithm 4's mean; García Trillos,
// Kaplan, Sanz-Alonso, Entropy 2019) and evolution strategies for heat, by rows or from the minibatch's
// losses alone.
//
//   By rows, D = (mean_b f - c0)/delta, w = exp(-D) = 1 - D + rho, G = WHT(f+ - f-)/2m, s_b^2 = s^2 |a_b|^2:
//   D1_bh = (1/BK) sum_i [y G/s_b^2 - kappa_i (y^2/s_b^2 - 1)],
//           kappa_i = sum' y G / (sum' y^2 + 0.1 s_b^2), sum' over the group's other blocks
//   D2_hc = (1/2mBK) sum_b sum_i [a_h sum_g (psi+ + psi-) + d_h WHT(psi+ - psi-)_h],
//           psi = eta (f - c_i - lambda_ic eta)/(s^2 |hidden|^2) + lambda_ic, eta = e t_gc n_c + N_gc,
//           lambda_ic = sum' n_c G_{d1+c} / (sum' n_c^2 + 1e-3 s^2 sum (a^2 + d^2)), c_i: mean f of the
//           others
//   heat gradient (A^T D1, D2); gradient of F: (s^2/tau) [heat - (delta/s) mean rho Z]/mean w.
//   From losses alone: -(delta s/tau) mean w Z/mean w; heat: mean f Z/s. mean over a block of v Z: U diag(E),
//   with E = WHT(v+ - v-)/2m, and Z_hc E_{d1+c} (by rows) or Z_hc E_h.
//
// Symbols: K blocks i in groups of at most 8, c0 the mean of all losses, C (B x w1) coefficients of the first
// layer's gradient A^T C; the rest: walsh-inl.h.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstring>

#include "sampled-point-inl.h"
#include "walsh-inl.h"

BEGIN_TARGET

constexpr size_t kGroup = 8;

inline size_t walsh_groups(size_t blocks) { return (blocks + kGroup - 1) / kGroup; }

// Into how many chunks the rows are cut, a power of two: a chunk's rows are summed by one worker in order, so
// that threads change no bit. One has eight blocks of a row at least: its sums cost as much as two.
inline size_t row_chunks(size_t batch, size_t blocks) {
  size_t chunks = 1;
  while (chunks < 16 && 2 * chunks <= batch && 16 * chunks <= batch * blocks) chunks *= 2;
  return chunks;
}

// What a worker needs for the rows of one chunk.
struct WalshWorker {
  Rows rows;             // direct only
  float* base;           // direct only: chunk rows x length
  float* y[kGroup];      // chunk rows x length
  WalshRow row[kGroup];  // one a block
  float* scratch;        // length
};

// A chunk's sums over its rows.
struct WalshSums {
  float* second;  // D2 by classes: classes x length
  float* losses;  // f: group x 2 x length
};

struct WalshRun {
  const Estimator* estimator;
  const Question* q;
  const Context* context;
  Workspace* workspace;
  WalshPoint point;
  bool by_rows, projected;
  Projection projection;
  SampledPoint sampled;
  NoiseLayout layout;
  size_t blocks, chunks, chunk_rows;
  float* drawn[kGroup];  // a block's normals as drawn
  WalshNoise noise[kGroup];
  WalshWorker* workers;
  WalshSums* sums;      // chunks
  const float* center;  // each row's loss at x, or null
};

inline size_t sub_rows(size_t chunk_rows) { return std::min(chunk_rows, kRowBlock); }

// The memory of it all.
inline void new_walsh_run(const Estimator& estimator, const Question& q, const Context& context,
                          Workspace& workspace, WalshRun* made) {
  WalshRun& run = *made;
  run = WalshRun();
  run.estimator = &estimator;
  run.q = &q;
  run.context = &context;
  run.workspace = &workspace;
  run.by_rows = estimator.rowwise;
  run.projected = estimator.projected;
  run.point = new_walsh_point(workspace, q, estimator.rowwise);
  const size_t batch = q.batches[0].size, width = q.network->layers[0];
  const WalshShape& shape = run.point.shape;
  if (run.projected) {
    run.projection = take_projection(workspace, q.batches[0]);
    run.sampled.rows = new_rows(workspace, batch, width);
    run.sampled.rows.columns = new_columns(workspace, batch, width, shape.width);
  }
  const Projection* projection = run.projected ? &run.projection : nullptr;
  run.layout = new_noise_layout(workspace, *q.network, projection);
  run.sampled.q = &q;
  run.sampled.projection = projection;
  run.sampled.layout = run.layout;
  run.blocks = estimator.coupling.blocks;
  const size_t group = std::min(run.blocks, kGroup);
  run.chunks = row_chunks(batch, group);
  run.chunk_rows = (batch + run.chunks - 1) / run.chunks;
  const size_t rows = sub_rows(run.chunk_rows);
  for (size_t i = 0; i < group; i++) {
    run.drawn[i] = workspace.take<float>(run.layout.offset[q.network->depth()]);
    run.noise[i] = {run.drawn[i], workspace.padded(shape.classes, shape.width + 1, shape.length)};
  }
  run.workers = workspace.take<WalshWorker>(context.executor->size());
  for (unsigned w = 0; w < context.executor->size(); w++) {
    WalshWorker& worker = run.workers[w];
    worker = WalshWorker();
    if (!run.projected) worker.rows = new_rows(workspace, rows, width);
    worker.base = run.projected ? nullptr : workspace.padded(rows, shape.width, shape.length);
    worker.scratch = workspace.take<float>(shape.length);
    for (size_t i = 0; i < group; i++) {
      worker.y[i] = workspace.padded(rows, shape.width, shape.length);
      worker.row[i] = new_walsh_row(workspace, shape);
    }
  }
  run.sums = workspace.take<WalshSums>(run.chunks);
  for (size_t c = 0; c < run.chunks; c++) {
    run.sums[c].second = workspace.take<float>(shape.classes * shape.length);
    run.sums[c].losses = workspace.take<float>(group * 2 * shape.length);
  }
}

// Draws block number `block` as the group's i-th, but for the projection's dropped rows.
inline void draw_block(const WalshRun& run, size_t block, size_t i) {
  const Question& q = *run.q;
  const WalshShape& shape = run.point.shape;
  draw_normals(run.layout, q.seed, q.update, uint32_t(block), run.drawn[i]);
  if (shape.layout == WalshLayout::kNoHidden) return;
  transpose(run.drawn[i] + run.layout.offset[1], shape.width + 1, shape.classes, shape.classes,
            float(q.noise_scale), run.noise[i].second, shape.length);
}

// Draws the noise of blocks first … first + count - 1.
inline void draw_blocks(const WalshRun& run, size_t first, size_t count) {
  fork_items(run.context->executor, count, [&](size_t i, unsigned) {
    draw_block(run, first + i, i);
    if (run.projected) drop_rows(run.layout, run.projection, run.drawn[i]);
  });
}

// All that the minibatch and x decide, and the noise of the first `count` blocks, side by side as far as one
// does not need the other.
inline void prepare_walsh_run(WalshRun* run, size_t count) {
  constexpr size_t kLoaded = 8;  // rows at a time
  const Question& q = *run->q;
  const WalshShape& shape = run->point.shape;
  const Batch& batch = q.batches[0];
  Executor* executor = run->context->executor;
  Rows& rows = run->sampled.rows;
  if (run->projected) choose_form(batch, 0, batch.size, &rows);
  const bool few = batch.size < kFewRows;
  if (run->projected && !few) form_projection(batch, executor, &run->projection);
  const size_t loads = run->projected ? (batch.size + kLoaded - 1) / kLoaded : 0;
  fork_items(executor, 2 + count + loads, [&](size_t item, unsigned) {
    if (item == 0) {
      if (run->projected && few) form_projection(batch, nullptr, &run->projection);
    } else if (item <= count) {
      draw_block(*run, item - 1, item - 1);
    } else if (item == count + 1) {
      fill_walsh_point(q, &run->point);
    } else {
      const size_t first = (item - count - 2) * kLoaded;
      load_share(batch, 0, first, std::min(batch.size, first + kLoaded), &rows);
    }
  });
  if (!run->projected) return;
  for (size_t i = 0; i < count; i++) drop_rows(run->layout, run->projection, run->drawn[i]);
  float* base = run->workspace->padded(batch.size, shape.width, shape.length);
  team_product(rows, q.parameters, shape.width, executor, base, shape.length);
  run->sampled.base = base;
  run->sampled.factor = scaled_factor(*run->workspace, run->projection, q.noise_scale);
}

// Row b of D1 from a group's blocks: its sum over them times scale, to `coefficients` (length), added where
// not the first.
inline void first_layer_row(const WalshRun& run, const WalshRow* row, size_t count, float variance,
                            float scale, bool first, float* coefficients) {
  const Float inverse = set(1 / variance), ridge = set(0.1f * variance), factor = set(scale);
  for (size_t at = 0; at < run.point.shape.width; at += kLanes) {  // y is zero past w1
    Float products = set(0), squares = set(0), total = set(0);
    for (size_t i = 0; i < count; i++) {
      const Float y = load(row[i].y + at);
      products = fma(y, load(row[i].means + at), products);
      squares = fma(y, y, squares);
    }
    for (size_t i = 0; i < count; i++) {
      const Float y = load(row[i].y + at), product = y * load(row[i].means + at), square = y * y;
      Float share = product * inverse;
      if (count > 1) {
        const Float kappa = (products - product) / ((squares - square) + ridge);
        share = share - kappa * fma(square, inverse, set(-1));
      }
      total = total + share;
    }
    store(coefficients + at, fma(factor, total, first ? set(0) : load(coefficients + at)));
  }
}

// lambda_ic of a group's blocks (classes each).
inline void noise_slopes(const WalshRun& run, const WalshRow* row, size_t count) {
  const WalshShape& shape = run.point.shape;
  for (size_t c = 0; c < shape.classes; c++) {
    float products = 0, squares = 0;
    for (size_t i = 0; i < count; i++) {
      products += row[i].n[c] * row[i].means[shape.width + c];
      squares += row[i].n[c] * row[i].n[c];
    }
    for (size_t i = 0; i < count; i++) {
      const float n = row[i].n[c];
      row[i].slope[c] = count == 1 ? 0
                                   : (products - n * row[i].means[shape.width + c]) /
                                         ((squares - n * n) + 1e-3f * run.point.scale2 * row[i].own);
    }
  }
}

// Row b's share of D2 from a group's blocks: its sum over them times scale, added to `second` by classes.
template <int kCount>
inline void second_layer_row(const WalshRun& run, const WalshRow* row, size_t count, float center,
                             float scale, float* scratch, float* second) {
  const WalshShape& shape = run.point.shape;
  const size_t length = shape.length;
  float level_sum = 0;
  for (size_t i = 0; i < count; i++) level_sum += row[i].mean;
  noise_slopes(run, row, count);
  const float factor = scale / float(2 * shape.m);
  for (size_t c = 0; c < shape.classes; c++) {
    for (size_t i = 0; i < count; i++) {
      const WalshRow& r = row[i];
      const Float minus_lambda = set(-r.slope[c]), noise = set(r.n[c]);
      const Float level = set(count > 1 ? (level_sum - r.mean) / float(count - 1) : center);
      const float *signs = run.point.signs + c * length, *n_part = r.n_part + c * length;
      Float total = set(0);
      // psi - lambda of the vector at v, e = +1 or -1
      const auto psi = [&](Float eta, size_t v, size_t half) {
        const Float rest = fma(minus_lambda, eta, load(r.losses + half + v * kLanes) - level);
        return eta * rest * load(r.inverse + half + v * kLanes);
      };
      const auto source = [&](size_t v) {
        const Float own = load(n_part + v * kLanes), flipped = flip(noise, load(signs + v * kLanes));
        const Float plus = psi(own + flipped, v, 0), minus = psi(own - flipped, v, length);
        total = total + (plus + minus);
        pin(&total);  // else compilers add last, with all of these in memory meanwhile
        return plus - minus;
      };
      float* to = second + c * length;
      const Float odd = set(factor);
      Float even;
      walsh<kCount>(shape.vectors, shape.vectors, scratch, source, [&](size_t v, Float x) {
        if (v == 0)  // every source has been read by now
          even = set(factor * (sum(total) + float(2 * shape.m) * r.slope[c]));
        if (v >= shape.used) return;
        const size_t at = v * kLanes;
        store(to + at, fma(odd * x, load(r.d + at), fma(even, load(r.a + at), load(to + at))));
      });
    }
  }
}

// |a_b|^2 of row b of the batch, the bias input included; row r of `rows`.
inline float row_norm(const Projection* projection, const Rows& rows, size_t r, size_t b) {
  if (projection != nullptr) return float(projection->gram[b * projection->rows + b]);
  float total = 1;
  const size_t count = rows.sparse ? rows.length[r] : rows.width;
  for (size_t i = 0; i < count; i++) total += rows.value[r * rows.width + i] * rows.value[r * rows.width + i];
  return total;
}

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
// both times scale/B. first_group: C is set, else added to. False if cancelled.
template <int kCount>
inline bool walsh_rows(const WalshRun& run, size_t count, double scale, bool first_group,
                       float* coefficients) {
  const WalshShape& shape = run.point.shape;
  const size_t batch = run.q->batches[0].size, length = shape.length;
  const float per_row = float(scale / double(batch));
  fork_items(run.context->executor, run.chunks, [&](size_t chunk, unsigned w) {
    WalshWorker& worker = run.workers[w];
    const WalshSums& sums = run.sums[chunk];
    std::memset(sums.second, 0, shape.classes * length * sizeof(float));
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
          walsh_row<kCount>(run.point, run.noise[i], base + r * length, worker.y[i] + r * length,
                            rows.labels[offset + r], worker.scratch, &row);
          float* losses = sums.losses + i * 2 * length;
          for (size_t at = 0; at < 2 * length; at += kLanes)
            store(losses + at, load(losses + at) + load(row.losses + at));
          if (run.by_rows) sign_mean<kCount>(shape, row.losses, worker.scratch, row.means);
        }
        if (!run.by_rows) continue;
        const float variance = run.point.scale2 * row_norm(run.sampled.projection, rows, offset + r, b);
        first_layer_row(run, worker.row, count, variance, per_row, first_group, coefficients + b * length);
        if (shape.layout == WalshLayout::kRowSplit)
          second_layer_row<kCount>(run, worker.row, count, run.center == nullptr ? 0 : run.center[b], per_row,
                                   worker.scratch, sums.second);
      }
    }
  });
  return !run.context->cancelled->load();
}

// Each row's loss at x (B): the level of a block without others. whole: the batch's rows, and A x (B x
// base_row) is known; or null.
inline float* center_losses(const Question& q, const Rows* whole, const float* base, size_t base_row,
                            Workspace& workspace) {
  const size_t batch = q.batches[0].size;
  float* losses = workspace.take<float>(batch);
  const size_t capacity = std::min(batch, kRowBlock), width = q.network->layers[1];
  const Pass pass = new_pass(workspace, *q.network, capacity);
  Rows rows;
  if (whole == nullptr) rows = new_rows(workspace, capacity, q.network->layers[0]);
  for (size_t first = 0; first < batch; first += kRowBlock) {
    const size_t count = std::min(kRowBlock, batch - first);
    if (whole == nullptr) {
      load_rows(q.batches[0], first, count, &rows);
      first_product(rows, 0, count, q.parameters, width, pass.signal[1], pass.stride[1]);
    } else {
      rows.labels = whole->labels + first;
      for (size_t r = 0; r < count; r++)
        std::memcpy(pass.signal[1] + r * pass.stride[1], base + (first + r) * base_row,
                    width * sizeof(float));
    }
    forward(*q.network, q.parameters + tail_offset(*q.network), pass, 0, count);
    row_losses(*q.network, *q.loss, rows.labels, pass, 0, count, 0);
    std::memcpy(losses + first, pass.row_loss, count * sizeof(float));
  }
  return losses;
}

inline float* walsh_center(const WalshRun& run) {
  return center_losses(*run.q, run.projected ? &run.sampled.rows : nullptr, run.sampled.base,
                       run.point.shape.length, *run.workspace);
}

END_TARGET
