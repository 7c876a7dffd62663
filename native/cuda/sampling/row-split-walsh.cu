// Rows under Walsh blocks. By rows, with D = (mean_b f - c0)/delta, w = exp(-D) = 1 - D + rho, G = WHT(f+ -
// f-)/2m, s_b^2 = s^2 |a_b|^2, the first-order part of the gradient is (A^T D1, D2),
//
//   D1_bh = (1/BK) sum_i [y G/s_b^2 - kappa_i (y^2/s_b^2 - 1)],
//           kappa_i = sum' y G / (sum' y^2 + kKappaRidge s_b^2), sum' over the group's other blocks
//   D2_hc = (1/2mBK) sum_b sum_i [a_h sum_g (psi+ + psi-) + d_h WHT(psi+ - psi-)_h],
//           psi = eta (f - c_i - lambda_ic eta)/(s^2 |hidden|^2) + lambda_ic, eta = e t_gc n_c + N_gc,
//           lambda_ic = sum' n_c G_{d1+c} / (sum' n_c^2 + kLambdaRidge s^2 sum (a^2 + d^2)), c_i: mean f of
//           the others.
//
// A block of threads takes a group of Walsh blocks and walks over its rows, a team a Walsh block, so
// that the slopes from the other blocks are in its shared memory and a row's losses are never stored beyond
// it. Per row: every team the losses, a barrier, D1 and every team its share of D2, a barrier, the shares'
// sum in order, a barrier.
//
// Cost at m = 256, from the compiler's code for sm_90, in instructions of a warp: the loss's loop over the
// classes has 425 a class (240 for weights only) for 512 samples of a row, the second layer's 277; with what
// a row and block needs once about 9,700 (3,200). Twenty rows of ten classes are then 12,100 instructions a
// sample (4,000), with its noise 13,100 (5,000). An H200 issues 3e13 a second: floors of 0.44 (0.17) ns a
// sample, 2.3e9 (5.9e9) samples a second; its shuffles, 1,575 a row and block, allow 3.8e9. Memory: the noise
// of a block, y and Z, is 26 kB for 512 samples, written and read once (about 100 bytes a sample), its losses
// 8 bytes a sample, D1's and D2's partial sums 8 more: at 1e9 samples a second a fortieth of what the memory
// gives.
#include <string>

#include "../../description.h"
#include "../linear/transform.h"
#include "../machine/parts.h"
#include "row-split-walsh.h"

namespace local_entropy {

namespace {

constexpr unsigned kThreads = 256;

// Places of G that are kept.
__host__ __device__ inline uint32_t walsh_places(const WalshShape& shape) {
  return shape.width + (shape.layout == WalshLayout::kRowSplit ? shape.classes : 0);
}

// Shared memory of a block of threads, in floats, in this order.
struct RowsPool {
  uint32_t exchange, means, dots, slopes, level, levels, own, slots;

