// The Hessian of the mean cross-entropy times a vector v: the derivative along v of what dense-inl.h computes
// (reference/network/hessian-product.ts has the equations). With a dot for that derivative:
//
//   P'^1 = A^0 V^1,  A'^l = (slope(P^l) P'^l, 0),  P'^{l+1} = A'^l W^{l+1} + A^l V^{l+1},
//   T^{l-1} = G^l (W^l)^T,  T'^{l-1} = G'^l (W^l)^T + G^l (V^l)^T,  G' = slope T' + bend P' T,
//   (H v)^l = (A'^{l-1})^T G^l + (A^{l-1})^T G'^l.
//
// Rows are worked off in blocks by the whole team, as in sgd-inl.h, so each entry is one chain of sums
// whatever the number of threads. Blocks are added up in float32 as far as a part goes, the parts in float64.
//
// Symbols: d0 … dL widths, n parameters. W^l and V^l are the matrices of x and of v; G is df/dP.
#pragma once
#include <algorithm>
#include <cstddef>
#include <vector>

#include "../../backend.h"
#include "../machine/denormals.h"
#include "columns-inl.h"
#include "dense-inl.h"

BEGIN_TARGET

constexpr size_t kRowsOfPart = 8 * kRowBlock;

// A block of rows and its derivatives, which all workers share, each at rows of its own.
struct Tangents {
  Rows rows;
  Pass pass;                         // P, then G; A
  Pass dot;                          // P', then G'; A' with a column of zeros
  const float *weights, *moved;      // layers 2 … L of x and of v
  float *weights_back, *moved_back;  // the same transposed, without the biases
};

inline Tangents new_tangents(Workspace& workspace, const Network& network, size_t rows, const float* weights,
                             const float* moved) {
  const size_t size = network.parameters() - tail_offset(network);
  Tangents t{new_rows(workspace, rows, network.layers[0]),
             new_pass(workspace, network, rows),
             new_pass(workspace, network, rows),
             weights,
             moved,
             workspace.take<float>(size),
             workspace.take<float>(size)};
  for (size_t l = 2; l <= network.depth(); l++) {
    const size_t at = network.shape(l).offset - tail_offset(network);
    const size_t width = network.layers[l - 1], columns = network.layers[l];
    transpose(weights + at, width, columns, columns, 1, t.weights_back + at, width);
    transpose(moved + at, width, columns, columns, 1, t.moved_back + at, width);
  }
  return t;
}

template <class Function>
inline void activate_dots_by(const Tangents& t, size_t l, size_t width, size_t begin, size_t end,
                             Function function) {
  const size_t stride = t.dot.stride[l];
  for (size_t r = begin; r < end; r++) {
    const float *a = t.pass.activation[l] + r * stride, *from = t.dot.signal[l] + r * stride;
    float* to = t.dot.activation[l] + r * stride;
    for (size_t i = 0; i < width; i += kLanes) store(to + i, function(load(a + i), load(from + i)));
    to[width] = 0;
  }
}

// A'^l from A^l and P'^l.
inline void activate_dots(const Network& network, const Tangents& t, size_t l, size_t begin, size_t end) {
  const size_t width = network.layers[l];
  switch (network.activation) {
    case Activation::kRelu:
      return activate_dots_by(t, l, width, begin, end,
                              [&](Float a, Float p) { return select((Int)(a > set(0)), p, set(0)); });
    case Activation::kTanh:
      return activate_dots_by(t, l, width, begin, end,
                              [&](Float a, Float p) { return p * (set(1) - a * a); });
    case Activation::kStep:  // it has no slope, and nobody asks
      return activate_dots_by(t, l, width, begin, end, [&](Float, Float) { return set(0); });
  }
}

