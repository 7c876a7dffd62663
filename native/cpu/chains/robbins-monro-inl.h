// Robbins-Monro for the heat-regularized loss: the zero of x - x_k + tau E grad f(x + s Z) (García Trillos,
// Kaplan, Sanz-Alonso, Entropy 2019, Algorithm 5):
//
//   x^{j+1} = x^j - a_j (x^j - x_k + tau mean_m grad f(x^j + s Z_{jm})),  j = 1 … J, m = 1 … M, x^1 = x_k
//   mean = x^{J+1}, gradient = (x_k - mean)/tau
//
// Projected: the first layer's gradient is A^T G, so x^j = x_k + A^T C with C <- C - a_j (C + tau mean_m
// G_m), and P^1 = A x_k + (A A^T) C + s L U. Nothing happens in the complement.
//
// Symbols: J transitions, M samples a transition, B rows, n parameters, d1 columns, G = df/dP^1.
#pragma once
#include <cstddef>
#include <cstring>

#include "../network/factored-inl.h"
#include "../sampling/sampled-point-inl.h"

BEGIN_TARGET

// One fixed group's sums over its samples: of G (B x stride) or the first layer's gradient, then of the
// others'.
struct GradientSums {
  float* first;
  float* tail;
  double loss;
};

inline void add_to(const float* from, size_t count, float* to) { add_scaled(to, 1, from, count, to); }

// Direct: gradient at sampler->perturbed, added to `sums` (or set, where `add` is false).
inline double add_batch_gradient(const SampledPoint& point, const Batch& batch, Sampler* sampler, bool add,
                                 GradientSums* sums) {
  const Network& network = *point.q->network;
  Evaluator& e = sampler->evaluator;
  const size_t columns = network.layers[1];
  const float* tail = sampler->perturbed + tail_offset(network);
  double total = 0;
  for (size_t first = 0; first < batch.size; first += kRowBlock) {
    const size_t count = std::min(kRowBlock, batch.size - first);
    if (!point.whole) load_rows(batch, first, count, &e.rows);
    first_product(e.rows, 0, count, sampler->perturbed, columns, e.pass.signal[1], e.pass.stride[1]);
    forward(network, tail, e.pass, 0, count);
    row_losses(network, *point.q->loss, e.rows, e.pass, 0, count, 1.0f / float(batch.size));
    backward(network, tail, e.pass, 0, count);
    first_gradient(e.rows, e.pass.signal[1], e.pass.stride[1], columns, 0, columns, add || first > 0,
                   sums->first);
    tail_gradient(network, e.pass, count, add || first > 0, 0, 1, sums->tail);
    total += sum_of_losses(e.pass, count);
  }
  return total / double(batch.size);
}

// Projected: signals at P^1 = center + s L U and later layers + s Z.
inline double add_span_gradient(const SampledPoint& point, const float* center, const float* tail,
                                Sampler* sampler, bool add, GradientSums* sums) {
  const Question& q = *point.q;
  const Network& network = *q.network;
  const Pass& pass = sampler->evaluator.pass;
  const size_t rows = q.batches[0].size, columns = network.layers[1], stride = pass.stride[1];
  product({rows, columns, rows, point.factor, rows, 1, sampler->noise, columns, center, stride,
           pass.signal[1], stride, Triangle::kLower});
  perturb(point.layout, 2, tail, float(q.noise_scale), sampler->noise, sampler->perturbed);
  forward(network, sampler->perturbed, pass, 0, rows);
  row_losses(network, *q.loss, point.rows, pass, 0, rows, 1.0f / float(rows));
  backward(network, sampler->perturbed, pass, 0, rows);
  tail_gradient(network, pass, rows, add, 0, 1, sums->tail);
  if (add)
    add_to(pass.signal[1], rows * stride, sums->first);
  else
    std::memcpy(sums->first, pass.signal[1], rows * stride * sizeof(float));
  return sum_of_losses(pass, rows) / double(rows);
}

