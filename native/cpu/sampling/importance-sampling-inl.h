// Importance sampling of E_q[X], q ~ exp(-f/delta) N(x, tau I): gradient-free (García Trillos, Kaplan,
// Sanz-Alonso, Entropy 2019, Algorithm 4, eq. 16; delta = 1 is the paper's).
//
//   w_j = exp(-f(x + s Z_j)/delta), gradient = -(delta s/tau) sum_j w_j Z_j / sum w
//   centred:    sum_j (w_j - mean w) Z_j / ((J - 1) mean w) in place of the quotient
//   antithetic: pair p is x ± s Z_p, sum_p (w+ - w-) Z_p / sum w
//   projected:  Z is (U, later layers); the first layer's gradient is mapped back by A^T L^{-T}, and where
//   the
//               complement is sampled it is drawn once, with variance sum w^2/(sum w)^2
//   row split:  D = (mean_b f - c0)/delta, w = exp(-D) = 1 - D + rho, and the gradient is
//               (s^2/tau) [H - (delta/s) mean rho Z]/mean w, H the first-order part (row-split-inl.h)
//
// Symbols: J samples, s the perturbation's scale, delta temperature, c0 the mean of all losses, B rows, d1
// columns. A unit is a sample, an antithetic pair or a Walsh block. From losses alone the weights of samples
// are summed by streaming log-sum-exp, so memory does not grow with J.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "../linear/math-inl.h"
#include "../network/first-layer-inl.h"
#include "row-split-inl.h"
#include "sampled-point-inl.h"
#include "walsh-inl.h"

BEGIN_TARGET

// Sums over one group's units, weights relative to exp(top).
struct WeightSums {
  double top = -std::numeric_limits<double>::infinity();  // largest log weight so far
  double weight = 0, weight2 = 0, loss = 0;
  // sums of c^2 |Z|^2, c |Z|^2, |Z|^2 for the standard error: c = w, or w+ - w- of a pair
  double square = 0, linear = 0, plain = 0;
  float* weighted = nullptr;    // sum of c Z; centred: of (w - 1) Z, which keeps the digits of equal weights
  float* unweighted = nullptr;  // centred: sum of Z
};

// Everything relative to exp(top) from now on. (w - 1) becomes r w - 1 = r (w - 1) + (r - 1).
inline void raise_top(WeightSums* sums, double top, size_t size) {
  const double ratio = std::exp(sums->top - top), change = std::expm1(sums->top - top);
  sums->top = top;
  sums->weight *= ratio;
  sums->weight2 *= ratio * ratio;
  sums->square *= ratio * ratio;
  sums->linear *= ratio;
  const Float r = set(float(ratio));
  if (sums->unweighted == nullptr) {
    for (size_t i = 0; i < size; i += kLanes) store(sums->weighted + i, r * load(sums->weighted + i));
    return;
  }
  const Float shift = set(float(change));
  for (size_t i = 0; i < size; i += kLanes)
    store(sums->weighted + i, fma(shift, load(sums->unweighted + i), r * load(sums->weighted + i)));
}

// A weight relative to exp(top), of its logarithm: 0 of an infinite loss, also before any other is known.
inline double relative_weight(double log_weight, double top) {
  return std::isinf(log_weight) && log_weight < 0 ? 0 : std::exp(log_weight - top);
}

// Adds a unit: `losses` of 1 sample or of 2 (a pair), and its noise (size floats, a multiple of 64).
inline void add_unit(WeightSums* sums, const double* losses, size_t samples, double temperature,
                     const float* noise, size_t size) {
  double log_weight[2] = {0, 0}, weight[2] = {0, 0};
  for (size_t i = 0; i < samples; i++) {
    log_weight[i] = -losses[i] / temperature;
    sums->loss += losses[i];
  }
  const double top = samples == 2 ? std::max(log_weight[0], log_weight[1]) : log_weight[0];
  if (top > sums->top) raise_top(sums, top, size);
  for (size_t i = 0; i < samples; i++) {
    weight[i] = relative_weight(log_weight[i], sums->top);
    sums->weight += weight[i];
    sums->weight2 += weight[i] * weight[i];
  }
  const double c = samples == 2 ? weight[0] - weight[1] : weight[0];
  const bool centred = sums->unweighted != nullptr;
  const double less = weight[0] == 0 ? -1 : std::expm1(log_weight[0] - sums->top);
  const Float factor = set(float(centred ? less : c));
  Float square0 = set(0), square1 = set(0);
  for (size_t i = 0; i < size; i += 2 * kLanes) {
    const Float z0 = load(noise + i), z1 = load(noise + i + kLanes);
    square0 = fma(z0, z0, square0);
    square1 = fma(z1, z1, square1);
    store(sums->weighted + i, fma(factor, z0, load(sums->weighted + i)));
    store(sums->weighted + i + kLanes, fma(factor, z1, load(sums->weighted + i + kLanes)));
    if (!centred) continue;
    store(sums->unweighted + i, z0 + load(sums->unweighted + i));
    store(sums->unweighted + i + kLanes, z1 + load(sums->unweighted + i + kLanes));
  }
  const double norm2 = sum(square0 + square1);
  sums->square += c * c * norm2;
  sums->linear += c * norm2;
  sums->plain += norm2;
}

