// The row split: each row's loss meets its own noise only, at any depth. And what importance sampling and
// evolution strategies share of independent samples and antithetic pairs: the gradient is alpha H + sum over
// units of beta_u Z_u, the operation's factors alpha and beta.
//
//   eta = s A^{l-1} Z_l, hid_b row b of A^{l-1}, c_b the row's loss at x:
//   H_l = (1/BJ) sum_j sum_b hid_b eta_b (f_b - c_b)/(s^2 |hid_b|^2), the first-order part
//
// Two passes: losses and H, then sum beta Z with the noise made again, so memory does not grow with J but for
// the losses. A unit u is a sample or a pair; its part of the gradient is alpha H_u + beta_u Z_u.
//
// Symbols: J samples, B rows, d1 = `columns` of the first layer, C (B x d1) coefficients: A^T C is the first
// layer of H. Projected, Z_1 is Q U, and |A^T C + beta Q U| = |L^T C + beta U|.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>

#include "../network/first-layer-inl.h"
#include "sampled-point-inl.h"

BEGIN_TARGET

// What an operation makes of losses: alpha, and beta_u = noise · (the value that it puts in a loss's place).
struct Factors {
  double first_order, noise;
};

// |a_b|^2 of row b of the batch, the bias input included; row r of `rows`.
inline float row_norm(const Projection* projection, const Rows& rows, size_t r, size_t b) {
  if (projection != nullptr) return float(projection->gram[b * projection->rows + b]);
  float total = 1;
  const size_t count = rows.sparse ? rows.length[r] : rows.width;
  for (size_t i = 0; i < count; i++) total += rows.value[r * rows.width + i] * rows.value[r * rows.width + i];
  return total;
}

// Each row's loss at x (B): the level of a block without others. whole: the batch's rows, and A x (B x
// base_row) is known; or null.
inline float* center_losses(const Question& q, const Rows* whole, const float* base, size_t base_row,
                            Workspace& workspace) {
  const size_t batch = q.batches[0].size;
  float* losses = workspace.take<float>(batch);
  const size_t capacity = std::min(batch, kRowBlock), width = q.network->layers[1];
  const Pass pass = new_pass(workspace, *q.network, capacity);
  *pass.sample = q.loss->samples;
  Rows rows;
  if (whole == nullptr) rows = new_rows(workspace, capacity, q.network->layers[0]);
  for (size_t first = 0; first < batch; first += kRowBlock) {
    const size_t count = std::min(kRowBlock, batch - first);
    if (whole == nullptr) {
      load_rows(q.batches[0], first, count, &rows);
      first_product(rows, 0, count, q.parameters, width, pass.signal[1], pass.stride[1]);
    } else {
      rows.first = first;
      rows.labels = whole->labels + first;
      rows.targets = whole->targets + first;
      for (size_t r = 0; r < count; r++)
        std::memcpy(pass.signal[1] + r * pass.stride[1], base + (first + r) * base_row,
                    width * sizeof(float));
    }
    forward(*q.network, q.parameters + tail_offset(*q.network), pass, 0, count);
    row_losses(*q.network, *q.loss, rows, pass, 0, count, 0);
    std::memcpy(losses + first, pass.row_loss, count * sizeof(float));
  }
  return losses;
}

// One worker's memory; eta[1] is s A Z_1, eta[l] with the sample's sign.
struct RowSampler {
  Sampler sampler;
  float** eta;          // eta[l], l = 1 … L: rows x stride[l]
  float* coefficients;  // a unit's C: B x stride
  float* tail;          // a unit's H of layers 2 … L
  float* first;         // direct: a unit's A^T C; projected: L^T C
};

struct SampleRun {
  const Estimator* estimator;
  const Question* q;
  const Context* context;
  Workspace* workspace;
  SampledPoint point;
  bool pair;
  size_t units, groups, columns, stride, tail_size;
  const float* base;    // A x: B x stride
  const float* center;  // c_b: B
  const float* norms;   // |a_b|^2: B
  RowSampler* samplers;
};

