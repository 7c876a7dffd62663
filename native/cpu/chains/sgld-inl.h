// Stochastic gradient Langevin dynamics for E_q[X], q ~ exp(-f) N(x_k, tau I) (García Trillos, Kaplan,
// Sanz-Alonso, Entropy 2019, Algorithm 3):
//
//   x^{j+1} = x^j - (eps_j/2)(grad f(x^j) + (x^j - x_k)/tau) + s_j xi_j,  j = 1 … J - 1
//   mean = sum eps_j x^j / sum eps_j,  gradient = (x_k - mean)/tau
//
// Projected: V = Q^T(x - x_k) takes the same transitions with L^T G for the gradient, P^1 = A x_k + L V. In
// the complement the chain is linear, so its last iterate and its sum S = sum eps_j y^j are jointly normal in
// each coordinate: from v = t = c = 0, a = eps_j/(2 tau),
//   v <- (1-a)^2 v + s_j^2;  t <- t + 2 eps_{j+1} (1-a) c + eps_{j+1}^2 v;  c <- (1-a) c + eps_{j+1} v
// (v = Var y, c = Cov(y, S), t = Var S), the means by the same recursion without noise.
//
// Symbols: J iterates, B rows, n parameters, d1 columns, G = df/dP^1. Sums are of eps_j (x^j - x_k).
#pragma once
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <vector>

#include "../network/first-layer-inl.h"
#include "../network/sgd-inl.h"
#include "../sampling/sampled-point-inl.h"

BEGIN_TARGET

// x <- x - (eps/2)(g + x/tau) + s xi; sum <- sum + next x, for `count` entries relative to x_k.
inline void langevin(const float* g, double eps, double tau, double s, double next, const float* xi,
                     size_t count, float* x, float* sum) {
  const Float half = set(float(-eps / 2)), keep = set(float(1 - eps / (2 * tau))), scale = set(float(s));
  const Float weight = set(float(next));
  for_vectors(count, [&](size_t i, size_t n) {
    const Float moved =
        fma(keep, load_some(x + i, n), fma(half, load_some(g + i, n), scale * load_some(xi + i, n)));
    store_some(x + i, n, moved);
    store_some(sum + i, n, fma(weight, moved, load_some(sum + i, n)));
  });
}

constexpr size_t kMoves = 4096;  // entries moved at a time, whole groups of normals

// Direct: the chain in all n coordinates, x^j - x_k in x. A worker moves the rows of W^1 that it multiplies
// (columns-inl.h), by some rows of A^T G at a time, with their noise made beside them (factored-inl.h).
struct DirectChain {
  const Estimator* estimator;
  const Question* q;
  float *x, *sum, *position;  // n; x_k + x
  float* slopes;              // a worker's: kMoves, or a row, and a vector
  float* noise;               // a worker's: as many, and whole groups of 64
};

// Transition j of entries at … at + count - 1 of layer l, by their slopes.
inline void direct_move(const DirectChain& chain, const PhiloxKey& key, size_t l, size_t j, size_t at,
                        size_t count, const float* slopes, float* noise) {
  const Estimator& estimator = *chain.estimator;
  const Question& q = *chain.q;
  const size_t group = at / 64, i = q.network->shape(l).offset + at;
  gaussian_fill(key, layer_stream(uint32_t(l)), q.update, uint32_t(j), uint32_t(group),
                uint32_t((at + count + 63) / 64 - group), noise);
  langevin(slopes, estimator.step_sizes[j], q.tau, estimator.noise_scales[j], estimator.step_sizes[j + 1],
           noise + (at - 64 * group), count, chain.x + i, chain.sum + i);
  add_scaled(q.parameters + i, 1, chain.x + i, count, chain.position + i);
}