// What is left of the groups' sums after they are merged in order.
struct Weights {
  double top, weight = 0, weight2 = 0, loss = 0, square = 0, linear = 0, plain = 0;
};

inline Weights merge_weights(const WeightSums* groups, size_t count) {
  Weights all{-std::numeric_limits<double>::infinity()};
  for (size_t g = 0; g < count; g++) all.top = std::max(all.top, groups[g].top);
  for (size_t g = 0; g < count; g++) {
    const double ratio = std::exp(groups[g].top - all.top);
    all.weight += ratio * groups[g].weight;
    all.weight2 += ratio * ratio * groups[g].weight2;
    all.loss += groups[g].loss;
    all.square += ratio * ratio * groups[g].square;
    all.linear += ratio * groups[g].linear;
    all.plain += groups[g].plain;
  }
  return all;
}

// total (size) <- factor · sum over all units of c Z, or of (w - mean) Z where centred. In one group's own
// scale r_g = exp(top_g - top): sum (r_g w - mean) Z = r_g sum (w - 1) Z + (r_g - mean) sum Z.
inline void merge_noise(const WeightSums* groups, size_t count, double top, double mean, double factor,
                        size_t size, Executor* executor, float* total) {
  fork(executor, [&](unsigned worker) {
    const Share share(size, 64, worker, executor->size());
    for (size_t i = share.begin; i < share.end; i += kLanes) {
      Float x = set(0);
      for (size_t g = 0; g < count; g++) {
        const double ratio = std::exp(groups[g].top - top);
        x = fma(set(float(factor * ratio)), load(groups[g].weighted + i), x);
        if (groups[g].unweighted != nullptr)
          x = fma(set(float(factor * (ratio - mean))), load(groups[g].unweighted + i), x);
      }
      store(total + i, x);
    }
  });
}

// First layer's gradient of the projected form with its complement's one draw: Q `total` + scale (I - Q Q^T)
// Z.
inline void sample_first_layer(Workspace& workspace, const SampledPoint& point, const float* total,
                               double scale, Executor* executor, float* gradient) {
  const Question& q = *point.q;
  const size_t columns = q.network->layers[1], rows = q.batches[0].size, count = tail_offset(*q.network);
  double* v = workspace.take<double>(rows * columns);
  for (size_t i = 0; i < rows * columns; i++) v[i] = total[i];
  fork(executor, [&](unsigned worker) {
    const Share share(count, 64, worker, executor->size());
    alignas(64) float normals[64];
    const PhiloxKey key(q.seed);
    for (size_t i = share.begin; i < share.end; i += 64) {
      gaussian_fill(key, kStreamComplement, q.update, 0, uint32_t(i / 64), 1, normals);
      for (size_t k = i; k < std::min(i + 64, share.end); k++) gradient[k] = float(scale) * normals[k - i];
    }
  });
  from_span(workspace, point.rows, *point.projection, v, columns, executor, gradient);
}

