// Stochastic gradient Langevin dynamics for E_q[X], q ~ exp(-f) N(x_k, tau I) (García Trillos, Kaplan,
// Sanz-Alonso, Entropy 2019, Algorithm 3):
//
//   x^{j+1} = x^j - (eps_j/2)(grad f(x^j) + (x^j - x_k)/tau) + s_j xi_j,  j = 1 … J - 1
//   mean = sum eps_j x^j / sum eps_j,  gradient = (x_k - mean)/tau
//
// Projected: in the span one block of threads runs the chain (sgld-chain.cu). In the complement the chain is
// linear, so its last iterate and its sum S = sum eps_j y^j are jointly normal in each coordinate: from v = t
// = c = 0, a = eps_j/(2 tau),
//   v <- (1-a)^2 v + s_j^2;  t <- t + 2 eps_{j+1} (1-a) c + eps_{j+1}^2 v;  c <- (1-a) c + eps_{j+1} v
// (v = Var y, c = Cov(y, S), t = Var S), the means by the same recursion without noise.
//
// Symbols: J iterates, B rows, n parameters, d1 columns. Sums are of eps_j (x^j - x_k).
#include <algorithm>
#include <vector>

#include "../../description.h"
#include "../linear/first-layer.h"
#include "../linear/projection.h"
#include "../network/dense.h"
#include "../network/sgd.h"
#include "../random/gaussian.h"
#include "../sampling/sampled-point.h"
#include "sgld-chain.h"
#include "sgld.h"

namespace local_entropy {

namespace {

constexpr unsigned kThreads = 256;

// x (n) <- x - center; sum <- eps x.
__global__ void begin_chain(const float* center, float eps, size_t n, float* x, float* sum) {
  const size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= n) return;
  x[i] -= center[i];
  sum[i] = eps * x[i];
}

// x <- x + center; sum <- factor sum.
__global__ void end_chain(const float* center, float factor, size_t n, float* x, float* sum) {
  const size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= n) return;
  x[i] += center[i];
  sum[i] *= factor;
}

__global__ void add(const float* a, const float* b, size_t n, float* to) {
  const size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < n) to[i] = a[i] + b[i];
}

Transition transition(const Estimator& e, double tau, size_t j) {
  const double eps = e.step_sizes[j];
  return {float(-eps / 2), float(1 - eps / (2 * tau)), float(e.noise_scales[j]), float(e.step_sizes[j + 1])};
}

// One layer of the direct chain; a thread makes one Philox block.
__global__ void move(Transition t, Noise noise, const float* gradient, size_t count, float* x, float* sum) {
  const size_t block = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
  const size_t position = position_of(uint32_t(block % 16), 0) + block / 16 * 64;
  if (position >= count) return;
  const FourNormals normals = normals_of_block(noise, uint32_t(block));
#pragma unroll
  for (uint32_t k = 0; k < 4; k++) {
    const size_t i = position + 16 * k;
    if (i >= count) continue;
    x[i] = fmaf(t.keep, x[i], fmaf(t.half, gradient[i], t.scale * normals.at[k]));
    sum[i] = fmaf(t.next, x[i], sum[i]);
  }
}

// *mean <- mean of `count` numbers, in order.
__global__ void mean_of(const double* values, size_t count, double over, double* mean) {
  double sum = 0;
  for (size_t i = 0; i < count; i++) sum += values[i];
  *mean = sum / over;
}