// What the row split needs at x: A x, the rows' norms and losses; and a unit's memory for each worker.
inline void prepare_rows(SampleRun* run) {
  const Question& q = *run->q;
  const SampledPoint& point = run->point;
  const size_t batch = q.batches[0].size, depth = q.network->depth();
  const size_t rows = evaluated_rows(point, batch);
  Workspace& workspace = *run->workspace;
  float* base = workspace.zeros<float>(batch * run->stride);
  float* norms = workspace.take<float>(batch);
  for_batch(
      point, &run->samplers[0].sampler.evaluator.rows, [&](size_t first, size_t count, const Rows& block) {
        first_product(block, 0, count, q.parameters, run->columns, base + first * run->stride, run->stride);
        for (size_t r = 0; r < count; r++) norms[first + r] = row_norm(point.projection, block, r, first + r);
      });
  run->base = base;
  run->norms = norms;
  run->center = center_losses(q, point.whole ? &point.rows : nullptr, base, run->stride, workspace);
  const size_t lifted =
      point.projection != nullptr ? batch * run->columns : q.network->shape(1).rows * run->columns;
  for (unsigned w = 0; w < run->context->executor->size(); w++) {
    RowSampler& s = run->samplers[w];
    const Pass& pass = s.sampler.evaluator.pass;
    s.eta = workspace.take<float*>(depth + 1);
    s.eta[1] = s.sampler.shift;
    for (size_t l = 2; l <= depth; l++) s.eta[l] = workspace.zeros<float>(rows * pass.stride[l]);
    s.coefficients = workspace.take<float>(batch * run->stride);
    s.tail = workspace.take<float>(run->tail_size);
    s.first = workspace.take<float>(lifted);
  }
}

inline SampleRun new_sample_run(const Estimator& estimator, const Question& q, const Projection* projection,
                                const Context& context, Workspace& workspace) {
  SampleRun run{};
  run.estimator = &estimator;
  run.q = &q;
  run.context = &context;
  run.workspace = &workspace;
  run.point = new_sampled_point(workspace, q, projection, context.executor);
  run.pair = estimator.coupling.kind == Coupling::Kind::kAntithetic;
  run.units = estimator.coupling.samples / (run.pair ? 2 : 1);
  run.columns = q.network->layers[1];
  run.tail_size = q.network->parameters() - tail_offset(*q.network);
  run.samplers = workspace.take<RowSampler>(context.executor->size());
  for (unsigned w = 0; w < context.executor->size(); w++) {
    run.samplers[w] = RowSampler{};
    run.samplers[w].sampler = new_sampler(workspace, run.point);
  }
  run.stride = run.samplers[0].sampler.evaluator.pass.stride[1];
  const size_t sums = run.point.layout.offset[q.network->depth()] +
                      (estimator.rowwise ? q.batches[0].size * run.stride + run.tail_size : 0);
  run.groups = unit_groups(run.units, sums, 32);
  if (estimator.rowwise) prepare_rows(&run);
  return run;
}

// eta[1] of a block of rows.
inline void first_noise(const SampleRun& run, const RowSampler& s, const Rows& rows, size_t count) {
  const SampledPoint& point = run.point;
  if (point.projection != nullptr) {
    product({count, run.columns, count, point.factor, count, 1, s.sampler.noise, run.columns, nullptr, 0,
             s.eta[1], run.stride, Triangle::kLower});
    return;
  }
  first_product(rows, 0, count, s.sampler.noise, run.columns, s.eta[1], run.stride);
  const Float scale = set(float(point.q->noise_scale));
  for (size_t at = 0; at < count * run.stride; at += kLanes)
    store(s.eta[1] + at, scale * load(s.eta[1] + at));
}

