// A dense network's loss and its gradient, predictions and accuracy.
//
//   P^1 = A^0 W^1, A^l = (activation(P^l), 1), P^{l+1} = A^l W^{l+1}, f = mean over rows of the loss of P^L.
//
// Symbols: B rows, d0 … dL widths. A signal is df/dP^l.
#pragma once
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "../../backend.h"
#include "../linear/math-inl.h"
#include "../linear/product-inl.h"
#include "../machine/denormals.h"
#include "../machine/team-inl.h"
#include "../machine/workspace.h"
#include "loss-inl.h"
#include "rows-inl.h"

BEGIN_TARGET

// What one worker keeps of a block of rows on its way through the network.
struct Pass {
  float** signal;      // signal[l], l = 1 … L: P^l, then df/dP^l; rows x stride[l]
  float** activation;  // activation[l], l = 1 … L - 1: A^l with its column of ones; rows x stride[l]
  size_t* stride;      // of d_l + 1 floats, rounded up to 16
  float* transposed;   // the largest W^l, l > 1, transposed
  float* row_loss;     // rows
  float* excess;       // rows
  size_t* sample;      // one: the number of the sample in hand, where a loss is given
};

inline Pass new_pass(Workspace& workspace, const Network& network, size_t rows) {
  const size_t depth = network.depth();
  Pass pass;
  pass.signal = workspace.take<float*>(depth + 1);
  pass.activation = workspace.take<float*>(depth + 1);
  pass.stride = workspace.take<size_t>(depth + 1);
  size_t largest_matrix = 0;
  for (size_t l = 1; l <= depth; l++) {
    pass.stride[l] = round_up(network.layers[l] + 1, 16);
    pass.signal[l] = workspace.zeros<float>(rows * pass.stride[l]);
    if (l < depth) pass.activation[l] = workspace.zeros<float>(rows * pass.stride[l]);
    if (l > 1) largest_matrix = std::max(largest_matrix, network.shape(l).rows * network.shape(l).columns);
  }
  pass.transposed = workspace.take<float>(largest_matrix);
  pass.row_loss = workspace.take<float>(rows);
  pass.excess = workspace.take<float>(rows);
  pass.sample = workspace.zeros<size_t>(1);
  return pass;
}

template <class Function>
inline void activate_by(const Pass& pass, size_t l, size_t width, size_t begin, size_t end,
                        Function function) {
  for (size_t r = begin; r < end; r++) {
    const float* from = pass.signal[l] + r * pass.stride[l];
    float* to = pass.activation[l] + r * pass.stride[l];
    for (size_t i = 0; i < width; i += kLanes) store(to + i, function(load(from + i)));  // strides allow it
    to[width] = 1;
  }
}

// 1 above 0, else 0; NaN stays NaN, as the processor's maximum returns its second operand where one is.
inline Float step_of(Float x) { return select((Int)(x > set(0)), set(1), max(set(0), x)); }

inline void activate(const Network& network, const Pass& pass, size_t l, size_t begin, size_t end) {
  const size_t width = network.layers[l];
  switch (network.activation) {
    case Activation::kRelu:
      return activate_by(pass, l, width, begin, end, [&](Float x) { return max(set(0), x); });
    case Activation::kTanh:
      return activate_by(pass, l, width, begin, end, [&](Float x) { return tanh(x); });
    case Activation::kStep:
      return activate_by(pass, l, width, begin, end, [&](Float x) { return step_of(x); });
  }
}

// From P^1 in signal[1] to the logits in signal[L]. tail: the parameters of layers 2 … L, flat.
inline void forward(const Network& network, const float* tail, const Pass& pass, size_t begin, size_t end) {
  for (size_t l = 1; l < network.depth(); l++) {
    activate(network, pass, l, begin, end);
    const size_t rows = network.layers[l] + 1, columns = network.layers[l + 1];
    product({end - begin, columns, rows, pass.activation[l] + begin * pass.stride[l], pass.stride[l], 1, tail,
             columns, nullptr, 0, pass.signal[l + 1] + begin * pass.stride[l + 1], pass.stride[l + 1]});
    tail += rows * columns;
  }
}