// The chain in all n coordinates. x: x^j - x_k.
bool direct_chain(const Estimator& e, const DeviceQuestion& q, DeviceContext& context, float* x, float* sum,
                  EstimateNumbers* numbers) {
  constexpr size_t kAhead = 64;  // transitions between questions whether to go on
  const Network& network = *q.network;
  const size_t n = network.parameters(), transitions = e.step_sizes.size() - 1;
  float *gradient = context.arena->take<float>(n), *position = context.arena->take<float>(n);
  double* losses = context.arena->take<double>(std::max(size_t(1), transitions));
  const DeviceArena::Mark mark = context.arena->mark();
  for (size_t j = 0; j < transitions; j++) {
    if (j % kAhead == kAhead - 1 && !context.go_on()) return false;
    launch(add, {blocks_for(n, kThreads), kThreads}, context.stream, q.parameters, x, n, position);
    dense_gradient(context, network, q.loss, position, q.batches[q.batch_count > 1 ? j : 0], nullptr,
                   gradient, losses + j);
    for (size_t l = 1; l <= network.depth(); l++) {
      const LayerShape shape = network.shape(l);
      const size_t count = shape.rows * shape.columns, at = shape.offset;
      const Noise noise{q.seed, layer_stream(uint32_t(l)), q.update, uint32_t(j)};
      launch(move, {blocks_for((count + 63) / 64 * 16, kThreads), kThreads}, context.stream,
             transition(e, q.tau, j), noise, gradient + at, count, x + at, sum + at);
    }
    context.arena->rewind(mark);
  }
  if (transitions > 0)
    launch(mean_of, {1, 1}, context.stream, losses, transitions, double(transitions), &numbers->loss);
  return true;
}

// Law of the complement, a coordinate: last = last_mean y + last_noise n1, sum likewise with n1 and n2.
struct ComplementLaw {
  float last_mean, last_noise, sum_mean, sum_noise1, sum_noise2;
};

ComplementLaw complement_law(const Estimator& e, double tau) {
  const std::vector<double>& eps = e.step_sizes;
  double v = 0, t = 0, c = 0, decay = 1, decays = eps[0];
  for (size_t j = 0; j + 1 < eps.size(); j++) {
    const double keep = 1 - eps[j] / (2 * tau), s = e.noise_scales[j], next = eps[j + 1];
    v = keep * keep * v + s * s;
    t += 2 * next * keep * c + next * next * v;
    c = keep * c + next * v;
    decay *= keep;
    decays += next * decay;
  }
  const double along = v > 0 ? c / std::sqrt(v) : 0;
  // Rounding may take the rest below zero where last and sum are all but proportional (J = 2).
  return {float(decay), float(std::sqrt(v)), float(decays), float(along),
          float(std::sqrt(std::max(t - along * along, 0.0)))};
}

// First layer: x and sum <- the complement's last iterate and sum, from where they began (x).
__global__ void draw_complement(ComplementLaw law, uint64_t seed, uint32_t update, size_t count, float* x,
                                float* sum) {
  const size_t block = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
  const size_t position = position_of(uint32_t(block % 16), 0) + block / 16 * 64;
  if (position >= count) return;
  const FourNormals n1 = normals_of_block({seed, kStreamComplement, update, 0}, uint32_t(block)),
                    n2 = normals_of_block({seed, kStreamComplement, update, 1}, uint32_t(block));
#pragma unroll
  for (uint32_t k = 0; k < 4; k++) {
    const size_t i = position + 16 * k;
    if (i >= count) continue;
    const float y = x[i];
    x[i] = fmaf(law.last_mean, y, law.last_noise * n1.at[k]);
    sum[i] = fmaf(law.sum_mean, y, fmaf(law.sum_noise1, n1.at[k], law.sum_noise2 * n2.at[k]));
  }
}

// v, v_sum <- the chain's start in the span, and eps times it.
__global__ void begin_span(const double* span, double eps, size_t count, float* v, float* v_sum) {
  const size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= count) return;
  v[i] = float(span[i]);
  v_sum[i] = float(eps * span[i]);
}

__global__ void widen(const float* from, size_t count, double* to) {
  const size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < count) to[i] = from[i];
}

bool run_transitions(const Estimator& e, const DeviceQuestion& q, const Chain& chain,
                     const NoiseLayout& layout, DeviceContext& context) {
  const size_t floats = portions.floats / 8;  // of noise made at a time: what the second cache holds
  const size_t transitions = e.step_sizes.size() - 1;
  std::vector<Transition> numbers;
  for (size_t j = 0; j < transitions; j++) numbers.push_back(transition(e, q.tau, j));
  if (transitions == 0) return true;
  Transition* on_device = context.arena->take<Transition>(transitions);
  upload(context.stream, on_device, numbers.data(), transitions * sizeof(Transition));
  const size_t most = std::max(size_t(1), std::min(transitions, floats / layout.size()));
  float* noise = context.arena->take<float>(most * layout.size());
  for (size_t j = 0; j < transitions; j += most) {
    if (j > 0 && !context.go_on()) return false;
    const size_t count = std::min(most, transitions - j);
    draw_noise(layout, q.seed, q.update, j, count, noise, context);
    run_chain(chain, layout, on_device + j, uint32_t(count), noise, context);
  }
  return true;
}