// y <- y - a (y + factor sum_g first_g), y relative to where the chain began; `member` picks the part of the
// sums.
inline void descend(const GradientSums* groups, size_t count, float* GradientSums::*member, double a,
                    double factor, size_t begin, size_t end, float* y) {
  const Float keep = set(float(1 - a)), move = set(float(-a * factor));
  for_vectors(end - begin, [&](size_t i, size_t n) {
    Float total = load_some(groups[0].*member + begin + i, n);
    for (size_t g = 1; g < count; g++) total = total + load_some(groups[g].*member + begin + i, n);
    store_some(y + begin + i, n, fma(keep, load_some(y + begin + i, n), move * total));
  });
}

struct RobbinsMonro {
  SampledPoint point;
  const Projection* projection;  // null: direct
  Sampler* samplers;             // one a worker
  GradientSums* groups;
  size_t group_count;
  float* first;  // C (B x stride), or the first layer relative to x_k
  size_t first_size;
  float* tail;  // layers 2 … L relative to x_k
  size_t tail_size;
  float* center;    // A x^j (B x stride), projected
  float* gram;      // A A^T (B x B), projected
  float* position;  // x^j, layers 1 … L (direct) or 2 … L
};

inline RobbinsMonro new_robbins_monro(Workspace& workspace, const Estimator& estimator, const Question& q,
                                      const Projection* projection, Executor* executor) {
  const Network& network = *q.network;
  const size_t rows = q.batches[0].size, stride = round_up(network.layers[1] + 1, 16);
  RobbinsMonro run{};
  run.point = new_sampled_point(workspace, q, projection, executor);
  run.projection = projection;
  run.samplers = workspace.take<Sampler>(executor->size());
  for (unsigned w = 0; w < executor->size(); w++) run.samplers[w] = new_sampler(workspace, run.point);
  run.first_size = projection != nullptr ? rows * stride : tail_offset(network);
  run.tail_size = network.parameters() - tail_offset(network);
  run.group_count = unit_groups(estimator.samples, run.first_size + run.tail_size, 16);
  run.groups = workspace.take<GradientSums>(run.group_count);
  for (size_t g = 0; g < run.group_count; g++)
    run.groups[g] = {workspace.take<float>(run.first_size), workspace.take<float>(run.tail_size), 0};
  run.first = workspace.zeros<float>(run.first_size);
  run.tail = workspace.zeros<float>(run.tail_size);
  run.position = workspace.take<float>(network.parameters());
  if (projection == nullptr) return run;
  run.center = workspace.zeros<float>(rows * stride);
  run.gram = workspace.take<float>(rows * rows);
  for (size_t i = 0; i < rows; i++)
    for (size_t j = 0; j <= i; j++)
      run.gram[i * rows + j] = run.gram[j * rows + i] = float(projection->gram[i * rows + j]);
  return run;
}

// Samples of transition j (zero-based), summed by groups at the point where the chain stands.
inline void sample_gradients(const RobbinsMonro& run, const Estimator& estimator, size_t j,
                             const Context& context) {
  const Question& q = *run.point.q;
  const size_t samples = estimator.samples;
  fork_items(context.executor, run.group_count, [&](size_t g, unsigned worker) {
    Sampler* sampler = &run.samplers[worker];
    const size_t begin = samples * g / run.group_count, end = samples * (g + 1) / run.group_count;
    run.groups[g].loss = 0;
    for (size_t m = begin; m < end; m++) {
      if (context.cancelled->load(std::memory_order_relaxed)) return;
      draw_noise(run.point.layout, run.projection, q.seed, q.update, uint32_t(j * samples + m),
                 sampler->noise);
      if (run.projection != nullptr) {
        run.groups[g].loss +=
            add_span_gradient(run.point, run.center, run.position, sampler, m > begin, &run.groups[g]);
        continue;
      }
      perturb(run.point.layout, 1, run.position, float(q.noise_scale), sampler->noise, sampler->perturbed);
      run.groups[g].loss += add_batch_gradient(run.point, q.batches[q.batch_count > 1 ? j : 0], sampler,
                                               m > begin, &run.groups[g]);
    }
  });
}