// Losses of rows begin … end - 1 that are sums over the outputs; as row_losses.
template <class Term>
inline void summed_losses(const Network& network, const Rows& rows, const Pass& pass, size_t begin,
                          size_t end, float scale) {
  const size_t outputs = network.classes(), stride = pass.stride[network.depth()];
  for (size_t r = begin; r < end; r++) {
    float* z = pass.signal[network.depth()] + r * stride;
    const float* targets = rows.targets[r];
    Float total = set(0);
    for (size_t c = 0; c < outputs; c += kLanes) {
      const size_t n = std::min(kLanes, outputs - c);
      const Float out = load_some(z + c, n), t = load_some(targets + c, n);
      const Float term = Term::loss(out, t);
      total = total + (n == kLanes ? term : select((Int)(lane_numbers() < uint32_t(n)), term, set(0)));
      if (scale != 0) store_some(z + c, n, set(scale) * Term::slope(out, t));
    }
    pass.row_loss[r] = sum(total);
  }
}

// -sum t log softmax z of rows begin … end - 1: sum t (z_best - z) + sum t log1p(others); as row_losses.
inline void soft_cross_entropies(const Network& network, const Rows& rows, const Pass& pass, size_t begin,
                                 size_t end, float scale) {
  const size_t classes = network.classes(), stride = pass.stride[network.depth()];
  for (size_t r = begin; r < end; r++) {
    float* z = pass.signal[network.depth()] + r * stride;
    const float* targets = rows.targets[r];
    const size_t best = first_largest(z, classes);
    float below = 0, all = 0;
    for (size_t c = 0; c < classes; c++) {
      if (targets[c] != 0) below += targets[c] * (z[best] - z[c]);
      all += targets[c];
    }
    const float others = exponentials(z, classes, best);
    pass.row_loss[r] = below + all * std::log1p(others);
    if (scale == 0) continue;
    const Float factor = set(scale * all / (1 + others)), minus = set(-scale);
    for (size_t c = 0; c < classes; c += kLanes) {
      const size_t n = std::min(kLanes, classes - c);
      store_some(z + c, n, fma(factor, load_some(z + c, n), minus * load_some(targets + c, n)));
    }
  }
}

// Cross-entropy of rows begin … end - 1: z_best - z_label + log1p(sum over the others of exp(z - z_best)).
inline void cross_entropies(const Network& network, const uint16_t* labels, const Pass& pass, size_t begin,
                            size_t end, float scale) {
  const size_t classes = network.classes(), stride = pass.stride[network.depth()];
  for (size_t r = begin; r < end; r++) {
    float* z = pass.signal[network.depth()] + r * stride;
    const size_t best = first_largest(z, classes), label = labels[r];
    pass.row_loss[r] = z[best] - z[label];
    const float others = exponentials(z, classes, best);
    pass.excess[r] = others;
    if (scale == 0) continue;
    const float factor = scale / (1 + others), own = z[label];
    for (size_t c = 0; c < classes; c += kLanes) {
      const size_t n = std::min(kLanes, classes - c);
      store_some(z + c, n, load_some(z + c, n) * set(factor));
    }
    z[label] = factor * (label == best ? -others : own - (1 + others));
  }
  for (size_t r = begin; r < end; r += kLanes) {
    const size_t n = std::min(kLanes, end - r);
    store_some(pass.row_loss + r, n, load_some(pass.row_loss + r, n) + log1p(load_some(pass.excess + r, n)));
  }
}

