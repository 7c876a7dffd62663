// What the sums over Walsh blocks become: losses, weights, remainder, and the gradient of local entropy or
// heat. The formulas stand in row-split-inl.h.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "../network/first-layer-inl.h"
#include "row-split-inl.h"

BEGIN_TARGET

// Log weights' statistics of all J samples, relative to exp(top): w_j = exp(-(f_j - c0)/delta - top).
struct WalshWeights {
  double level, top, mean, squares, largest;  // level c0, mean of w, sum of w^2
};

// e^x - 1 - x, to float32's relative accuracy: its series where |x| < 0.5.
inline Float exp_remainder(Float x) {
  Float p = set(1.0f / 3628800);
  p = fma(p, x, set(1.0f / 362880));
  p = fma(p, x, set(1.0f / 40320));
  p = fma(p, x, set(1.0f / 5040));
  p = fma(p, x, set(1.0f / 720));
  p = fma(p, x, set(1.0f / 120));
  p = fma(p, x, set(1.0f / 24));
  p = fma(p, x, set(1.0f / 6));
  p = fma(p, x, set(0.5f));
  const Float far = exp(x) - set(1) - x;
  const Int near = (Int)(x < set(0.5f)) & (Int)(x > set(-0.5f));
  return select(near, p * x * x, far);
}