// Transition j of one worker's share. gradient: of all layers, the first one's only where it is not factored.
inline void direct_moves(const DirectChain& chain, size_t j, const Factored& factored, const float* gradient,
                         unsigned worker, unsigned workers) {
  const Network& network = *chain.q->network;
  const size_t columns = network.layers[1], width = network.layers[0];
  const size_t most = std::max(size_t(1), kMoves / columns), room = std::max(kMoves, columns);
  float *slopes = chain.slopes + worker * (room + kLanes), *noise = chain.noise + worker * (room + 128);
  const PhiloxKey key(chain.q->seed);
  if (factored.rows != nullptr) {
    const Share share(kPieces, 1, worker, workers);
    const size_t end = share.end == kPieces ? width + 1 : piece_begin(width, share.end);
    for (size_t first = piece_begin(width, share.begin); share.begin < share.end && first < end;
         first += most) {
      const size_t count = std::min(most, end - first);
      some_slopes(factored, columns, first, count, slopes);
      direct_move(chain, key, 1, j, first * columns, count * columns, slopes, noise);
    }
  }
  for (size_t l = factored.rows != nullptr ? 2 : 1; l <= network.depth(); l++) {
    const LayerShape shape = network.shape(l);
    const Share share(shape.rows * shape.columns, 64, worker, workers);
    for (size_t at = share.begin; at < share.end; at += kMoves)
      direct_move(chain, key, l, j, at, std::min(kMoves, share.end - at), gradient + shape.offset + at,
                  noise);
  }
}

inline bool sgld_direct(const Estimator& estimator, const Question& q, const Context& context,
                        Workspace& workspace, float* x, float* sum, double* loss) {
  const Network& network = *q.network;
  const size_t n = network.parameters(), iterates = estimator.step_sizes.size();
  const size_t room = std::max(kMoves, size_t(network.layers[1]));
  Executor* executor = context.executor;
  TeamGradient state = new_team_gradient(workspace, network, q.batches[0].size, executor->size());
  float* gradient = workspace.take<float>(n);
  const DirectChain chain{&estimator,
                          &q,
                          x,
                          sum,
                          workspace.take<float>(n),
                          workspace.take<float>((room + kLanes) * executor->size()),
                          workspace.take<float>((room + 128) * executor->size())};
  add_scaled(q.parameters, 1, x, n, chain.position);
  for (size_t j = 0; j + 1 < iterates; j++) {
    if (context.cancelled->load(std::memory_order_relaxed)) return false;
    Factored factored;
    *loss += team_gradient(network, *q.loss, chain.position, q.batches[q.batch_count > 1 ? j : 0], executor,
                           &state, &factored, gradient);
    fork(executor,
         [&](unsigned worker) { direct_moves(chain, j, factored, gradient, worker, executor->size()); });
  }
  return true;
}

// What one transition of the projected chain reads and writes besides its own buffers.
struct SpanChain {
  SampledPoint point;  // factor: L itself
  Pass pass;
  float* v;      // B x d1
  float* v_sum;  // B x d1
  float* x;      // layers 2 … L, relative to x_k
  float* x_sum;
  float* position;  // layers 2 … L
  float* gradient;  // the same size
  float* pulled;    // L^T G (B x d1)
};

// One transition; returns f(x^j).
inline double span_transition(const Estimator& estimator, const Question& q, size_t j, const float* noise,
                              SpanChain* chain) {
  const Network& network = *q.network;
  const Pass& pass = chain->pass;
  const size_t rows = q.batches[0].size, columns = network.layers[1], stride = pass.stride[1];
  const size_t offset = tail_offset(network), count = network.parameters() - offset;
  const float* factor = chain->point.factor;
  product({rows, columns, rows, factor, rows, 1, chain->v, columns, chain->point.base, stride, pass.signal[1],
           stride, Triangle::kLower});
  add_scaled(q.parameters + offset, 1, chain->x, count, chain->position);
  forward(network, chain->position, pass, 0, rows);
  row_losses(network, *q.loss, chain->point.rows, pass, 0, rows, 1.0f / float(rows));
  backward(network, chain->position, pass, 0, rows);
  tail_gradient(network, pass, rows, false, 0, 1, chain->gradient);
  product({rows, columns, rows, factor, 1, rows, pass.signal[1], stride, nullptr, 0, chain->pulled, columns,
           Triangle::kUpper});
  const double eps = estimator.step_sizes[j], next = estimator.step_sizes[j + 1],
               s = estimator.noise_scales[j];
  const NoiseLayout& layout = chain->point.layout;
  langevin(chain->pulled, eps, q.tau, s, next, noise, layout.count[0], chain->v, chain->v_sum);
  size_t at = 0;
  for (size_t l = 1; l < network.depth(); l++) {
    langevin(chain->gradient + at, eps, q.tau, s, next, noise + layout.offset[l], layout.count[l],
             chain->x + at, chain->x_sum + at);
    at += layout.count[l];
  }
  return sum_of_losses(pass, rows) / double(rows);
}