// Where the chain stands: position and, projected, A x^j.
inline void set_position(const RobbinsMonro& run, Executor* executor) {
  const Question& q = *run.point.q;
  const size_t offset = tail_offset(*q.network), columns = q.network->layers[1];
  if (run.projection == nullptr) {
    fork(executor, [&](unsigned worker) {
      const Share share(offset, 64, worker, executor->size());
      add_scaled(q.parameters + share.begin, 1, run.first + share.begin, share.end - share.begin,
                 run.position + share.begin);
    });
    add_scaled(q.parameters + offset, 1, run.tail, run.tail_size, run.position + offset);
    return;
  }
  const size_t rows = q.batches[0].size, stride = round_up(columns + 1, 16);
  product({rows, columns, rows, run.gram, rows, 1, run.first, stride, run.point.base, stride, run.center,
           stride});
  add_scaled(q.parameters + offset, 1, run.tail, run.tail_size, run.position);
}

inline bool robbins_monro(const Estimator& estimator, const Question& q, const Context& context,
                          Workspace& workspace, Factored* factored, Estimate* estimate) {
  Executor* executor = context.executor;
  Projection factors;
  if (estimator.projected) factors = new_projection(workspace, q.batches[0], executor);
  RobbinsMonro& run =
      *workspace.take<RobbinsMonro>(1);  // outlives this call where A^T C is left to the caller
  run = new_robbins_monro(workspace, estimator, q, estimator.projected ? &factors : nullptr, executor);
  const size_t transitions = estimator.step_sizes.size(), offset = tail_offset(*q.network);
  double loss = 0;
  for (size_t j = 0; j < transitions; j++) {
    set_position(run, executor);
    sample_gradients(run, estimator, j, context);
    if (context.cancelled->load()) return false;
    for (size_t g = 0; g < run.group_count; g++) loss += run.groups[g].loss;
    const double a = estimator.step_sizes[j], factor = q.tau / estimator.samples;
    if (estimator.projected) {
      descend(run.groups, run.group_count, &GradientSums::first, a, factor, 0, run.first_size, run.first);
    } else {
      fork(executor, [&](unsigned worker) {
        const Share share(offset, 64, worker, executor->size());
        descend(run.groups, run.group_count, &GradientSums::first, a, factor, share.begin, share.end,
                run.first);
      });
    }
    descend(run.groups, run.group_count, &GradientSums::tail, a, factor, 0, run.tail_size, run.tail);
  }
  const Float scale = set(float(-1 / q.tau));
  const auto write = [&](float* from, size_t begin, size_t end, float* to) {
    for_vectors(end - begin, [&](size_t i, size_t n) {
      store_some(to + begin + i, n, scale * load_some(from + begin + i, n));
    });
  };
  if (estimator.projected) write(run.first, 0, run.first_size, run.first);
  const bool leave = estimator.projected && factored != nullptr;
  if (leave) *factored = {&run.point.rows, run.first, round_up(q.network->layers[1] + 1, 16)};
  fork(executor, [&](unsigned worker) {
    if (leave) return;
    if (estimator.projected) {
      const Share share(q.network->layers[1], 16, worker, executor->size());
      first_gradient(run.point.rows, run.first, round_up(q.network->layers[1] + 1, 16), q.network->layers[1],
                     share.begin, share.end, false, estimate->gradient);
    } else {
      const Share share(offset, 64, worker, executor->size());
      write(run.first, share.begin, share.end, estimate->gradient);
    }
  });
  write(run.tail, 0, run.tail_size, estimate->gradient + offset);
  estimate->loss = loss / double(transitions * estimator.samples);
  estimate->samples = transitions * estimator.samples;
  return true;
}

END_TARGET
