// Importance sampling and evolution strategies with Walsh blocks, at most one hidden layer: waves of blocks
// through their rows (row-split-walsh.cu), then weights and the remainder, and the gradient
//
//   of F: [A^T (s^2/tau) D1 - (delta s/tau) Q mean_i(U_i diag E_i)]/mean w, and so the second layer, E from
//   rho by rows and from w where not; of heat: (A^T D1, D2), or mean f Z/s.
//
// Symbols: B rows, K blocks, m the transform's length, J = 2mK samples, d1 units, C classes, C_b (B x d1)
// coefficients of the first layer's gradient.
#include <algorithm>

#include "../../description.h"
#include "../linear/first-layer.h"
#include "../linear/product.h"
#include "../linear/projection.h"
#include "../machine/block.h"
#include "../machine/parts.h"
#include "../network/loss.h"
#include "row-split-walsh.h"
#include "walsh-noise.h"
#include "walsh.h"

namespace local_entropy {

namespace {

constexpr unsigned kThreads = 256;
constexpr uint32_t kBlocksOfThreads = 264;  // wanted in a launch: two a multiprocessor of the largest device

// weights (C x m, zeros past d1) <- W_c.
__global__ void by_classes(const float* w, WalshShape shape, float* weights) {
  const uint32_t at = blockIdx.x * blockDim.x + threadIdx.x, c = at / shape.m, h = at % shape.m;
  if (c < shape.classes) weights[at] = h <= shape.width ? w[size_t(h) * shape.classes + c] : 0;
}

// Each row's loss at x; a warp a row. logits: B x C.
__global__ void center_losses(WalshPoint point, float* logits, float* losses) {
  const WalshShape& shape = point.shape;
  const size_t b = size_t(blockIdx.x) * (kThreads / 32) + threadIdx.x / 32;
  const uint32_t lane = threadIdx.x % 32;
  if (b >= point.batch.size) return;
  const float* base = point.base + b * shape.width;
  float* z = logits + b * shape.classes;
  for (uint32_t c = 0; c < shape.classes; c++) {
    float sum = 0;
    if (shape.layout == WalshLayout::kNoHidden) {
      sum = base[c];
    } else {
      const float* w = point.weights + size_t(c) * shape.m;
      for (uint32_t h = lane; h < shape.width; h += 32)
        sum = fmaf(activate(point.activation, base[h]), w[h], sum);
      sum = warp_sum(sum) + w[shape.width];
    }
    if (lane == 0) z[c] = sum;
  }
  if (lane == 0) losses[b] = row_loss(z, shape.classes, point.batch, b, point.loss, point.loss.samples);
}

// losses (first … of all) (+)= mean over B of the chunks' sums.
__global__ void merge_losses(const float* parts, uint32_t chunks, size_t size, float scale, bool add,
                             float* losses) {
  const size_t at = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= size) return;
  float sum = 0;
  for (uint32_t chunk = 0; chunk < chunks; chunk++) sum += parts[chunk * size + at];
  losses[at] = add ? fmaf(scale, sum, losses[at]) : scale * sum;
}

// gradient ((d1 + 1) x C) <- first_order D2 (by classes) + factor/K Z's sum (as drawn, or null).
__global__ void second_gradient(const SampleWeights* weights, WalshShape shape, const float* d2,
                                const float* noise, double blocks, float* gradient) {
  const uint32_t at = blockIdx.x * blockDim.x + threadIdx.x, rows = shape.width + 1;
  if (at >= rows * shape.classes) return;
  float value =
      d2 == nullptr ? 0 : float(weights->first_order) * d2[at % shape.classes * rows + at / shape.classes];
  if (noise != nullptr) value = fmaf(float(weights->factor / blocks), noise[at], value);
  gradient[at] = value;
}

struct WalshRun {
  const Estimator* estimator;
  const DeviceQuestion* q;
  DeviceContext* context;
  const Projection* projection;  // or null
  WalshPoint point;
  WalshNoise noise;
  float* factor;    // s L, projected
  uint64_t blocks;  // K
  uint32_t most_rows, most_groups;
  float *u, *y, *second, *losses, *first, *second_sums, *scratch;  // of a wave
};

// The first-order part of some groups.
struct FirstOrder {
  float* c;   // B x d1
  float* d2;  // C x (d1 + 1), or null
};

bool row_split(const WalshRun& run) { return run.point.shape.layout == WalshLayout::kRowSplit; }

uint64_t group_count(uint64_t blocks) { return (blocks + kBlocksInGroup - 1) / kBlocksInGroup; }

// Fixed by the problem alone, so that sums do not depend on the device.
uint32_t chunk_count(uint32_t groups, uint32_t rows) {
  return std::max(1u, std::min(rows, kBlocksOfThreads / std::max(1u, groups)));
}

void take_wave(WalshRun* run) {
  DeviceArena& arena = *run->context->arena;
  const WalshShape& shape = run->point.shape;
  const bool direct = run->projection == nullptr;
  const size_t batch = run->q->batches[0].size, in_group = std::min(run->blocks, uint64_t(kBlocksInGroup));
  run->most_rows = uint32_t(direct ? std::min(batch, portions.rows) : batch);
  const size_t y = size_t(run->most_rows) * shape.width, u = direct ? run->noise.layout.count[0] : 0;
  const size_t of_second =
      row_split(*run) || shape.layout == WalshLayout::kWeightsOnly ? shape.classes * shape.m : 0;
  const uint32_t slots = walsh_slots(shape, uint32_t(in_group));
  const bool scratch = !walsh_slots_shared(shape, run->estimator->rowwise, slots);
  const size_t of_scratch = scratch ? slots * walsh_slot_floats(shape) : 0;
  const size_t of_group = in_group * (y + u + of_second + 2 * shape.m) + y + of_scratch;
  const uint64_t groups = group_count(run->blocks);
  constexpr uint64_t kMostGrid = 65535 / kBlocksInGroup;
  run->most_groups =
      uint32_t(std::max(uint64_t(1), std::min({groups, portions.floats / of_group, kMostGrid})));
  const size_t wave = run->most_groups * in_group, launched = std::max(kBlocksOfThreads, run->most_groups);
  run->y = arena.take<float>(wave * y);
  run->u = direct ? arena.take<float>(wave * u) : run->y;
  run->second = arena.zeros<float>(run->context->stream, wave * of_second);
  run->first = run->estimator->rowwise ? arena.take<float>(run->most_groups * y) : nullptr;
  run->second_sums =
      row_split(*run) ? arena.take<float>(launched * shape.classes * (shape.width + 1)) : nullptr;
  run->losses = arena.take<float>(std::max(wave, in_group * kBlocksOfThreads) * 2 * shape.m);
  run->scratch = scratch ? arena.take<float>(launched * of_scratch) : nullptr;
}

WalshRun new_walsh_run(const Estimator& estimator, const DeviceQuestion& q, const Projection* projection,
                       DeviceContext& context) {
  WalshRun run{};
  run.estimator = &estimator;
  run.q = &q;
  run.context = &context;
  run.projection = projection;
  run.blocks = estimator.coupling.blocks;
  const Network& network = *q.network;
  const DeviceBatch& batch = q.batches[0];
  WalshPoint& point = run.point;
  point.shape = new_walsh_shape(network, estimator.rowwise);
  point.activation = network.activation;
  point.loss = q.loss;
  point.batch = batch;
  point.scale2 = float(q.noise_scale * q.noise_scale);
  const WalshShape& shape = point.shape;
  run.noise = {new_noise_layout(network, projection), q.seed, q.update};
  float* base = context.arena->take<float>(batch.size * shape.width);
  first_product(batch, q.parameters, shape.width, base, shape.width, context);
  point.base = base;
  if (network.depth() > 1) {
    float* weights = context.arena->take<float>(size_t(shape.classes) * shape.m);
    launch(by_classes, {blocks_for(size_t(shape.classes) * shape.m, kThreads), kThreads}, context.stream,
           q.parameters + network.shape(2).offset, shape, weights);
    point.weights = weights;
  }
  if (projection != nullptr) run.factor = scaled_factor(*projection, q.noise_scale, context);
  if (estimator.rowwise) point.norms = row_norms(batch, context);
  take_wave(&run);
  return run;
}

void find_center(WalshRun* run) {
  const size_t batch = run->q->batches[0].size;
  float* logits = run->context->arena->take<float>(batch * run->point.shape.classes);
  float* losses = run->context->arena->take<float>(batch);
  launch(center_losses, {blocks_for(batch, kThreads / 32), kThreads}, run->context->stream, run->point,
         logits, losses);
  run->point.center = losses;
}

// y of a wave's rows, and where they begin.
void make_y(const WalshRun& run, uint32_t wave_blocks, uint32_t first_row, uint32_t rows) {
  const WalshShape& shape = run.point.shape;
  if (run.projection != nullptr) {
    mix_walsh_blocks(run.factor, rows, shape.width, wave_blocks, run.y, *run.context);
    return;
  }
  const size_t width = run.q->network->layers[0], count = run.noise.layout.count[0];
  Product p{rows, shape.width, width,      run.u, shape.width, 1, run.u + width * shape.width,
            0,    run.y,       shape.width};
  p.count = wave_blocks;
  p.b_next = p.start_next = count;
  p.c_next = size_t(rows) * shape.width;
  product(*run.context, InputsLeft{rows_of(run.q->batches[0], first_row, rows), false}, p);
}

// Groups first_group … + wave_groups - 1 of K blocks in `groups` groups: their losses (all of J) and, by
// rows, their part of C and D2, times `scale`; of one block of each group alone where `part` says so.
void wave_of_groups(const WalshRun& run, uint64_t groups, uint64_t first_group, uint32_t wave_groups,
                    uint32_t part, double scale, bool add, float* losses, const FirstOrder& h) {
  const WalshShape& shape = run.point.shape;
  DeviceContext& context = *run.context;
  const uint64_t first = share_begin(run.blocks, groups, first_group),
                 next = share_begin(run.blocks, groups, first_group + wave_groups);
  const uint32_t wave_blocks = uint32_t(next - first);
  const uint32_t most = uint32_t((run.blocks + groups - 1) / groups);
  const size_t batch = run.q->batches[0].size;
  draw_walsh_blocks(run.noise, shape, run.q->noise_scale, run.projection == nullptr, first, wave_blocks,
                    run.u, run.second, context);
  for (uint32_t row = 0; row < batch; row += run.most_rows) {
    const uint32_t rows = uint32_t(std::min(size_t(run.most_rows), batch - row));
    make_y(run, wave_blocks, row, rows);
    const uint32_t chunks = chunk_count(wave_groups, rows);
    const WalshRowsTask task{run.point,
                             run.estimator->rowwise,
                             run.blocks,
                             groups,
                             first_group,
                             wave_groups,
                             wave_blocks,
                             row,
                             rows,
                             chunks,
                             part,
                             walsh_slots(shape, most),
                             run.y,
                             run.second,
                             run.losses,
                             run.first,
                             run.second_sums,
                             run.scratch};
    walsh_rows(task, context);
    const size_t size = size_t(wave_blocks) * 2 * shape.m;
    launch(merge_losses, {blocks_for(size, kThreads), kThreads}, context.stream, run.losses, chunks, size,
           float(1 / double(batch)), row > 0, losses);
    if (!run.estimator->rowwise) continue;
    add_parts(run.first, wave_groups, size_t(rows) * shape.width, scale / double(batch), add,
              h.c + size_t(row) * shape.width, context);
    if (row_split(run))
      add_parts(run.second_sums, size_t(wave_groups) * chunks, size_t(shape.classes) * (shape.width + 1),
                scale / double(batch), add || row > 0, h.d2, context);
  }
}

FirstOrder new_first_order(const WalshRun& run) {
  const WalshShape& shape = run.point.shape;
  DeviceArena& arena = *run.context->arena;
  return {arena.take<float>(run.q->batches[0].size * shape.width),
          row_split(run) ? arena.take<float>(size_t(shape.classes) * (shape.width + 1)) : nullptr};
}

// gradient (n) from the first-order part and the remainder's sums over `blocks` blocks (or null).
void write_gradient(const WalshRun& run, const SampleWeights* weights, const FirstOrder& h,
                    const float* noise, double blocks, DeviceFactored* factored, float* gradient) {
  const WalshShape& shape = run.point.shape;
  DeviceContext& context = *run.context;
  const DeviceFactor of_c =
      run.estimator->rowwise ? DeviceFactor{&weights->first_order, 1} : DeviceFactor{nullptr, 0};
  write_first_layer(*run.q, run.projection, h.c, of_c, noise, {&weights->factor, 1 / blocks}, context,
                    factored, gradient);
  if (shape.layout == WalshLayout::kNoHidden) return;
  const size_t offset = run.q->network->shape(2).offset;
  launch(second_gradient, {blocks_for(size_t(shape.width + 1) * shape.classes, kThreads), kThreads},
         context.stream, weights, shape, h.d2,
         noise == nullptr ? nullptr : noise + run.noise.layout.offset[1], blocks, gradient + offset);
}

// Of the blocks' own parts g_i of the estimate: mean (n, double) += g, and parts (one a block of threads) +=
// |g|^2.
__global__ void add_estimate(const float* g, size_t n, double* mean, double* parts) {
  const size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
  const double value = i < n ? double(g[i]) : 0;
  if (i < n) mean[i] += value;
  const double square = block_sum(value * value);
  if (threadIdx.x == 0) parts[blockIdx.x] += square;
}

// sqrt(sum_i |g_i - mean|^2/(K (K - 1))), by one block of threads.
__global__ void spread_of(const double* mean, size_t n, const double* parts, size_t count, double blocks,
                          EstimateNumbers* numbers) {
  double spread = 0;
  for (size_t i = threadIdx.x; i < n; i += blockDim.x) spread -= mean[i] * mean[i] / blocks;
  for (size_t i = threadIdx.x; i < count; i += blockDim.x) spread += parts[i];
  spread = block_sum(spread);
  if (threadIdx.x == 0) numbers->standard_error = sqrt(fmax(0.0, spread) / (blocks * (blocks - 1)));
}

// From the blocks' own parts of the estimate, their slopes from the group's others: a pass of its own, block
// by block. Parts made without the others' slopes would vary far more than the estimate does. signs: E of
// every block, or null.
bool standard_error(WalshRun& run, const SampleWeights* weights, const float* signs,
                    EstimateNumbers* numbers) {
  DeviceContext& context = *run.context;
  DeviceArena& arena = *context.arena;
  const size_t n = run.q->network->parameters(), size = 2 * run.point.shape.m,
               count = blocks_for(n, kThreads);
  const uint64_t groups = group_count(run.blocks), most = std::min(run.blocks, uint64_t(kBlocksInGroup));
  float *gradient = arena.take<float>(n), *losses = arena.take<float>(most * size),
        *noise = arena.take<float>(run.noise.layout.size());
  double *mean = arena.zeros<double>(context.stream, n), *parts = arena.zeros<double>(context.stream, count);
  const DeviceArena::Mark mark = arena.mark();
  for (uint64_t group = 0; group < groups; group++) {
    const uint64_t first = share_begin(run.blocks, groups, group),
                   next = share_begin(run.blocks, groups, group + 1);
    if (group % 8 == 7 && !context.go_on()) return false;
    for (uint64_t i = first; i < next; i++) {
      const FirstOrder h = new_first_order(run);
      if (run.estimator->rowwise)
        wave_of_groups(run, groups, group, 1, uint32_t(i - first), 1, false, losses, h);
      if (signs != nullptr)
        walsh_noise_mean(run.noise, run.point.shape, i, 1, signs + i * size, noise, context);
      write_gradient(run, weights, h, signs == nullptr ? nullptr : noise, 1, nullptr, gradient);
      launch(add_estimate, {unsigned(count), kThreads}, context.stream, gradient, n, mean, parts);
      arena.rewind(mark);
    }
  }
  launch(spread_of, {1, kThreads}, context.stream, mean, n, parts, count, double(run.blocks), numbers);
  return true;
}

}  // namespace