// The chain itself, worker 0's, while the others make the noise of the transitions to come.
inline bool sgld_in_span(const Estimator& estimator, const Question& q, const Context& context,
                         Workspace& workspace, const Projection& projection, SpanChain* chain, double* loss) {
  // Transitions whose noise is made together; two such buffers stay in the second cache.
  constexpr size_t kAhead = 16;
  const NoiseLayout& layout = chain->point.layout;
  const size_t size = layout.offset[q.network->depth()], transitions = estimator.step_sizes.size() - 1;
  float* noise[2] = {workspace.take<float>(kAhead * size), workspace.take<float>(kAhead * size)};
  const auto draw = [&](size_t j) {
    draw_noise(layout, &projection, q.seed, q.update, uint32_t(j), noise[j / kAhead % 2] + j % kAhead * size);
  };
  fork_items(context.executor, std::min(kAhead, transitions), [&](size_t j, unsigned) { draw(j); });
  for (size_t first = 0; first < transitions; first += kAhead) {
    if (context.cancelled->load(std::memory_order_relaxed)) return false;
    const size_t end = std::min(transitions, first + kAhead), end_next = std::min(transitions, end + kAhead);
    std::atomic<size_t> next{end};
    fork(context.executor, [&](unsigned worker) {
      if (worker == 0)
        for (size_t j = first; j < end; j++)
          *loss += span_transition(estimator, q, j, noise[j / kAhead % 2] + j % kAhead * size, chain);
      for (size_t j; (j = next.fetch_add(1, std::memory_order_relaxed)) < end_next;) draw(j);
    });
  }
  return true;
}

// Law of the complement, a coordinate: last = last_mean y + last_noise n1, sum likewise with n1 and n2.
struct ComplementLaw {
  double last_mean = 1, last_noise = 0, sum_mean, sum_noise1 = 0, sum_noise2 = 0;
};

inline ComplementLaw complement_law(const Estimator& estimator, double tau) {
  const std::vector<double>& eps = estimator.step_sizes;
  ComplementLaw law;
  law.sum_mean = eps[0];
  double v = 0, t = 0, c = 0;
  for (size_t j = 0; j + 1 < eps.size(); j++) {
    const double keep = 1 - eps[j] / (2 * tau), s = estimator.noise_scales[j], next = eps[j + 1];
    v = keep * keep * v + s * s;
    t += 2 * next * keep * c + next * next * v;
    c = keep * c + next * v;
    law.last_mean *= keep;
    law.sum_mean += next * law.last_mean;
  }
  if (v == 0) return law;
  law.last_noise = std::sqrt(v);
  law.sum_noise1 = c / law.last_noise;
  law.sum_noise2 = std::sqrt(std::max(0.0, t - c * c / v));
  return law;
}

// last, sum ((d0 + 1) x d1) <- the complement's two vectors, before I - Q Q^T. start: x^1 - x_k.
inline void draw_complement(const ComplementLaw& law, const Question& q, const float* start,
                            Executor* executor, float* last, float* sum) {
  fork(executor, [&](unsigned worker) {
    const Share share(tail_offset(*q.network), 64, worker, executor->size());
    alignas(64) float n1[64], n2[64];
    const PhiloxKey key(q.seed);
    for (size_t i = share.begin; i < share.end; i += 64) {
      gaussian_fill(key, kStreamComplement, q.update, 0, uint32_t(i / 64), 1, n1);
      gaussian_fill(key, kStreamComplement, q.update, 1, uint32_t(i / 64), 1, n2);
      for (size_t k = i; k < std::min(i + 64, share.end); k++) {
        const float a = n1[k - i], b = n2[k - i], y = start[k];
        last[k] = float(law.last_mean) * y + float(law.last_noise) * a;
        sum[k] = float(law.sum_mean) * y + float(law.sum_noise1) * a + float(law.sum_noise2) * b;
      }
    }
  });
}

