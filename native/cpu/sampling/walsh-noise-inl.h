// The noise of Walsh blocks, and all else that their losses need: the minibatch and x by the coupling's
// layout, and a run's memory.
//
// Symbols: K blocks in groups of at most 8; the rest: walsh-row-inl.h.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "sampled-point-inl.h"
#include "walsh-row-inl.h"

BEGIN_TARGET

inline size_t walsh_groups(size_t blocks) { return (blocks + kBlocksInGroup - 1) / kBlocksInGroup; }

// Into how many chunks the rows are cut, a power of two: a chunk's rows are summed by one worker in order, so
// that threads change no bit. One has eight blocks of a row at least: its sums cost as much as two.
inline size_t row_chunks(size_t batch, size_t blocks) {
  size_t chunks = 1;
  while (chunks < 16 && 2 * chunks <= batch && 16 * chunks <= batch * blocks) chunks *= 2;
  return chunks;
}

// What a worker needs for the rows of one chunk.
struct WalshWorker {
  Rows rows;                     // direct only
  float* base;                   // direct only: chunk rows x length
  float* y[kBlocksInGroup];      // chunk rows x length
  WalshRow row[kBlocksInGroup];  // one a block
  float* scratch;                // length
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
  size_t first_block;            // of those whose noise is drawn
  float* drawn[kBlocksInGroup];  // a block's normals as drawn
  WalshNoise noise[kBlocksInGroup];
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
  const size_t group = std::min<size_t>(run.blocks, kBlocksInGroup);
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
inline void draw_blocks(WalshRun& run, size_t first, size_t count) {
  run.first_block = first;
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

END_TARGET