// From eta[1] to the losses of a block of rows, each layer's noise apart in eta.
inline void noisy_forward(const SampleRun& run, const RowSampler& s, const Rows& rows, size_t first,
                          size_t count, float sign) {
  const Question& q = *run.q;
  const Network& network = *q.network;
  const Pass& pass = s.sampler.evaluator.pass;
  add_scaled(run.base + first * run.stride, sign, s.eta[1], count * run.stride, pass.signal[1]);
  const float* w = q.parameters + tail_offset(network);
  const Float scale = set(sign * float(q.noise_scale));
  for (size_t l = 2; l <= network.depth(); l++) {
    const size_t inputs = network.layers[l - 1] + 1, columns = network.layers[l], stride = pass.stride[l];
    const float* a = pass.activation[l - 1];
    const size_t a_row = pass.stride[l - 1];
    activate(network, pass, l - 1, 0, count);
    product({count, columns, inputs, a, a_row, 1, s.sampler.noise + run.point.layout.offset[l - 1], columns,
             nullptr, 0, s.eta[l], stride});
    for (size_t at = 0; at < count * stride; at += kLanes) store(s.eta[l] + at, scale * load(s.eta[l] + at));
    product({count, columns, inputs, a, a_row, 1, w, columns, s.eta[l], stride, pass.signal[l], stride});
    w += inputs * columns;
  }
  row_losses(network, *q.loss, rows, pass, 0, count, 0);
}

// Adds a block of rows' part of H to C and to the later layers' matrices.
inline void add_first_order(const SampleRun& run, const RowSampler& s, size_t first, size_t count, float sign,
                            float* coefficients, float* tail) {
  const Question& q = *run.q;
  const Network& network = *q.network;
  const Pass& pass = s.sampler.evaluator.pass;
  const double samples = double(run.estimator->coupling.samples);
  const float scale = float(1 / (q.noise_scale * q.noise_scale * double(q.batches[0].size) * samples));
  for (size_t r = 0; r < count; r++) {
    const size_t b = first + r;
    const float part = scale * (pass.row_loss[r] - run.center[b]);
    float* to = coefficients + b * run.stride;
    add_scaled(to, sign * part / run.norms[b], s.eta[1] + r * run.stride, run.columns, to);
    for (size_t l = 2; l <= network.depth(); l++) {
      const float* a = pass.activation[l - 1] + r * pass.stride[l - 1];
      const Float factor = set(part / squared_norm(a, network.layers[l - 1] + 1));
      for (size_t at = r * pass.stride[l]; at < (r + 1) * pass.stride[l]; at += kLanes)
        store(pass.signal[l] + at, factor * load(s.eta[l] + at));
    }
  }
  tail_gradient(network, pass, count, true, 0, 1, tail);
}

// Losses of the unit whose noise the sampler holds, and its part of H added to C and `tail`. lifted: where
// not null, direct, A^T C of this unit alone.
inline void rowwise_losses(const SampleRun& run, RowSampler* s, float* coefficients, float* tail,
                           float* lifted, double* losses) {
  losses[0] = losses[1] = 0;
  for_batch(run.point, &s->sampler.evaluator.rows, [&](size_t first, size_t count, const Rows& rows) {
    first_noise(run, *s, rows, count);
    for (int i = 0; i <= int(run.pair); i++) {
      const float sign = i == 0 ? 1.0f : -1.0f;
      set_sample(s->sampler, run.pair, i);
      noisy_forward(run, *s, rows, first, count, sign);
      losses[i] += sum_of_losses(s->sampler.evaluator.pass, count);
      add_first_order(run, *s, first, count, sign, coefficients, tail);
    }
    if (lifted != nullptr)
      first_gradient(rows, coefficients + first * run.stride, run.stride, run.columns, 0, run.columns,
                     first > 0, lifted);
  });
  for (int i = 0; i < 2; i++) losses[i] /= double(run.q->batches[0].size);
}

// Runs task(unit, group, sampler) on every unit with its noise drawn; each group's units in order.
template <class Task>
inline bool for_units(const SampleRun& run, Task task) {
  const Question& q = *run.q;
  fork_items(run.context->executor, run.groups, [&](size_t g, unsigned worker) {
    RowSampler& s = run.samplers[worker];
    for (size_t unit = run.units * g / run.groups; unit < run.units * (g + 1) / run.groups; unit++) {
      if (run.context->cancelled->load(std::memory_order_relaxed)) return;
      draw_noise(run.point.layout, run.point.projection, q.seed, q.update, uint32_t(unit), s.sampler.noise);
      s.sampler.unit = unit;
      task(unit, g, &s);
    }
  });
  return !run.context->cancelled->load();
}

