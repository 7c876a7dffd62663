// Robbins-Monro for the heat-regularized loss: the zero of x - x_k + tau E grad f(x + s Z) (García Trillos,
// Kaplan, Sanz-Alonso, Entropy 2019, Algorithm 5):
//
//   x^{j+1} = x^j - a_j (x^j - x_k + tau mean_m grad f(x^j + s Z_{jm})),  j = 1 … J, m = 1 … M, x^1 = x_k
//   mean = x^{J+1}, gradient = (x_k - mean)/tau
//
// Projected: the first layer's gradient is A^T G, so x^j = x_k + A^T C with C <- C - a_j (C + tau mean_m
// G_m), and P^1 = A x_k + (A A^T) C + s L U. Nothing happens in the complement.
//
// The M samples of a transition go through the network together.
//
// Symbols: J transitions, M samples a transition, B rows, n parameters, d1 columns, G = df/dP^1, `tail`
// layers 2 … L.
#include <algorithm>

#include "../linear/first-layer.h"
#include "../linear/product.h"
#include "../linear/projection.h"
#include "../machine/parts.h"
#include "../network/dense.h"
#include "../sampling/sampled-point.h"
#include "robbins-monro.h"

namespace local_entropy {

namespace {

constexpr unsigned kThreads = 256;

// y <- keep y + step g: y - a (y + factor sum g), y relative to where the chain began.
__global__ void descend(float keep, float step, const float* g, size_t n, float* y) {
  const size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < n) y[i] = fmaf(keep, y[i], step * g[i]);
}

__global__ void add(const float* a, const float* b, size_t n, float* to) {
  const size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < n) to[i] = a[i] + b[i];
}

__global__ void scale(float factor, const float* from, size_t n, float* to) {
  const size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < n) to[i] = factor * from[i];
}

__global__ void narrow(const double* from, size_t n, float* to) {
  const size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < n) to[i] = float(from[i]);
}

template <class... Parameters, class... Arguments>
void over(DeviceContext& context, void (*kernel)(Parameters...), size_t n, Arguments... arguments) {
  launch(kernel, {blocks_for(n, kThreads), kThreads}, context.stream, arguments...);
}

struct RobbinsMonro {
  SampledPoint point;
  size_t first_size, tail_size, samples;
  const float* center;              // A x_k: B x d1
  float* gram;                      // A A^T: B x B, projected
  float *first, *tail;              // C (B x d1) or the first layer, and the others, relative to x_k
  float *position, *position_tail;  // x^j: the first layer (direct), the others
  float* signal;                    // sum over the samples of G: B x d1
  float *first_sum,
      *tail_sum;  // sum over the samples of the gradients; first_sum is `signal` where projected
  float* losses;  // J x M
};

RobbinsMonro new_robbins_monro(const Estimator& e, const DeviceQuestion& q, const Projection* projection,
                               DeviceContext& context) {
  const Network& network = *q.network;
  DeviceArena& arena = *context.arena;
  const size_t rows = q.batches[0].size, inside = rows * network.layers[1];
  RobbinsMonro run{};
  run.samples = e.samples;
  run.point = new_sampled_point(q, projection, e.samples, 0, context);
  run.center = run.point.base;
  run.first_size = projection != nullptr ? inside : tail_offset(network);
  run.tail_size = network.parameters() - tail_offset(network);
  run.first = arena.zeros<float>(context.stream, run.first_size);
  run.tail = arena.zeros<float>(context.stream, run.tail_size);
  run.position_tail = arena.take<float>(run.tail_size);
  run.signal = arena.take<float>(inside);
  run.tail_sum = arena.take<float>(run.tail_size);
  run.losses = arena.take<float>(e.step_sizes.size() * e.samples);
  run.point.tail = run.position_tail;
  run.first_sum = run.signal;
  if (projection == nullptr) {
    run.position = arena.take<float>(run.first_size);
    run.first_sum = arena.take<float>(run.first_size);
    return run;
  }
  run.point.base = arena.take<float>(inside);
  run.gram = arena.take<float>(rows * rows);
  over(context, narrow, rows * rows, projection->gram, rows * rows, run.gram);
  return run;
}