// losses (K x 2 x length, f of each sample) -> weights where `remainder` is false, else rho; both relative to
// exp(top). top is 0 unless a weight would leave float32's comfortable range.
inline WalshWeights walsh_weights(const WalshRun& run, bool remainder, float* losses) {
  const WalshShape& shape = run.point.shape;
  const size_t size = run.blocks * 2 * shape.length, halves = 2 * run.blocks, count = halves * shape.m;
  const double delta = run.estimator->temperature;
  WalshWeights all{};
  double total = 0;
  float least = std::numeric_limits<float>::infinity();
  for (size_t h = 0; h < halves; h++) {
    float part = 0;
    for (size_t g = 0; g < shape.m; g++) {
      const float f = losses[h * shape.length + g];
      part += f;
      least = std::min(least, f);
    }
    total += part;
  }
  all.level = total / double(count);
  const double most = -(double(least) - all.level) / delta;
  all.top = most > 20 ? most : 0;
  const Float level = set(float(all.level)), rate = set(float(-1 / delta)), top = set(float(all.top));
  const Float lost = set(float(std::exp(-all.top))), one = set(1);
  double sum_of = 0, squares = 0;
  float largest_of = 0;
  for (size_t at = 0; at < size; at += kLanes) {
    const size_t n = std::min(kLanes, shape.m);  // lanes of a shorter transform
    const Int inside = (Int)(lane_numbers() < uint32_t(n));
    const Float x = rate * (load(losses + at) - level);
    const Float w = select(inside, exp(x - top), set(0));
    sum_of += sum(w);
    squares += sum(w * w);
    largest_of = std::max(largest_of, largest(w));
    if (remainder) {
      const Float rho = all.top == 0 ? exp_remainder(x) : w - lost * (one + x);
      store(losses + at, select(inside, rho, set(0)));
    } else {
      store(losses + at, w);
    }
  }
  all.mean = sum_of / double(count);
  all.squares = squares;
  all.largest = double(largest_of) / sum_of;
  return all;
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

// Chunks' D2 in order.
inline void add_second(const WalshRun& run, float* second) {
  const WalshShape& shape = run.point.shape;
  for (size_t c = 0; c < run.chunks; c++)
    add_scaled(second, 1, run.sums[c].second, shape.classes * shape.length, second);
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

// sqrt(sum_i |g_i - mean|^2/(K (K - 1))) over the blocks' own estimates, without cross-fit: `first_order`
// times the heat part, `factor` times the noise's mean.
template <int kCount>
inline bool walsh_standard_error(WalshRun& run, const float* values, double first_order, double factor,
                                 double* error) {
  const size_t n = run.q->network->parameters(), length = run.point.shape.length;
  float* gradient = run.workspace->take<float>(n);
  double* mean = run.workspace->zeros<double>(n);
  double squares = 0;
  WalshGradient g = new_walsh_gradient(run);
  float *scratch = run.workspace->take<float>(length), *means = run.workspace->take<float>(length);
  run.center = run.by_rows ? walsh_center(run) : nullptr;
  for (size_t i = 0; i < run.blocks; i++) {
    clear(run, &g);
    draw_blocks(run, i, 1);
    if (run.by_rows) {
      if (!walsh_rows<kCount>(run, 1, first_order, true, g.coefficients)) return false;
      add_second(run, g.second);
    }
    if (values != nullptr)
      add_noise_mean<kCount>(run, 0, values + i * 2 * length, float(factor / run.q->noise_scale), true,
                             scratch, means, &g);
    write_walsh_gradient(run, 1, values == nullptr ? 0 : factor, &g, nullptr, gradient);
    add_to_mean(gradient, n, mean, &squares);
  }
  const double count = double(run.blocks);
  double of_mean = 0;
  for (size_t i = 0; i < n; i++) of_mean += mean[i] * mean[i] / count;
  *error = std::sqrt(std::max(0.0, squares - of_mean) / (count * (count - 1)));
  return true;
}

template <int kCount>
inline bool walsh_estimate_of(WalshRun& run, Factored* factored, Estimate* estimate) {
  const Question& q = *run.q;
  const WalshShape& shape = run.point.shape;
  const size_t length = shape.length, batch = q.batches[0].size;
  const size_t groups = walsh_groups(run.blocks);
  const bool entropy = run.estimator->kind == Estimator::Kind::kImportanceSampling;
  const double s = q.noise_scale, tau = q.tau, delta = entropy ? run.estimator->temperature : 1;
  const double blocks = double(run.blocks);
  WalshGradient g = new_walsh_gradient(run);
  clear(run, &g);
  float *scratch = run.workspace->take<float>(length), *means = run.workspace->take<float>(length);
  float* losses = run.workspace->take<float>(run.blocks * 2 * length);
  for (size_t group = 0; group < groups; group++) {
    const size_t first = run.blocks * group / groups, count = run.blocks * (group + 1) / groups - first;
    run.center = run.by_rows && count == 1 ? walsh_center(run) : nullptr;
    if (group > 0) draw_blocks(run, first, count);
    if (!walsh_rows<kCount>(run, count, 1 / blocks, group == 0, g.coefficients)) return false;
    if (run.by_rows) add_second(run, g.second);
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
  double first_order = 1, factor = 0;  // of the heat part, and of a block's mean of value Z
  if (entropy) {
    const WalshWeights all = walsh_weights(run, run.by_rows, losses);
    const double samples = double(estimate->samples);
    estimate->loss = all.level;
    estimate->free_energy = all.level - delta * (all.top + std::log(all.mean));
    estimate->effective_sample_size = samples * all.mean * samples * all.mean / all.squares;
    estimate->largest_weight = all.largest;
    first_order = s * s / tau * std::exp(-all.top) / all.mean;
    factor = -delta * s / tau / all.mean;
  } else {
    double total = 0;
    for (size_t half = 0; half < 2 * run.blocks; half++)
      for (size_t i = 0; i < shape.m; i++) total += losses[half * length + i];
    estimate->loss = total / double(estimate->samples);
    factor = run.by_rows ? 0 : 1 / s;
  }
  if (run.by_rows && entropy) {
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
  write_walsh_gradient(run, run.by_rows ? first_order : 1, factor / blocks, &g, factored, estimate->gradient);
  if (!estimate->wants_error || run.blocks < 2) return true;
  return walsh_standard_error<kCount>(run, factor == 0 ? nullptr : losses, first_order, factor,
                                      &estimate->standard_error);
}

// Importance sampling or evolution strategies with Walsh blocks, at most one hidden layer.
inline bool walsh_estimate(const Estimator& estimator, const Question& q, const Context& context,
                           Workspace& workspace, Factored* factored, Estimate* estimate) {
  WalshRun& run = *workspace.take<WalshRun>(1);  // outlives this call where A^T C is left to the caller
  new_walsh_run(estimator, q, context, workspace, &run);
  prepare_walsh_run(&run, run.blocks / walsh_groups(run.blocks));
  bool done = false;
  with_vectors(run.point.shape.vectors, [&](auto vectors) {
    done = walsh_estimate_of<decltype(vectors)::value>(run, factored, estimate);
  });
  return done && !context.cancelled->load();
}

END_TARGET