// sums (groups x size) -> their sum in the first.
inline void merge_groups(const SampleRun& run, float* sums, size_t size) {
  Executor* executor = run.context->executor;
  fork(executor, [&](unsigned worker) {
    const Share share(size, 64, worker, executor->size());
    for (size_t g = 1; g < run.groups; g++)
      add_scaled(sums + share.begin, 1, sums + g * size + share.begin, share.end - share.begin,
                 sums + share.begin);
  });
}

// H of all units: C (B x stride) and the tail; null where not by rows.
struct FirstOrder {
  float* coefficients;
  float* tail;
};

// The first pass: every sample's loss (J), and H.
inline bool sample_losses(const SampleRun& run, double* losses, FirstOrder* h) {
  const size_t per_unit = run.pair ? 2 : 1;
  const bool by_rows = run.estimator->rowwise;
  const size_t size = by_rows ? run.q->batches[0].size * run.stride : 0;
  *h = {run.workspace->zeros<float>(run.groups * size),
        run.workspace->zeros<float>(by_rows ? run.groups * run.tail_size : 0)};
  const bool done = for_units(run, [&](size_t unit, size_t g, RowSampler* s) {
    double of_unit[2];
    if (by_rows)
      rowwise_losses(run, s, h->coefficients + g * size, h->tail + g * run.tail_size, nullptr, of_unit);
    else if (run.point.projection != nullptr)
      projected_losses(run.point, run.pair, &s->sampler, of_unit);
    else
      direct_losses(run.point, run.pair, &s->sampler, of_unit);
    for (size_t i = 0; i < per_unit; i++) losses[per_unit * unit + i] = of_unit[i];
  });
  if (!done || !by_rows) return done;
  merge_groups(run, h->coefficients, size);
  merge_groups(run, h->tail, run.tail_size);
  return true;
}

// |alpha H_u + beta Z_u|^2 of the unit whose noise the sampler holds.
inline double unit_square(const SampleRun& run, RowSampler* s, float alpha, float beta) {
  const Network& network = *run.q->network;
  const SampledPoint& point = run.point;
  const size_t batch = run.q->batches[0].size, depth = network.depth();
  if (!run.estimator->rowwise) {
    return double(beta) * double(beta) * squared_length(s->sampler.noise, point.layout.offset[depth]);
  }
  std::memset(s->coefficients, 0, batch * run.stride * sizeof(float));
  std::memset(s->tail, 0, run.tail_size * sizeof(float));
  double losses[2];
  const bool projected = point.projection != nullptr;
  rowwise_losses(run, s, s->coefficients, s->tail, projected ? nullptr : s->first, losses);
  float of_first = alpha;
  if (projected) {  // factor is s L
    product({batch, run.columns, batch, point.factor, 1, batch, s->coefficients, run.stride, nullptr, 0,
             s->first, run.columns, Triangle::kUpper});
    of_first /= float(run.q->noise_scale);
  }
  double total = 0;
  const float* tail = s->tail;
  for (size_t l = 0; l < depth; l++) {
    const size_t count = point.layout.count[l];
    float* noise = s->sampler.noise + point.layout.offset[l];
    for_vectors(
        count, [&](size_t at, size_t n) { store_some(noise + at, n, set(beta) * load_some(noise + at, n)); });
    add_scaled(noise, l == 0 ? of_first : alpha, l == 0 ? s->first : tail, count, noise);
    total += squared_length(noise, count);
    if (l > 0) tail += count;
  }
  return total;
}