// Where the chain stands: A x^j and the tail.
void set_position(RobbinsMonro& run, size_t j) {
  const DeviceQuestion& q = *run.point.q;
  DeviceContext& context = *run.point.context;
  const size_t columns = q.network->layers[1], rows = run.point.batch.size;
  if (run.tail_size > 0)
    over(context, add, run.tail_size, q.parameters + tail_offset(*q.network), run.tail, run.tail_size,
         run.position_tail);
  if (run.point.projection != nullptr)
    return product(
        context, StridedLeft{run.gram, rows, 1},
        Product{rows, columns, rows, run.first, columns, 1, run.center, columns, run.point.base, columns});
  run.point.batch = q.batches[q.batch_count > 1 ? j : 0];
  over(context, add, run.first_size, q.parameters, run.first, run.first_size, run.position);
  first_product(run.point.batch, run.position, columns, run.point.base, columns, context);
}

// Sums over the samples of transition j at the point where the chain stands.
void sample_gradients(RobbinsMonro& run, size_t j) {
  DeviceContext& context = *run.point.context;
  const Network& network = *run.point.q->network;
  const size_t rows = run.point.batch.size, inside = rows * network.layers[1];
  for (size_t m = 0; m < run.samples; m += run.point.most) {
    const size_t count = std::min(run.point.most, run.samples - m);
    draw_units(&run.point, j * run.samples + m, count);
    forward_units(&run.point, 1, 1.0f / float(rows));
    unit_losses(run.point, 1, run.losses + j * run.samples + m);
    dense_back(context, network, {run.point.perturbed, run.tail_size}, run.point.pass);
    add_parts(run.point.pass.signal[1], count, inside, 1, m > 0, run.signal, context);
    add_tail_gradient(run.point, m > 0, run.tail_sum);
  }
  if (run.point.projection == nullptr)
    first_gradient(run.point.batch, run.signal, network.layers[1], network.layers[1], false, run.first_sum,
                   context);
}

}  // namespace

bool robbins_monro(const Estimator& estimator, const DeviceQuestion& q, DeviceContext& context,
                   DeviceFactored* factored, DeviceEstimate* estimate) {
  constexpr size_t kAhead = 8;  // transitions between questions whether to go on
  Projection projection;
  if (estimator.projected) projection = new_projection(q.batches[0], context);
  RobbinsMonro run = new_robbins_monro(estimator, q, estimator.projected ? &projection : nullptr, context);
  const size_t transitions = estimator.step_sizes.size(), offset = tail_offset(*q.network);
  const DeviceArena::Mark mark = context.arena->mark();
  for (size_t j = 0; j < transitions; j++) {
    if (j % kAhead == kAhead - 1 && !context.go_on()) return false;
    set_position(run, j);
    sample_gradients(run, j);
    const double a = estimator.step_sizes[j];
    const float keep = float(1 - a), step = float(-a * q.tau / estimator.samples);
    over(context, descend, run.first_size, keep, step, run.first_sum, run.first_size, run.first);
    if (run.tail_size > 0)
      over(context, descend, run.tail_size, keep, step, run.tail_sum, run.tail_size, run.tail);
    context.arena->rewind(mark);
  }
  const float factor = float(-1 / q.tau);
  if (run.tail_size > 0)
    over(context, scale, run.tail_size, factor, run.tail, run.tail_size, estimate->gradient + offset);
  if (!estimator.projected) {
    over(context, scale, run.first_size, factor, run.first, run.first_size, estimate->gradient);
  } else {
    write_first_layer(q, &projection, run.first, {nullptr, factor}, nullptr, {}, context, factored,
                      estimate->gradient);
  }
  mean_of_losses(context, run.losses, transitions * estimator.samples, &estimate->numbers->loss);
  estimate->samples = transitions * estimator.samples;
  return context.going_on();
}

}  // namespace local_entropy