// From P^1 and P'^1 to the logits and their derivative.
inline void forward_dots(const Network& network, const Tangents& t, size_t begin, size_t end) {
  for (size_t l = 1; l < network.depth(); l++) {
    activate(network, t.pass, l, begin, end);
    activate_dots(network, t, l, begin, end);
    const size_t at = network.shape(l + 1).offset - tail_offset(network);
    const size_t depth = network.layers[l] + 1, columns = network.layers[l + 1];
    const size_t a_row = t.pass.stride[l], c_row = t.pass.stride[l + 1];
    const float *a = t.pass.activation[l] + begin * a_row, *a_dot = t.dot.activation[l] + begin * a_row;
    float *p = t.pass.signal[l + 1] + begin * c_row, *p_dot = t.dot.signal[l + 1] + begin * c_row;
    const size_t rows = end - begin;
    product({rows, columns, depth, a, a_row, 1, t.weights + at, columns, nullptr, 0, p, c_row});
    product({rows, columns, depth, a, a_row, 1, t.moved + at, columns, nullptr, 0, p_dot, c_row});
    product({rows, columns, depth, a_dot, a_row, 1, t.weights + at, columns, p_dot, c_row, p_dot, c_row});
  }
}

// A row's logits z <- scale (p - onehot), p their softmax, and their derivative dot <- scale p (dot - sum of
// p dot). What the sum holds is taken relative to the best class, so that a row that is sure of it loses
// nothing.
inline void signal_dots(float* z, float* dot, size_t classes, size_t label, float scale) {
  const size_t best = first_largest(z, classes);
  const float others = exponentials(z, classes, best), factor = scale / (1 + others);
  const Float top = set(dot[best]);
  Float total = set(0);
  for_vectors(classes, [&](size_t c, size_t n) {
    total = fma(load_some(z + c, n), load_some(dot + c, n) - top, total);
  });
  const Float mean = set(sum(total) / (1 + others));
  for_vectors(classes, [&](size_t c, size_t n) {
    const Float share = load_some(z + c, n) * set(factor);
    store_some(dot + c, n, share * (load_some(dot + c, n) - top - mean));
    if (c <= label && label < c + n) z[label] = label == best ? -others : z[label] - (1 + others);
    store_some(z + c, n, load_some(z + c, n) * set(factor));
  });
}

// T and T' of layer l become G and G' by function(a, a', to, to'), which reads and writes what its pointers
// say.
template <class Function>
inline void slope_dots_by(const Tangents& t, size_t l, size_t width, size_t begin, size_t end,
                          Function function) {
  const size_t stride = t.pass.stride[l];
  for (size_t r = begin; r < end; r++) {
    const float *a = t.pass.activation[l] + r * stride, *a_dot = t.dot.activation[l] + r * stride;
    float *to = t.pass.signal[l] + r * stride, *to_dot = t.dot.signal[l] + r * stride;
    for (size_t i = 0; i < width; i += kLanes) function(load(a + i), load(a_dot + i), to + i, to_dot + i);
  }
}

inline void slope_dots(const Network& network, const Tangents& t, size_t l, size_t begin, size_t end) {
  const size_t width = network.layers[l];
  switch (network.activation) {
    case Activation::kRelu:
      return slope_dots_by(t, l, width, begin, end, [&](Float a, Float, float* to, float* to_dot) {
        const Int on = (Int)(a > set(0));
        store(to, select(on, load(to), set(0)));
        store(to_dot, select(on, load(to_dot), set(0)));
      });
    case Activation::kTanh:  // its second derivative is -2 a slope, and slope P' is A'
      return slope_dots_by(t, l, width, begin, end, [&](Float a, Float a_dot, float* to, float* to_dot) {
        const Float slope = set(1) - a * a, through = load(to);
        store(to, through * slope);
        store(to_dot, load(to_dot) * slope - set(2) * a * a_dot * through);
      });
    case Activation::kStep:
      return;
  }
}

// From G^L and G'^L back to G^1 and G'^1.
inline void backward_dots(const Network& network, const Tangents& t, size_t begin, size_t end) {
  for (size_t l = network.depth(); l > 1; l--) {
    const size_t at = network.shape(l).offset - tail_offset(network);
    const size_t width = network.layers[l - 1], columns = network.layers[l], rows = end - begin;
    const size_t g_row = t.pass.stride[l], stride = t.pass.stride[l - 1];
    const float *g = t.pass.signal[l] + begin * g_row, *g_dot = t.dot.signal[l] + begin * g_row;
    float *back = t.pass.signal[l - 1] + begin * stride, *back_dot = t.dot.signal[l - 1] + begin * stride;
    product({rows, width, columns, g, g_row, 1, t.weights_back + at, width, nullptr, 0, back, stride});
    product(
        {rows, width, columns, g_dot, g_row, 1, t.weights_back + at, width, nullptr, 0, back_dot, stride});
    product(
        {rows, width, columns, g, g_row, 1, t.moved_back + at, width, back_dot, stride, back_dot, stride});
    slope_dots(network, t, l - 1, begin, end);
  }
}