bool walsh_estimate(const Estimator& estimator, const DeviceQuestion& q, DeviceContext& context, Weigh weigh,
                    bool remainder, DeviceFactored* factored, DeviceEstimate* estimate) {
  DeviceArena& arena = *context.arena;
  Projection projection;
  if (estimator.projected) projection = new_projection(q.batches[0], context);
  WalshRun run = new_walsh_run(estimator, q, estimator.projected ? &projection : nullptr, context);
  const size_t size = 2 * run.point.shape.m;
  const uint64_t groups = group_count(run.blocks);
  if (estimator.rowwise && run.blocks == 1) find_center(&run);
  float* losses = arena.take<float>(run.blocks * size);
  const FirstOrder h = new_first_order(run);
  for (uint64_t group = 0; group < groups; group += run.most_groups) {
    if (group > 0 && !context.go_on()) return false;
    const DeviceArena::Mark mark = arena.mark();
    wave_of_groups(run, groups, group, uint32_t(std::min(uint64_t(run.most_groups), groups - group)),
                   kAllParts, 1 / double(run.blocks), group > 0,
                   losses + share_begin(run.blocks, groups, group) * size, h);
    arena.rewind(mark);
  }
  if (q.loss.outputs != nullptr) {
    find_center(&run);
    return context.going_on();
  }
  estimate->samples = run.blocks * size;
  if (estimate->losses != nullptr)
    copy(context.stream, estimate->losses, losses, estimate->samples * sizeof(float));

  SampleWeights* weights = arena.take<SampleWeights>(1);
  weigh(estimator, q, estimate->samples, losses, weights, estimate->numbers, context);
  float* noise = remainder ? arena.take<float>(run.noise.layout.size()) : nullptr;
  if (remainder) {
    walsh_sign_means(run.point.shape, run.blocks, losses, context);
    walsh_noise_mean(run.noise, run.point.shape, 0, run.blocks, losses, noise, context);
  }
  write_gradient(run, weights, h, noise, double(run.blocks), factored, estimate->gradient);
  if (estimate->wants_error && run.blocks > 1 &&
      !standard_error(run, weights, remainder ? losses : nullptr, estimate->numbers))
    return false;
  return context.going_on();
}

}  // namespace local_entropy
