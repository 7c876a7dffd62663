// hessian-product.h explains; reference/network/hessian-product.ts has the equations. With a dot for the
// derivative along v, V^l the matrices of v, and G = df/dP:
//
//   P'^1 = A^0 V^1,  A'^l = slope(P^l) P'^l,  P'^{l+1} = A'^l W^{l+1} + A^l V^{l+1},
//   T^{l-1} = G^l (W^l)^T,  T'^{l-1} = G'^l (W^l)^T + G^l (V^l)^T,  G' = slope T' + bend P' T,
//   (H v)^l = (A'^{l-1})^T G^l + (A^{l-1})^T G'^l.
#include <algorithm>

#include "../linear/first-layer.h"
#include "../linear/product.h"
#include "../machine/block.h"
#include "dense.h"
#include "hessian-product.h"

namespace local_entropy {

namespace {

constexpr unsigned kThreads = 256, kRowsEach = kThreads / 32;

static_assert(kActivations == 3, "the second derivative of an activation is missing in through_slopes");

// Logits z (rows x classes) <- scale (p - onehot), p their softmax, and their derivatives d <- scale p (d -
// sum of p d); a warp a row. What the sum holds is taken relative to the best class, so that a row that is
// sure of it loses nothing.
__global__ void signal_dots(DeviceBatch batch, unsigned classes, float scale, float* logits, float* dots) {
  const size_t row = size_t(blockIdx.x) * kRowsEach + threadIdx.x / 32;
  if (row >= batch.size) return;  // a whole warp
  float *z = logits + row * classes, *d = dots + row * classes;
  const unsigned lane = threadIdx.x % 32, label = batch.label(row);
  float largest = -INFINITY;
  for (unsigned c = lane; c < classes; c += 32) largest = z[c] > largest ? z[c] : largest;
  largest = warp_join(largest, Larger());
  unsigned after = 0;  // classes - the first that has it
  for (unsigned c = lane; c < classes; c += 32)
    if (z[c] == largest && after == 0) after = classes - c;
  after = warp_join(after, Larger());
  const unsigned best = after == 0 ? 0 : classes - after;  // none where one is NaN, which all become
  const float top = d[best];
  float others = 0, total = 0;
  for (unsigned c = lane; c < classes; c += 32) {
    if (c == best) continue;
    const float e = expf(z[c] - largest);
    others += e;
    total = fmaf(e, d[c] - top, total);
  }
  others = warp_sum(others);
  const float mean = warp_sum(total) / (1 + others), factor = scale / (1 + others);
  __syncwarp();  // all have read the best class's derivative
  for (unsigned c = lane; c < classes; c += 32) {
    const float e = c == best ? 1.0f : expf(z[c] - largest);
    d[c] = factor * e * (d[c] - top - mean);
    z[c] = factor * (c != label ? e : label == best ? -others : e - (1 + others));
  }
}

// T and T' of some units become G and G'. tanh's second derivative is -2 a slope, and slope P' is A'.
__global__ void through_slopes(size_t count, Activation activation, const float* activated,
                               const float* activated_dot, float* back, float* back_dot) {
  const size_t i = size_t(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= count) return;
  const float a = activated[i], through = through_slope(activation, a, back[i]);
  const float bent = activation == Activation::kTanh ? 2 * a * activated_dot[i] * back[i] : 0.0f;
  back[i] = through;
  back_dot[i] = through_slope(activation, a, back_dot[i]) - bent;
}

// Where a layer's matrices lie: of x, of v, and in the product.
struct Layer {
  size_t width, columns;
  const float *w, *v;
  float* out;
};

Layer layer_of(const Network& network, size_t l, const float* parameters, const float* vector, float* out) {
  const size_t at = network.shape(l).offset;
  return {network.layers[l - 1], network.layers[l], parameters + at, vector + at, out + at};
}

// The logits and their derivatives, from the rows on.
void forward_dots(DeviceContext& context, const Network& network, const DeviceBatch& batch,
                  const float* parameters, const float* vector, DensePass& pass, DensePass& dot) {
  dense_first(context, network, {parameters}, batch, pass);
  dense_upper(context, network, {parameters + tail_offset(network)}, pass);
  for (size_t l = 1; l <= network.depth(); l++) {
    const Layer at = layer_of(network, l, parameters, vector, nullptr);
    const bool last = l == network.depth();
    Product p{batch.size,
              at.columns,
              at.width,
              at.v,
              at.columns,
              1,
              at.v + at.width * at.columns,
              0,
              last ? dot.signal[l] : dot.activation[l],
              at.columns};
    if (l > 1) {
      product(context, StridedLeft{pass.activation[l - 1], at.width, 1}, p);
      p.b = at.w;
      p.start = p.c;
      p.start_row = at.columns;
    }
    p.finish = last ? Finish::kNothing : Finish::kSlope;
    p.activation = network.activation;
    p.activated = last ? nullptr : pass.activation[l];
    if (l == 1)
      product(context, InputsLeft{batch, false}, p);
    else
      product(context, StridedLeft{dot.activation[l - 1], at.width, 1}, p);
  }
}

// From G and G' of the logits down to those of the first layer, and the product of layers 2 … L on the way.
void backward_dots(DeviceContext& context, const Network& network, const DeviceBatch& batch,
                   const float* parameters, const float* vector, bool add, DensePass& pass, DensePass& dot,
                   float* out) {
  for (size_t l = network.depth(); l > 1; l--) {
    const Layer at = layer_of(network, l, parameters, vector, out);
    Product sum{at.width + 1,           at.columns, batch.size, dot.signal[l], at.columns, 1,
                add ? at.out : nullptr, at.columns, at.out,     at.columns};
    product(context, StridedLeft{pass.activation[l - 1], 1, at.width, 0, at.width}, sum);
    sum.rows = at.width;  // a bias's input does not move
    sum.b = pass.signal[l];
    sum.start = at.out;
    product(context, StridedLeft{dot.activation[l - 1], 1, at.width}, sum);

    const StridedLeft g{pass.signal[l], at.columns, 1}, g_dot{dot.signal[l], at.columns, 1};
    Product back{batch.size, at.width, at.columns,         at.w,    1, at.columns,
                 nullptr,    0,        pass.signal[l - 1], at.width};
    product(context, g, back);
    back.c = dot.signal[l - 1];
    product(context, g_dot, back);
    back.b = at.v;
    back.start = back.c;
    back.start_row = at.width;
    product(context, g, back);
    const size_t units = batch.size * at.width;
    launch(through_slopes, {blocks_for(units, kThreads), kThreads}, context.stream, units, network.activation,
           pass.activation[l - 1], dot.activation[l - 1], pass.signal[l - 1], dot.signal[l - 1]);
  }
}

// So many rows at a time as take a portion, whatever the device.
size_t rows_at_a_time(const Network& network) {
  size_t floats = 0;
  for (size_t l = 1; l <= network.depth(); l++) floats += 4 * size_t(network.layers[l]);
  return std::max(size_t(1), std::min(portions.rows, portions.floats / floats));
}

}  // namespace

bool dense_hessian_product(DeviceContext& context, const Network& network, const float* parameters,
                           const float* vector, const DeviceBatch& batch, float* out) {
  const size_t most = rows_at_a_time(network), depth = network.depth(), columns = network.layers[1];
  for (size_t first = 0; first < batch.size; first += most) {
    context.arena->reset();
    const DeviceBatch part = rows_of(batch, first, std::min(most, batch.size - first));
    DensePass pass = new_dense_pass(*context.arena, network, part.size);
    DensePass dot = new_dense_pass(*context.arena, network, part.size);
    forward_dots(context, network, part, parameters, vector, pass, dot);
    launch(signal_dots, {blocks_for(part.size, kRowsEach), kThreads}, context.stream, part, network.classes(),
           1.0f / float(batch.size), pass.signal[depth], dot.signal[depth]);
    backward_dots(context, network, part, parameters, vector, first > 0, pass, dot, out);
    first_gradient(part, dot.signal[1], columns, columns, first > 0, out, context);
    if (!context.go_on()) return false;
  }
  return true;
}

}  // namespace local_entropy