// x and sum as in direct_chain.
bool projected_chain(const Estimator& e, const DeviceQuestion& q, DeviceContext& context, float* x,
                     float* sum, EstimateNumbers* numbers) {
  const Network& network = *q.network;
  const DeviceBatch& batch = q.batches[0];
  DeviceArena& arena = *context.arena;
  const size_t columns = network.layers[1], inside = batch.size * columns, offset = tail_offset(network),
               tail = network.parameters() - offset, bytes = tail * sizeof(float);
  const Projection p = new_projection(batch, context);
  const NoiseLayout layout = new_noise_layout(network, &p);
  Chain chain{};
  chain.network.depth = uint32_t(network.depth());
  std::copy(network.layers.begin(), network.layers.end(), chain.network.width);
  chain.network.activation = network.activation;
  chain.batch = batch;
  chain.loss_kind = q.loss.kind;
  float* base = arena.take<float>(inside);
  first_product(batch, q.parameters, columns, base, columns, context);
  chain.base = base;
  chain.factor = scaled_factor(p, 1, context);
  chain.tail = q.parameters + offset;
  chain.state = arena.take<float>(2 * (inside + tail));
  chain.scratch = chain_scratch(chain.network, batch.size, context);
  chain.loss = arena.zeros<double>(context.stream, 1);
  float *v = chain.state, *v_sum = v + inside, *upper = v_sum + inside, *upper_sum = upper + tail;
  double* span = arena.take<double>(inside);
  into_span(batch, p, x, columns, context, span);
  const Launch over_span{blocks_for(inside, kThreads), kThreads};
  launch(begin_span, over_span, context.stream, span, e.step_sizes[0], inside, v, v_sum);
  copy(context.stream, upper, x + offset, bytes);
  copy(context.stream, upper_sum, sum + offset, bytes);
  if (!run_transitions(e, q, chain, layout, context)) return false;
  copy(context.stream, x + offset, upper, bytes);
  copy(context.stream, sum + offset, upper_sum, bytes);
  launch(draw_complement, {blocks_for((offset + 63) / 64 * 16, kThreads), kThreads}, context.stream,
         complement_law(e, q.tau), q.seed, q.update, offset, x, sum);
  launch(widen, over_span, context.stream, v, inside, span);
  from_span(batch, p, span, columns, context, x);
  launch(widen, over_span, context.stream, v_sum, inside, span);
  from_span(batch, p, span, columns, context, sum);
  const size_t transitions = e.step_sizes.size() - 1;
  if (transitions > 0)
    launch(mean_of, {1, 1}, context.stream, chain.loss, size_t(1), double(transitions), &numbers->loss);
  return true;
}

}  // namespace

bool sgld(const Estimator& estimator, const DeviceQuestion& q, DeviceContext& context,
          DeviceEstimate* estimate) {
  const size_t n = q.network->parameters();
  float* x = estimate->chain;       // relative to x_k while the chain runs
  float* sum = estimate->gradient;  // of eps_j x^j
  double weight = 0;
  for (const double eps : estimator.step_sizes) weight += eps;
  const Launch over_n{blocks_for(n, kThreads), kThreads};
  launch(begin_chain, over_n, context.stream, q.parameters, float(estimator.step_sizes[0]), n, x, sum);
  const bool done = estimator.projected ? projected_chain(estimator, q, context, x, sum, estimate->numbers)
                                        : direct_chain(estimator, q, context, x, sum, estimate->numbers);
  if (!done) return false;
  launch(end_chain, over_n, context.stream, q.parameters, float(-1 / (weight * q.tau)), n, x, sum);
  estimate->samples = estimator.step_sizes.size();
  return context.going_on();
}

}  // namespace local_entropy