// The second pass: beta_u from the losses, sum beta_u Z_u in `total` (size), and where `squares` is not null
// sum |alpha H_u + beta_u Z_u|^2.
template <class Beta>
inline bool sample_noise(const SampleRun& run, float alpha, Beta beta, float** total, double* squares) {
  const size_t size = run.point.layout.offset[run.q->network->depth()];
  float* sums = run.workspace->zeros<float>(run.groups * size);
  double* parts = run.workspace->zeros<double>(run.groups);
  const bool done = for_units(run, [&](size_t unit, size_t g, RowSampler* s) {
    const float factor = float(beta(unit));
    add_scaled(sums + g * size, factor, s->sampler.noise, size, sums + g * size);
    if (squares != nullptr) parts[g] += unit_square(run, s, alpha, factor);
  });
  if (!done) return false;
  merge_groups(run, sums, size);
  *total = sums;
  for (size_t g = 0; squares != nullptr && g < run.groups; g++) *squares += parts[g];
  return true;
}

// gradient (n) <- alpha H + total.
inline void write_sample_gradient(SampleRun& run, float alpha, const FirstOrder& h, const float* total,
                                  Factored* factored, float* gradient) {
  const Question& q = *run.q;
  const size_t batch = q.batches[0].size;
  float* coefficients = run.workspace->zeros<float>(batch * run.stride);
  if (run.estimator->rowwise)
    add_scaled(coefficients, alpha, h.coefficients, batch * run.stride, coefficients);
  write_first_layer(*run.workspace, q, run.point.projection,
                    run.point.whole ? run.point.rows : run.samplers[0].sampler.evaluator.rows, coefficients,
                    run.stride, 1, total, 1, run.context->executor, factored, gradient);
  const float* tail = h.tail;
  for (size_t l = 1; l < run.point.layout.depth; l++) {
    const size_t count = run.point.layout.count[l], n = q.network->shape(l + 1).offset;
    std::memcpy(gradient + n, total + run.point.layout.offset[l], count * sizeof(float));
    if (!run.estimator->rowwise) continue;
    add_scaled(gradient + n, alpha, tail, count, gradient + n);
    tail += count;
  }
}

// The gradient from independent samples or pairs; factors_of: the operation's, of losses (J).
inline bool gradient_from_samples(const Estimator& estimator, const Question& q, const Context& context,
                                  Workspace& workspace,
                                  Factors (*factors_of)(const SampleRun&, double* losses, Estimate*),
                                  Factored* factored, Estimate* estimate) {
  Projection projection;
  if (estimator.projected) projection = new_projection(workspace, q.batches[0], context.executor);
  SampleRun& run = *workspace.take<SampleRun>(1);  // outlives this call where A^T C is left to the caller
  run = new_sample_run(estimator, q, estimator.projected ? &projection : nullptr, context, workspace);
  const size_t samples = estimator.coupling.samples;
  const double units = double(run.units);
  double* values = workspace.take<double>(samples);  // losses, then what multiplies Z
  FirstOrder h;
  if (!sample_losses(run, values, &h)) return false;
  if (estimate->losses != nullptr)
    for (size_t j = 0; j < samples; j++) estimate->losses[j] = float(values[j]);
  estimate->samples = samples;
  estimate->loss = 0;
  for (size_t j = 0; j < samples; j++) estimate->loss += values[j] / double(samples);
  const auto [alpha, factor] = factors_of(run, values, estimate);
  const auto beta = [&, noise = factor](size_t unit) {
    return noise * (run.pair ? (values[2 * unit] - values[2 * unit + 1]) / 2 : values[unit]);
  };
  const bool wants_error = estimate->wants_error && run.units > 1;
  float* total = workspace.zeros<float>(run.point.layout.offset[q.network->depth()]);
  double squares = 0;
  if ((factor != 0 || wants_error) &&
      !sample_noise(run, float(alpha), beta, &total, wants_error ? &squares : nullptr))
    return false;
  write_sample_gradient(run, float(alpha), h, total, factored, estimate->gradient);
  if (!wants_error) return true;
  // A unit's estimate is `units` times its part.
  const double length2 = squared_length(estimate->gradient, q.network->parameters());
  estimate->standard_error = std::sqrt(std::max(0.0, units * squares - length2) / (units - 1));
  return true;
}

END_TARGET