// x and sum as in sgld_direct.
inline bool sgld_projected(const Estimator& estimator, const Question& q, const Context& context,
                           Workspace& workspace, float* x, float* sum, double* loss) {
  const Network& network = *q.network;
  Executor* executor = context.executor;
  const size_t rows = q.batches[0].size, columns = network.layers[1], offset = tail_offset(network);
  const Projection projection = new_projection(workspace, q.batches[0], executor);
  Question unscaled = q;
  unscaled.noise_scale = 1;  // the factor of the chain is L itself
  const size_t rest = network.parameters() - offset;
  SpanChain chain{new_sampled_point(workspace, unscaled, &projection, executor),
                  new_pass(workspace, network, rows),
                  workspace.take<float>(rows * columns),
                  workspace.take<float>(rows * columns),
                  x + offset,
                  sum + offset,
                  workspace.take<float>(rest),
                  workspace.take<float>(rest),
                  workspace.take<float>(rows * columns)};
  double* span = workspace.take<double>(rows * columns);
  into_span(workspace, chain.point.rows, projection, x, columns, executor, span);
  for (size_t i = 0; i < rows * columns; i++) {
    chain.v[i] = float(span[i]);
    chain.v_sum[i] = float(estimator.step_sizes[0] * span[i]);
  }
  if (!sgld_in_span(estimator, q, context, workspace, projection, &chain, loss)) return false;
  draw_complement(complement_law(estimator, q.tau), q, x, executor, x, sum);
  for (size_t i = 0; i < rows * columns; i++) span[i] = chain.v[i];
  from_span(workspace, chain.point.rows, projection, span, columns, executor, x);
  for (size_t i = 0; i < rows * columns; i++) span[i] = chain.v_sum[i];
  from_span(workspace, chain.point.rows, projection, span, columns, executor, sum);
  return true;
}

inline bool sgld(const Estimator& estimator, const Question& q, const Context& context, Workspace& workspace,
                 Estimate* estimate) {
  const size_t n = q.network->parameters(), iterates = estimator.step_sizes.size();
  Executor* executor = context.executor;
  float* x = estimate->chain;       // relative to x_k while the chain runs
  float* sum = estimate->gradient;  // of eps_j x^j
  double weight = 0, loss = 0;
  for (const double eps : estimator.step_sizes) weight += eps;
  fork(executor, [&](unsigned worker) {
    const Share share(n, 64, worker, executor->size());
    const size_t count = share.end - share.begin;
    add_scaled(x + share.begin, -1, q.parameters + share.begin, count, x + share.begin);
    const Float first = set(float(estimator.step_sizes[0]));
    for_vectors(count, [&](size_t i, size_t k) {
      store_some(sum + share.begin + i, k, first * load_some(x + share.begin + i, k));
    });
  });
  const bool done = estimator.projected ? sgld_projected(estimator, q, context, workspace, x, sum, &loss)
                                        : sgld_direct(estimator, q, context, workspace, x, sum, &loss);
  if (!done) return false;
  fork(executor, [&](unsigned worker) {
    const Share share(n, 64, worker, executor->size());
    const size_t count = share.end - share.begin;
    add_scaled(x + share.begin, 1, q.parameters + share.begin, count, x + share.begin);
    const Float factor = set(float(-1 / (weight * q.tau)));
    for_vectors(count, [&](size_t i, size_t k) {
      store_some(sum + share.begin + i, k, factor * load_some(sum + share.begin + i, k));
    });
  });
  estimate->loss = iterates > 1 ? loss / double(iterates - 1) : kNone;
  estimate->samples = iterates;
  return true;
}

END_TARGET