// Losses of rows begin … end - 1 into row_loss. Where scale is not 0, the logits become scale ·
// dloss/dlogits.
inline void row_losses(const Network& network, const Loss& loss, const Rows& rows, const Pass& pass,
                       size_t begin, size_t end, float scale) {
  const size_t classes = network.classes(), stride = pass.stride[network.depth()];
  switch (loss.kind) {
    case LossKind::kCrossEntropy:
      return cross_entropies(network, rows.labels, pass, begin, end, scale);
    case LossKind::kSquaredError:
      return summed_losses<SquaredError>(network, rows, pass, begin, end, scale);
    case LossKind::kAbsoluteError:
      return summed_losses<AbsoluteError>(network, rows, pass, begin, end, scale);
    case LossKind::kLogistic:
      return summed_losses<Logistic>(network, rows, pass, begin, end, scale);
    case LossKind::kSoftCrossEntropy:
      return soft_cross_entropies(network, rows, pass, begin, end, scale);
    case LossKind::kGiven:
      for (size_t r = begin; r < end; r++) {
        const size_t at = *pass.sample * loss.batch + rows.first + r;
        const float* z = pass.signal[network.depth()] + r * stride;
        if (loss.outputs != nullptr) std::copy(z, z + classes, loss.outputs + at * classes);
        pass.row_loss[r] = loss.outputs != nullptr ? 0 : loss.given[at];
      }
      return;
    case LossKind::kCostMatrix:
      for (size_t r = begin; r < end; r++) {
        const float* costs = loss.costs.data() + rows.labels[r] * classes;
        const uint16_t best = predicted(pass.signal[network.depth()] + r * stride, classes);
        pass.row_loss[r] = best == kNoClass ? dearest(costs, classes) : costs[best];
      }
  }
}

inline double sum_of_losses(const Pass& pass, size_t count) {
  double total = 0;
  for (size_t r = 0; r < count; r++) total += pass.row_loss[r];
  return total;
}

// signal[l] <- function(activation[l], signal[l]): through the activation, backwards.
template <class Function>
inline void slopes_by(const Pass& pass, size_t l, size_t width, size_t begin, size_t end, Function function) {
  for (size_t r = begin; r < end; r++) {
    const float* a = pass.activation[l] + r * pass.stride[l];
    float* g = pass.signal[l] + r * pass.stride[l];
    for (size_t i = 0; i < width; i += kLanes) store(g + i, function(load(a + i), load(g + i)));
  }
}

// From signal[L] back to signal[1].
inline void backward(const Network& network, const float* tail, const Pass& pass, size_t begin, size_t end) {
  for (size_t l = network.depth(); l > 1; l--) {
    const size_t width = network.layers[l - 1], columns = network.layers[l], stride = pass.stride[l - 1];
    const float* w = tail + (network.shape(l).offset - network.shape(2).offset);
    transpose(w, width, columns, columns, 1, pass.transposed, width);
    product({end - begin, width, columns, pass.signal[l] + begin * pass.stride[l], pass.stride[l], 1,
             pass.transposed, width, nullptr, 0, pass.signal[l - 1] + begin * stride, stride});
    switch (network.activation) {
      case Activation::kRelu:
      case Activation::kStep:  // never asked for: it has no slope that teaches
        slopes_by(pass, l - 1, width, begin, end,
                  [&](Float x, Float back) { return select((Int)(x > set(0)), back, set(0)); });
        break;
      case Activation::kTanh:
        slopes_by(pass, l - 1, width, begin, end,
                  [&](Float x, Float back) { return back * (set(1) - x * x); });
        break;
    }
  }
}

// Gradient of layers 2 … L, flat: (A^{l-1})^T df/dP^l over `count` rows, this worker's rows of each matrix.
inline void tail_gradient(const Network& network, const Pass& pass, size_t count, bool add, unsigned worker,
                          unsigned workers, float* gradient) {
  for (size_t l = 2; l <= network.depth(); l++) {
    const size_t rows = network.layers[l - 1] + 1, columns = network.layers[l];
    const Share share(rows, 1, worker, workers);
    float* to = gradient + share.begin * columns;
    if (share.end > share.begin)
      product({share.end - share.begin, columns, count, pass.activation[l - 1] + share.begin, 1,
               pass.stride[l - 1], pass.signal[l], pass.stride[l], add ? to : nullptr, columns, to, columns});
    gradient += rows * columns;
  }
}