  __host__ __device__ RowsPool(const WalshShape& shape, bool by_rows, uint32_t count, unsigned threads) {
    exchange = 0;
    means = shape.threads > 32 ? shape.registers * threads : 0;
    dots = means + (by_rows ? count * walsh_places(shape) : 0);
    slopes = dots + count * shape.classes;
    level = slopes + count * shape.classes;
    levels = level + count;
    own = levels + count;
    slots = own + count;
  }
};

// What a block of threads keeps of a row, slot by slot.
struct RowsState {
  float *means, *dots, *slopes;  // G, n_c, lambda_ic: slots x places, slots x C, slots x C
  float *level, *levels, *own;   // mean f, c_i, sum (a^2 + d^2): slots
  float* slot;                   // slots x (C m + 2m)
  uint32_t places, slot_floats;
  uint64_t first;  // the group's first block, within the wave
  uint32_t count;  // the group's blocks
};

// Row b of B K D1: the group's sum, a unit a thread.
__device__ void first_layer_row(const WalshRowsTask& task, const RowsState& state, uint32_t row, float* to) {
  const WalshShape& shape = task.point.shape;
  const float variance = task.point.scale2 * task.point.norms[task.first_row + row];
  const float inverse = 1 / variance, ridge = float(kKappaRidge) * variance;
  const float* y = task.y + (state.first * task.rows + row) * shape.width;
  const size_t stride = size_t(task.rows) * shape.width;
  for (uint32_t h = threadIdx.x; h < shape.width; h += blockDim.x) {
    float products = 0, squares = 0, total = 0;
    for (uint32_t i = 0; i < state.count; i++) {
      const float own = y[i * stride + h];
      products = fmaf(own, state.means[i * state.places + h], products);
      squares = fmaf(own, own, squares);
    }
    for (uint32_t i = 0; i < state.count; i++) {
      if (task.part != kAllParts && i != task.part) continue;
      const float own = y[i * stride + h], product = own * state.means[i * state.places + h],
                  square = own * own;
      float share = product * inverse;
      if (state.count > 1)
        share -= __fdividef(products - product, squares - square + ridge) * fmaf(square, inverse, -1.0f);
      total += share;
    }
    to[h] = total;
  }
}

// Slopes lambda_ic of all slots, and their levels c_i: a pair of slot and class a thread.
__device__ void find_controls(const WalshRowsTask& task, const RowsState& state, uint32_t b) {
  const uint32_t classes = task.point.shape.classes;
  for (uint32_t at = threadIdx.x; at < task.slots * classes; at += blockDim.x) {
    const uint32_t slot = at / classes, c = at % classes;
    float products = 0, squares = 0, levels = 0;
    for (uint32_t i = 0; i < state.count; i++) {
      if (i == slot) continue;
      const float n = state.dots[i * classes + c];
      products = fmaf(n, state.means[i * state.places + task.point.shape.width + c], products);
      squares = fmaf(n, n, squares);
      levels += state.level[i];
    }
    const bool alone = state.count == 1;
    state.slopes[at] =
        alone ? 0 : products / fmaf(float(kLambdaRidge) * task.point.scale2, state.own[slot], squares);
    if (c == 0) state.levels[slot] = alone ? task.point.center[b] : levels / float(state.count - 1);
  }
}

// A slot's share of 2m B K D2, in place of its N_c.
template <int R>
__device__ void second_layer_slot(const WalshRowsTask& task, const RowsState& state, uint32_t slot,
                                  WalshUnit<R, WalshLayout::kRowSplit>* unit) {
  const WalshShape& shape = task.point.shape;
  const WalshTeam<R>& team = unit->team;
  float plus[R], minus[R], inverse_plus[R], inverse_minus[R], x[R];  // f, 1/(s^2 |hidden|^2)
  const float* kept = unit->noise + size_t(shape.classes) * shape.m;
#pragma unroll
  for (int r = 0; r < R; r++) {
    plus[r] = team.inside(r) ? team.at(kept, r) : 0;
    minus[r] = team.inside(r) ? team.at(kept + team.length(), r) : 0;
    x[r] = 2 * unit->a[r] * unit->d[r];
  }
  walsh_transform(team, x);
  const float own = state.own[slot], level = state.levels[slot];
#pragma unroll
  for (int r = 0; r < R; r++) {
    inverse_plus[r] = __fdividef(1, task.point.scale2 * (own + x[r]));
    inverse_minus[r] = __fdividef(1, task.point.scale2 * (own - x[r]));
  }
  for (uint32_t c = 0; c < shape.classes; c++) {
    const float slope = state.slopes[slot * shape.classes + c];
    const float dot = state.dots[slot * shape.classes + c];
    float* noise = unit->noise + c * team.length();
    uint32_t flips[R];
    walsh_flips(team, shape.width + c, flips);
    float total = 0;
#pragma unroll
    for (int r = 0; r < R; r++) {
      const bool inside = team.inside(r);
      const float part = inside ? team.at(noise, r) : 0, flip = flipped(dot, flips[r]);
      const float up = part + flip, down = part - flip;
      float psi_plus = fmaf(-slope, up, plus[r] - level);
      float psi_minus = fmaf(-slope, down, minus[r] - level);
      psi_plus = fmaf(up * psi_plus, inverse_plus[r], slope);
      psi_minus = fmaf(down * psi_minus, inverse_minus[r], slope);
      x[r] = inside ? psi_plus - psi_minus : 0;
      total += inside ? psi_plus + psi_minus : 0;
    }
    total = team_sum(team, total);
    walsh_transform(team, x);
#pragma unroll
    for (int r = 0; r < R; r++) {
      if (team.inside(r)) team.at(noise, r) = fmaf(unit->a[r], total, unit->d[r] * x[r]);
    }
  }
}

// Adds the slots' shares of D2 in order to `to` (C x (d1 + 1)).
__device__ void add_second(const WalshRowsTask& task, const RowsState& state, bool begins, float* to) {
  const WalshShape& shape = task.point.shape;
  const uint32_t rows = shape.width + 1;
  const float factor = 1.0f / float(2 * shape.m);
  for (uint32_t at = threadIdx.x; at < shape.classes * rows; at += blockDim.x) {
    const float* share = state.slot + size_t(at / rows) * shape.m + at % rows;
    float sum = 0;
    for (uint32_t i = 0; i < state.count; i++)
      if (task.part == kAllParts || i == task.part) sum += share[size_t(i) * state.slot_floats];
    to[at] = begins ? factor * sum : fmaf(factor, sum, to[at]);
  }
}

// A slot's losses: added to the block's sums, kept for the second layer, and by rows G, level and own square.
template <int R, WalshLayout kLayout>
__device__ void slot_losses(const WalshRowsTask& task, const RowsState& state, uint32_t b, uint64_t block,
                            bool begins, uint32_t slot, float* sums, WalshUnit<R, kLayout>* unit) {
  const WalshShape& shape = task.point.shape;
  const WalshTeam<R>& team = unit->team;
  float plus[R], minus[R];
  if constexpr (kLayout != WalshLayout::kNoHidden) unit->half_activations();
  unit->losses(b, block * 2 * shape.m, plus, minus);
  float level = 0;
#pragma unroll
  for (int r = 0; r < R; r++) {
    level += plus[r] + minus[r];
    if (!team.inside(r) || slot >= state.count) continue;
    float &up = team.at(sums, r), &down = team.at(sums + team.length(), r);
    up = plus[r] + (begins ? 0 : up);
    down = minus[r] + (begins ? 0 : down);
  }
  if (!task.by_rows) return;
  const float factor = 1.0f / float(2 * shape.m);
  float* kept = state.slot + size_t(slot) * state.slot_floats + size_t(shape.classes) * shape.m;
  float x[R];
#pragma unroll
  for (int r = 0; r < R; r++) {
    x[r] = factor * (plus[r] - minus[r]);
    if (kLayout != WalshLayout::kRowSplit || !team.inside(r)) continue;
    team.at(kept, r) = plus[r];
    team.at(kept + team.length(), r) = minus[r];
  }
  walsh_transform(team, x);
#pragma unroll
  for (int r = 0; r < R; r++)
    if (team.place(r) < state.places) state.means[slot * state.places + team.place(r)] = x[r];
  level = factor * team_sum(team, level);
  const float own = kLayout == WalshLayout::kRowSplit ? unit->own_square() : 0;
  if (team.thread != 0) return;
  state.level[slot] = level;
  state.own[slot] = own;
}

template <int R, WalshLayout kLayout>
__global__ void __launch_bounds__(kThreads, R > 8 ? 1 : 2) rows_kernel(WalshRowsTask task) {
  const WalshShape& shape = task.point.shape;
  const uint32_t chunk = blockIdx.x, group = blockIdx.y, cta = group * gridDim.x + chunk;
  const uint64_t wave_first = share_begin(task.blocks, task.groups, task.first_group);
  const uint64_t first = share_begin(task.blocks, task.groups, task.first_group + group);
  const uint64_t next = share_begin(task.blocks, task.groups, task.first_group + group + 1);
  float* pool = dynamic_shared<float>();
  const RowsPool at(shape, task.by_rows, task.slots, blockDim.x);
  const uint32_t slot_floats = (shape.classes + 2) * shape.m;
  const RowsState state{
      pool + at.means,
      pool + at.dots,
      pool + at.slopes,
      pool + at.level,
      pool + at.levels,
      pool + at.own,
      task.scratch == nullptr ? pool + at.slots : task.scratch + size_t(cta) * task.slots * slot_floats,
      walsh_places(shape),
      slot_floats,
      first - wave_first,
      uint32_t(next - first)};
  const WalshTeam<R> team(shape, pool + at.exchange);
  const uint32_t teams = blockDim.x / team.threads();
  const uint32_t begin = uint64_t(task.rows) * chunk / task.chunks,
                 end = uint64_t(task.rows) * (chunk + 1) / task.chunks;
  const auto unit_of = [&](uint32_t slot, uint32_t row) {
    const uint64_t i = state.first + (slot < state.count ? slot : state.count - 1);
    return WalshUnit<R, kLayout>{task.point,
                                 team,
                                 task.second + i * shape.classes * shape.m,
                                 task.y + (i * task.rows + row) * shape.width,
                                 task.point.base + size_t(task.first_row + row) * shape.width,
                                 state.slot + size_t(slot) * slot_floats,
                                 state.dots + slot * shape.classes};
  };
  for (uint32_t row = begin; row < end; row++) {
    const uint32_t b = task.first_row + row;
    for (uint32_t slot = team.number; slot < task.slots; slot += teams) {
      const uint64_t i = state.first + (slot < state.count ? slot : state.count - 1);
      auto unit = unit_of(slot, row);
      slot_losses(task, state, b, wave_first + i, row == begin, slot,
                  task.losses + (size_t(chunk) * task.wave_blocks + i) * 2 * shape.m, &unit);
    }
    if (!task.by_rows) continue;
    __syncthreads();
    first_layer_row(task, state, row, task.first + (size_t(group) * task.rows + row) * shape.width);
    if constexpr (kLayout == WalshLayout::kRowSplit) {
      find_controls(task, state, b);
      __syncthreads();
      for (uint32_t slot = team.number; slot < task.slots; slot += teams) {
        auto unit = unit_of(slot, row);
        unit.half_activations();
        second_layer_slot<R>(task, state, slot, &unit);
      }
      __syncthreads();
      add_second(task, state, row == begin,
                 task.second_sums + size_t(cta) * shape.classes * (shape.width + 1));
    }
    __syncthreads();
  }
}

template <WalshLayout kLayout>
void enqueue(const WalshRowsTask& task, const Launch& shape, Stream stream) {
  switch (task.point.shape.registers) {
    case 1:
      return launch(rows_kernel<1, kLayout>, shape, stream, task);
    case 2:
      return launch(rows_kernel<2, kLayout>, shape, stream, task);
    case 4:
      return launch(rows_kernel<4, kLayout>, shape, stream, task);
    case 8:
      return launch(rows_kernel<8, kLayout>, shape, stream, task);
    default:
      return launch(rows_kernel<16, kLayout>, shape, stream, task);
  }
}

unsigned threads_for(const WalshShape& shape, uint32_t slots) {
  const uint32_t teams = kThreads / shape.threads;
  return (slots < teams ? slots : teams) * shape.threads;
}

size_t pool_bytes(const WalshShape& shape, bool by_rows, uint32_t slots, bool shared) {
  const size_t floats = RowsPool(shape, by_rows, slots, threads_for(shape, slots)).slots;
  return (floats + (shared ? slots * walsh_slot_floats(shape) : 0)) * sizeof(float);
}

}  // namespace

WalshShape new_walsh_shape(const Network& network, bool rowwise) {
  constexpr uint32_t kMostRegisters = 16, kMost = kMostRegisters * kThreads;
  WalshShape shape{};
  shape.width = network.layers[1];
  shape.classes = network.classes();
  shape.layout = network.depth() == 1 ? WalshLayout::kNoHidden
                 : rowwise            ? WalshLayout::kRowSplit
                                      : WalshLayout::kWeightsOnly;
  shape.m = uint32_t(walsh_length(network, rowwise));
  if (shape.m > kMost)
    throw DeviceError("Expected at most " + std::to_string(kMost) +
                      " hidden units and classes for network with Walsh blocks on cuda but received " +
                      std::to_string(shape.width + (shape.layout == WalshLayout::kRowSplit ? shape.classes
                                                    : shape.layout == WalshLayout::kWeightsOnly ? 1
                                                                                                : 0)));
  shape.registers = shape.m <= 32 ? 1 : shape.m / 32 < kMostRegisters ? shape.m / 32 : kMostRegisters;
  shape.threads = shape.m <= 32 ? 32 : shape.m / shape.registers;
  return shape;
}

size_t walsh_slot_floats(const WalshShape& shape) { return size_t(shape.classes + 2) * shape.m; }

bool walsh_slots_shared(const WalshShape& shape, bool by_rows, uint32_t slots) {
  return shape.layout != WalshLayout::kRowSplit ||
         pool_bytes(shape, by_rows, slots, true) + 1024 <= shared_memory_per_block();  // block_join's own
}

uint32_t walsh_slots(const WalshShape& shape, uint32_t most) {
  const uint32_t teams = kThreads / shape.threads;
  return most < teams ? most : (most + teams - 1) / teams * teams;
}

void walsh_rows(const WalshRowsTask& task, DeviceContext& context) {
  const WalshShape& shape = task.point.shape;
  const bool slots = shape.layout == WalshLayout::kRowSplit && task.scratch == nullptr;
  const Launch grid{dim3(task.chunks, task.wave_groups), threads_for(shape, task.slots),
                    pool_bytes(shape, task.by_rows, task.slots, slots)};
  switch (shape.layout) {
    case WalshLayout::kRowSplit:
      return enqueue<WalshLayout::kRowSplit>(task, grid, context.stream);
    case WalshLayout::kWeightsOnly:
      return enqueue<WalshLayout::kWeightsOnly>(task, grid, context.stream);
    case WalshLayout::kNoHidden:
      return enqueue<WalshLayout::kNoHidden>(task, grid, context.stream);
  }
}

}  // namespace local_entropy