// Samples and pairs from the minibatch's losses alone.
inline bool importance_sampling_from_losses(const Estimator& estimator, const Question& q,
                                            const Context& context, Workspace& workspace, Factored* factored,
                                            Estimate* estimate) {
  const Coupling& coupling = estimator.coupling;
  Executor* executor = context.executor;
  const bool pair = coupling.kind == Coupling::Kind::kAntithetic;
  const bool centred = !pair && coupling.centred;
  const size_t samples = coupling.samples, per_unit = pair ? 2 : 1, units = samples / per_unit;
  Projection factors;
  if (estimator.projected) factors = new_projection(workspace, q.batches[0], executor);
  const Projection* projection = estimator.projected ? &factors : nullptr;
  SampledPoint& point =
      *workspace.take<SampledPoint>(1);  // outlives this call where A^T C is left to the caller
  point = new_sampled_point(workspace, q, projection, executor);
  const size_t size = point.layout.offset[q.network->depth()];

  const size_t count = unit_groups(units, centred ? 2 * size : size, 32);
  WeightSums* groups = workspace.take<WeightSums>(count);
  for (size_t g = 0; g < count; g++) {
    groups[g] = WeightSums();
    groups[g].weighted = workspace.zeros<float>(size);
    if (centred) groups[g].unweighted = workspace.zeros<float>(size);
  }
  Sampler* samplers = workspace.take<Sampler>(executor->size());
  for (unsigned w = 0; w < executor->size(); w++) samplers[w] = new_sampler(workspace, point);
  fork_items(executor, count, [&](size_t g, unsigned worker) {
    Sampler& sampler = samplers[worker];
    for (size_t unit = units * g / count; unit < units * (g + 1) / count; unit++) {
      if (context.cancelled->load(std::memory_order_relaxed)) return;
      double losses[2];
      draw_noise(point.layout, projection, q.seed, q.update, uint32_t(unit), sampler.noise);
      sampler.unit = unit;
      if (projection != nullptr)
        projected_losses(point, pair, &sampler, losses);
      else
        direct_losses(point, pair, &sampler, losses);
      if (estimate->losses != nullptr)
        for (size_t i = 0; i < per_unit; i++) estimate->losses[per_unit * unit + i] = float(losses[i]);
      add_unit(&groups[g], losses, per_unit, estimator.temperature, sampler.noise, size);
    }
  });
  if (context.cancelled->load()) return false;

  const Weights all = merge_weights(groups, count);
  const double scale = estimator.temperature * q.noise_scale / q.tau, mean = all.weight / double(samples);
  float* total = workspace.take<float>(size);
  merge_noise(groups, count, all.top, mean, -scale / (centred ? double(samples - 1) * mean : all.weight),
              size, executor, total);
  const bool sampled = projection != nullptr && !pair && coupling.sample_complement;
  const double complement_scale = sampled ? scale * std::sqrt(all.weight2) / all.weight : 0;
  float* gradient = estimate->gradient;
  for (size_t l = 0; l < q.network->depth(); l++) {
    if (l == 0 && sampled) {
      sample_first_layer(workspace, point, total, -complement_scale, executor, gradient);
    } else if (l == 0 && projection != nullptr) {
      const size_t stride = round_up(q.network->layers[1], 16);
      float* coefficients = workspace.zeros<float>(q.batches[0].size * stride);
      write_first_layer(workspace, q, projection, point.rows, coefficients, stride, 1, total, 1, executor,
                        factored, gradient);
    } else {
      std::memcpy(gradient, total + point.layout.offset[l], point.layout.count[l] * sizeof(float));
    }
    const LayerShape shape = q.network->shape(l + 1);
    gradient += shape.rows * shape.columns;
  }

  estimate->samples = samples;
  estimate->loss = all.loss / double(samples);
  estimate->free_energy = -double(estimator.temperature) * (all.top + std::log(mean));
  estimate->effective_sample_size = all.weight * all.weight / all.weight2;
  estimate->largest_weight = 1 / all.weight;
  // sum of (c - 1/J)^2 |Z|^2 where centred, of c^2 |Z|^2 else, c normalized
  double spread = all.square;
  if (centred) spread += mean * (mean * all.plain - 2 * all.linear);
  spread *= scale * scale / (all.weight * all.weight);
  if (sampled)
    spread += complement_scale * complement_scale *
              double((q.network->layers[0] + 1 - projection->rank) * q.network->layers[1]);
  estimate->standard_error = units > 1 ? std::sqrt(std::max(0.0, spread)) : kNone;
  return true;
}