// Where layers 2 … L begin in the flat vector (n for a network of one layer).
inline size_t tail_offset(const Network& network) { return network.shape(1).rows * network.shape(1).columns; }

// What a worker needs to evaluate f by itself.
struct Evaluator {
  Rows rows;
  Pass pass;
};

inline Evaluator new_evaluator(Workspace& workspace, const Network& network, size_t rows) {
  return {new_rows(workspace, rows, network.layers[0]), new_pass(workspace, network, rows)};
}

// Logits of rows first … first + count - 1 into evaluator.pass.
inline void logits(const Network& network, const float* parameters, const Batch& batch, size_t first,
                   size_t count, Evaluator* evaluator) {
  load_rows(batch, first, count, &evaluator->rows);
  first_product(evaluator->rows, 0, count, parameters, network.layers[1], evaluator->pass.signal[1],
                evaluator->pass.stride[1]);
  forward(network, parameters + tail_offset(network), evaluator->pass, 0, count);
}

// Runs body(block, first, count, evaluator) for each block of rows; false if cancelled.
template <class Body>
inline bool for_row_blocks(const Network& network, const float* parameters, const Batch& batch,
                           const Context& context, Body body) {
  const size_t blocks = (batch.size + kRowBlock - 1) / kRowBlock;
  const size_t capacity = std::min(batch.size, kRowBlock);
  Workspace workspace;
  Evaluator* evaluators = workspace.take<Evaluator>(context.executor->size());
  for (unsigned w = 0; w < context.executor->size(); w++)
    evaluators[w] = new_evaluator(workspace, network, capacity);
  fork_items(context.executor, blocks, [&](size_t block, unsigned worker) {
    if (context.cancelled->load(std::memory_order_relaxed)) return;
    const FlushDenormals flush;
    const size_t first = block * kRowBlock, count = std::min(kRowBlock, batch.size - first);
    logits(network, parameters, batch, first, count, &evaluators[worker]);
    body(block, first, count, evaluators[worker]);
  });
  return !context.cancelled->load();
}

inline bool dense_loss(const Network& network, const Loss& loss, const float* parameters, const Batch& batch,
                       const Context& context, double* value) {
  std::vector<double> sums((batch.size + kRowBlock - 1) / kRowBlock);
  const bool done = for_row_blocks(network, parameters, batch, context,
                                   [&](size_t block, size_t, size_t count, const Evaluator& evaluator) {
                                     row_losses(network, loss, evaluator.rows, evaluator.pass, 0, count, 0);
                                     sums[block] = sum_of_losses(evaluator.pass, count);
                                   });
  *value = 0;
  for (const double sum : sums) *value += sum / double(batch.size);
  return done;
}

inline bool dense_predict(const Network& network, LossKind kind, const float* parameters, const Batch& batch,
                          const Context& context, float* outputs, uint16_t* labels) {
  const size_t classes = network.classes();
  return for_row_blocks(network, parameters, batch, context,
                        [&](size_t, size_t first, size_t count, const Evaluator& evaluator) {
                          for (size_t r = 0; r < count; r++) {
                            float* z = evaluator.pass.signal[network.depth()] +
                                       r * evaluator.pass.stride[network.depth()];
                            labels[first + r] = predicted(z, classes);
                            link_row(kLinks[size_t(kind)], z, classes, outputs + (first + r) * classes);
                          }
                        });
}

inline bool dense_accuracy(const Network& network, const float* parameters, const Batch& batch,
                           const Context& context, uint64_t* correct) {
  std::atomic<uint64_t> total{0};
  const bool done = for_row_blocks(
      network, parameters, batch, context, [&](size_t, size_t, size_t count, const Evaluator& evaluator) {
        uint64_t here = 0;
        for (size_t r = 0; r < count; r++)
          here +=
              predicted(evaluator.pass.signal[network.depth()] + r * evaluator.pass.stride[network.depth()],
                        network.classes()) == evaluator.rows.labels[r];
        total += here;
      });
  *correct = total;
  return done;
}

END_TARGET