// (A'^{l-1})^T G^l + (A^{l-1})^T G'^l of layers 2 … L over `count` rows, this worker's rows of each matrix.
inline void tail_dots(const Network& network, const Tangents& t, size_t count, bool add, unsigned worker,
                      unsigned workers, float* out) {
  tail_gradient(network, {t.dot.signal, t.pass.activation, t.dot.stride, nullptr, nullptr, nullptr}, count,
                add, worker, workers, out);
  tail_gradient(network, {t.pass.signal, t.dot.activation, t.pass.stride, nullptr, nullptr, nullptr}, count,
                true, worker, workers, out);
}

// out (n) <- what rows first … first + count - 1 give, or += where `add`.
inline void block_product(const Network& network, const float* parameters, const float* vector,
                          const Batch& batch, size_t first, size_t count, bool add, Executor* executor,
                          Tangents* t, float* out) {
  const unsigned workers = executor->size();
  const size_t columns = network.layers[1], offset = tail_offset(network), depth = network.depth();
  team_load(batch, first, count, executor, &t->rows);
  fork(executor, [&](unsigned worker) {
    const Share share(count, 1, worker, workers);
    if (share.begin == share.end) return;
    const size_t stride = t->pass.stride[1], last = t->pass.stride[depth];
    first_product(t->rows, share.begin, share.end, parameters, columns, t->pass.signal[1], stride);
    first_product(t->rows, share.begin, share.end, vector, columns, t->dot.signal[1], stride);
    forward_dots(network, *t, share.begin, share.end);
    for (size_t r = share.begin; r < share.end; r++)
      signal_dots(t->pass.signal[depth] + r * last, t->dot.signal[depth] + r * last, network.classes(),
                  t->rows.labels[r], 1.0f / float(batch.size));
    backward_dots(network, *t, share.begin, share.end);
  });
  fork(executor, [&](unsigned worker) {
    const Share share(columns, 16, worker, workers);
    first_gradient(t->rows, t->dot.signal[1], t->dot.stride[1], columns, share.begin, share.end, add, out);
    tail_dots(network, *t, count, add, worker, workers, out + offset);
  });
}

// out (n) <- the Hessian at `parameters` (n) of the mean cross-entropy of the batch, times `vector` (n).
// False if cancelled.
inline bool hessian_product(const Network& network, const float* parameters, const float* vector,
                            const Batch& batch, const Context& context, float* out) {
  const FlushDenormals flush;
  const size_t n = network.parameters(), offset = tail_offset(network);
  Workspace workspace;
  Tangents tangents =
      new_tangents(workspace, network, std::min(batch.size, kRowBlock), parameters + offset, vector + offset);
  std::vector<double> totals(batch.size > kRowsOfPart ? n : 0);
  for (size_t first = 0; first < batch.size; first += kRowBlock) {
    if (context.cancelled->load(std::memory_order_relaxed)) return false;
    const size_t count = std::min(kRowBlock, batch.size - first);
    block_product(network, parameters, vector, batch, first, count, first % kRowsOfPart > 0, context.executor,
                  &tangents, out);
    const bool whole = (first + kRowBlock) % kRowsOfPart == 0 || first + count == batch.size;
    if (!whole || totals.empty()) continue;
    fork(context.executor, [&](unsigned worker) {
      const Share share(n, 16, worker, context.executor->size());
      for (size_t i = share.begin; i < share.end; i++) totals[i] += double(out[i]);
    });
  }
  for (size_t i = 0; i < totals.size(); i++) out[i] = float(totals[i]);
  return true;
}

END_TARGET