// The row split of samples and pairs: losses (J) -> rho relative to exp(top).
inline Factors sample_remainders(const SampleRun& run, double* losses, Estimate* estimate) {
  const size_t samples = run.estimator->coupling.samples;
  const double delta = run.estimator->temperature, s = run.q->noise_scale, tau = run.q->tau;
  const double level = estimate->loss;
  double top = 0, total = 0, squares = 0, most = 0;
  for (size_t j = 0; j < samples; j++) top = std::max(top, -(losses[j] - level) / delta);
  const double lost = std::exp(-top);
  for (size_t j = 0; j < samples; j++) {
    const double x = -(losses[j] - level) / delta, w = std::exp(x - top);
    total += w;
    squares += w * w;
    most = std::max(most, w);
    losses[j] = x > 40 ? w - lost * (1 + x) : lost * (std::expm1(x) - x);
  }
  const double mean = total / double(samples);
  estimate->free_energy = level - delta * (top + std::log(mean));
  estimate->effective_sample_size = total * total / squares;
  estimate->largest_weight = most / total;
  const double noise = -delta * s / tau / mean;
  return {s * s / tau * lost / mean, noise / double(run.units)};
}

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
// exp(top). top is 0 unless a weight would leave float32's comfortable range. Weights that are nearly equal
// come less 1, which no sum over a block's signs sees: beside 1 float32 would keep little of them.
inline WalshWeights walsh_weights(const WalshRun& run, bool remainder, float* losses) {
  const WalshShape& shape = run.point.shape;
  const size_t size = run.blocks * 2 * shape.length, halves = 2 * run.blocks, count = halves * shape.m;
  const double delta = run.estimator->temperature;
  WalshWeights all{};
  double total = 0;
  float least = std::numeric_limits<float>::infinity(), greatest = -least;
  for (size_t h = 0; h < halves; h++) {
    float part = 0;
    for (size_t g = 0; g < shape.m; g++) {
      const float f = losses[h * shape.length + g];
      part += f;
      least = std::min(least, f);
      greatest = std::max(greatest, f);
    }
    total += part;
  }
  all.level = total / double(count);
  const double most = -(double(least) - all.level) / delta;
  all.top = most > 20 ? most : 0;
  const bool flat = (double(greatest) - double(least)) / delta < 0.01;
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
      store(losses + at, flat ? select(inside, exp_remainder(x) + x, set(0)) : w);
    }
  }
  all.mean = sum_of / double(count);
  all.squares = squares;
  all.largest = double(largest_of) / sum_of;
  return all;
}

// Walsh blocks: losses -> rho with the row split, else the weights.
inline Factors block_weights(const WalshRun& run, float* losses, Estimate* estimate) {
  const double delta = run.estimator->temperature, s = run.q->noise_scale, tau = run.q->tau;
  const double samples = double(estimate->samples);
  const WalshWeights all = walsh_weights(run, run.by_rows, losses);
  estimate->loss = all.level;
  estimate->free_energy = all.level - delta * (all.top + std::log(all.mean));
  estimate->effective_sample_size = samples * all.mean * samples * all.mean / all.squares;
  estimate->largest_weight = all.largest;
  return {run.by_rows ? s * s / tau * std::exp(-all.top) / all.mean : 1, -delta * s / tau / all.mean};
}

// The outputs of samples or pairs, and at x itself.
inline bool outputs_of_samples(Estimator estimator, const Question& q, const Context& context,
                               Workspace& workspace) {
  Projection projection;
  if (estimator.projected) projection = new_projection(workspace, q.batches[0], context.executor);
  estimator.rowwise = false;  // no first-order part is wanted
  const SampleRun run =
      new_sample_run(estimator, q, estimator.projected ? &projection : nullptr, context, workspace);
  FirstOrder none;
  if (!sample_losses(run, workspace.take<double>(estimator.coupling.samples), &none)) return false;
  center_losses(q, nullptr, nullptr, 0, workspace);
  return !context.cancelled->load();
}

// The outputs of all samples, in the loss's place, and at x itself.
inline bool sample_outputs(const Estimator& estimator, const Question& q, const Context& context,
                           Workspace& workspace, float* outputs) {
  const FlushDenormals flush;
  workspace.reset();
  Loss wanted;
  wanted.kind = LossKind::kGiven;
  wanted.outputs = outputs;
  wanted.samples = sample_count(estimator, *q.network);
  wanted.batch = q.batches[0].size;
  Question asked = q;
  asked.loss = &wanted;
  if (estimator.coupling.kind == Coupling::Kind::kWalsh)
    return outputs_of_blocks(estimator, asked, context, workspace);
  return outputs_of_samples(estimator, asked, context, workspace);
}

inline bool importance_sampling(const Estimator& estimator, const Question& q, const Context& context,
                                Workspace& workspace, Factored* factored, Estimate* estimate) {
  switch (estimator.coupling.kind) {
    case Coupling::Kind::kWalsh:
      return gradient_from_blocks(estimator, q, context, workspace, block_weights, factored, estimate);
    case Coupling::Kind::kIndependent:
    case Coupling::Kind::kAntithetic:
      if (estimator.rowwise)
        return gradient_from_samples(estimator, q, context, workspace, sample_remainders, factored, estimate);
      return importance_sampling_from_losses(estimator, q, context, workspace, factored, estimate);
  }
  throw std::logic_error("no such coupling");
}

END_TARGET
