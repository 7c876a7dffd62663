// One row under one Walsh block: 2m samples for the noise of one, their losses by Walsh-Hadamard transforms.
//
//   sample (i, e, g): first layer's noise U diag(e s_gh), s_gh = (-1)^popcount(g & h), second layer's
//   row split     Z diag(e t_gc), t_gc = s_{g,d1+c}:  logit_c = a W_c + e T_c + N_c,
//                 T_c = WHT(d W_c) + n_c t_c, n_c = s a Z_c, N_c = t_c WHT(s d Z_c)
//   weights only  diag(e s_gh) Z:                     logit_c = a W_c + s d Z_c + e WHT(d W_c + s a Z_c)
//   no hidden layer:                                  logit_c = base_c + e s_gc y_c
//
// Logits are kept less the label's, which saves a transform, and times log2 e. n_c t_c: that of n_c at d1+c.
//
// a, d: half the sum and half the difference of act(base + y), act(base - y) (bias: a = 1, d = 0), y = s (M
// U)_b. Signs on the columns of a Gaussian matrix leave its law unchanged, so each sample has the law of
// Algorithm 4 (García Trillos, Kaplan, Sanz-Alonso, Entropy 2019); those of one block depend on each other.
//
// Symbols: m the transform's length, WHT(v)_g = sum_h s_gh v_h, s the perturbation's scale, w1 = d1 width of
// the first layer, d2 classes. Arrays over g or h have `length` floats: m, or one vector where m is shorter
// (its lanes past m are zero wherever a sum is taken).
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "../../backend.h"
#include "../linear/math-inl.h"
#include "../linear/transform-inl.h"
#include "../network/dense-inl.h"

BEGIN_TARGET

enum class WalshLayout : uint8_t { kRowSplit, kWeightsOnly, kNoHidden };

struct WalshShape {
  WalshLayout layout;
  size_t m, length, vectors;  // length = max(m, kLanes) = vectors kLanes
  size_t width, classes;      // w1, d2 (w1 where there is no hidden layer)
  size_t used;                // vectors that hold neurons and bias
  size_t placed;              // those and the places of n_c (row split)
};

inline WalshShape new_walsh_shape(const Network& network, bool rowwise) {
  WalshShape shape;
  shape.width = network.layers[1];
  shape.classes = network.classes();
  shape.layout = network.depth() == 1 ? WalshLayout::kNoHidden
                 : rowwise            ? WalshLayout::kRowSplit
                                      : WalshLayout::kWeightsOnly;
  shape.m = walsh_length(network, rowwise);
  shape.length = std::max(shape.m, kLanes);
  shape.vectors = shape.length / kLanes;
  shape.used = std::min(shape.vectors, shape.width / kLanes + 1);
  shape.placed = (shape.width + shape.classes - 1) / kLanes + 1;
  return shape;
}

// What all rows share: the network's second matrix by classes, and the signs of the places of n_c or y_c.
struct WalshPoint {
  WalshShape shape;
  Activation activation;
  const Loss* loss;
  float scale2;    // s^2
  float* weights;  // log2 e W_c: classes x length, bias at place w1
  float* signs;    // t_gc (row split), s_gc (no hidden layer), as -0 for -1 and 0: classes x length
  float* places;   // row split: log2 e at place d1+c, else 0: classes x length
};

constexpr float kLog2e = 1.44269504f;

// x, its sign changed where `sign` is -0.
inline Float flip(Float x, Float sign) { return (Float)((Int)x ^ (Int)sign); }

// out (classes x length): -0 where popcount(g & (first + c)) is odd, else 0.
inline void walsh_signs(const WalshShape& shape, size_t first, float* out) {
  for (size_t c = 0; c < shape.classes; c++) {
    const size_t k = first + c;
    float* of_class = out + c * shape.length;
    for (size_t g = 0; g < kLanes; g++) of_class[g] = __builtin_parityll(g & k) ? -0.0f : 0.0f;
    const Float lanes = load(of_class);
    for (size_t at = kLanes; at < shape.length; at += kLanes)
      store(of_class + at, flip(lanes, set(__builtin_parityll(at & k) ? -0.0f : 0.0f)));
  }
}

inline WalshPoint new_walsh_point(Workspace& workspace, const Question& q, bool rowwise) {
  const Network& network = *q.network;
  WalshPoint point{};
  point.shape = new_walsh_shape(network, rowwise);
  point.activation = network.activation;
  point.loss = q.loss;
  point.scale2 = float(q.noise_scale * q.noise_scale);
  const WalshShape& shape = point.shape;
  if (network.depth() > 1) point.weights = workspace.padded(shape.classes, shape.width + 1, shape.length);
  if (shape.layout == WalshLayout::kWeightsOnly) return point;
  point.signs = workspace.take<float>(shape.classes * shape.length);
  if (shape.layout == WalshLayout::kRowSplit)
    point.places = workspace.padded(shape.classes, shape.width / kLanes * kLanes, shape.length);
  return point;
}

// What new_walsh_point has the memory for.
inline void fill_walsh_point(const Question& q, WalshPoint* point) {
  const WalshShape& shape = point->shape;
  if (point->weights != nullptr)
    transpose(q.parameters + tail_offset(*q.network), shape.width + 1, shape.classes, shape.classes, kLog2e,
              point->weights, shape.length);
  if (point->signs != nullptr)
    walsh_signs(shape, shape.layout == WalshLayout::kNoHidden ? 0 : shape.width, point->signs);
  for (size_t c = 0; point->places != nullptr && c < shape.classes; c++)
    point->places[c * shape.length + shape.width + c] = kLog2e;
}

// One block's noise: U (r x w1) as drawn, and s Z by classes (classes x length, bias at place w1).
struct WalshNoise {
  float* first;
  float* second;
};

// What one row makes of one block.
struct WalshRow {
  float *a, *d;    // length
  float* t;        // log2 e (T_c - T_label), not set for the label: classes x length
  float* n_part;   // N_c: classes x length (row split)
  float* inverse;  // 1/(s^2 |hidden|^2): 2 x length (row split)
  float* losses;   // f: 2 x length
  float* means;    // WHT(f+ - f-)/2m: length
  float* n;        // n_c: classes
  float* slope;    // lambda_c (row split): classes
  float* base;     // logits' even part but for N, less the label's, times log2 e: classes
  const float* y;  // the row's y: length
  float own;       // sum of a^2 + d^2
  float mean;      // of f
};

inline WalshRow new_walsh_row(Workspace& workspace, const WalshShape& shape) {
  const size_t length = shape.length, all = shape.classes * length;
  WalshRow row{};
  row.a = workspace.padded(1, shape.used * kLanes, length);
  row.d = workspace.padded(1, shape.used * kLanes, length);
  row.t = workspace.take<float>(all);
  row.n_part = workspace.take<float>(all);
  row.inverse = workspace.take<float>(2 * length);
  row.losses = workspace.take<float>(2 * length);
  row.means = workspace.take<float>(length);
  row.n = workspace.take<float>(shape.classes);
  row.slope = workspace.take<float>(shape.classes);
  row.base = workspace.take<float>(shape.classes);
  return row;
}

template <class Function>
inline void half_activations_by(const WalshShape& shape, const float* base, const float* y, WalshRow* row,
                                Function function) {
  const Float half = set(0.5f);
  Float squares = set(0);
  for (size_t i = 0; i < shape.used * kLanes; i += kLanes) {
    const Float p = load(base + i), q = load(y + i), plus = function(p + q), minus = function(p - q);
    const Float d = half * (plus - minus);
    Float a = half * (plus + minus);
    // Past the neurons base = y = 0 and so d = 0, but act(0) need not be 0.
    if (i + kLanes > shape.width) a = select((Int)(lane_numbers() < uint32_t(shape.width - i)), a, set(0));
    store(row->a + i, a);
    store(row->d + i, d);
    squares = fma(a, a, fma(d, d, squares));
  }
  row->a[shape.width] = 1;
  row->own = sum(squares) + 1;
}

// a, d and their squares' sum.
inline void half_activations(const WalshPoint& point, const float* base, const float* y, WalshRow* row) {
  switch (point.activation) {
    case Activation::kRelu:
      return half_activations_by(point.shape, base, y, row, [&](Float x) { return max(set(0), x); });
    case Activation::kTanh:
      return half_activations_by(point.shape, base, y, row, [&](Float x) { return tanh(x); });
    case Activation::kStep:
      return half_activations_by(point.shape, base, y, row, [&](Float x) { return step_of(x); });
  }
}

// What no transform is for: class c's base, not yet less the label's, and n.
inline void walsh_base(const WalshPoint& point, const float* base, const WalshNoise& noise, size_t c,
                       WalshRow* row) {
  const WalshShape& shape = point.shape;
  if (shape.layout == WalshLayout::kNoHidden) {
    row->base[c] = kLog2e * base[c];
    return;
  }
  const bool by_rows = shape.layout == WalshLayout::kRowSplit;
  const float *w = point.weights + c * shape.length, *z = noise.second + c * shape.length;
  const float* of_noise = by_rows ? row->a : row->d;
  Float even = set(0), odd = set(0);
  for (size_t i = 0; i < shape.used * kLanes; i += kLanes) {
    even = fma(load(row->a + i), load(w + i), even);
    odd = fma(load(of_noise + i), load(z + i), odd);
  }
  row->n[c] = sum(odd);
  row->base[c] = by_rows ? sum(even) : sum(fma(set(kLog2e), odd, even));
}

// Even and odd parts of all logits.
template <int kCount>
inline void walsh_logits(const WalshPoint& point, const float* base, const WalshNoise& noise, size_t label,
                         float* scratch, WalshRow* row) {
  const WalshShape& shape = point.shape;
  const size_t length = shape.length, own = label * length;
  walsh_base(point, base, noise, label, row);
  const float base_own = row->base[label];
  const float *a = row->a, *d = row->d;
  const Float log2e = set(kLog2e);
  const size_t places = shape.width / kLanes;
  for (size_t c = 0; c < shape.classes; c++) {
    if (c != label) walsh_base(point, base, noise, c, row);
    row->base[c] -= base_own;
    const auto out = [&](size_t v, Float x) { store(row->t + c * length + v * kLanes, x); };
    const float *w = point.weights + c * length, *w_own = point.weights + own;
    const float *z = noise.second + c * length, *z_own = noise.second + own;
    switch (shape.layout) {
      case WalshLayout::kNoHidden: {
        const Float y = set(kLog2e * row->y[c]), y_own = set(kLog2e * row->y[label]);
        for (size_t v = 0; v < shape.vectors; v++)
          out(v, flip(y, load(point.signs + c * length + v * kLanes)) -
                     flip(y_own, load(point.signs + own + v * kLanes)));
        break;
      }
      case WalshLayout::kWeightsOnly:
        if (c == label) break;
        walsh<kCount, true>(
            shape.vectors, shape.used, scratch,
            [&](size_t v) {
              const size_t at = v * kLanes;
              return fma(load(d + at), load(w + at) - load(w_own + at),
                         log2e * load(a + at) * (load(z + at) - load(z_own + at)));
            },
            out);
        break;
      case WalshLayout::kRowSplit: {
        const float *signs = point.signs + c * length, *place = point.places + c * length,
                    *place_own = point.places + own;
        const Float n = set(row->n[c]), n_own = set(-row->n[label]);
        float* n_part = row->n_part + c * length;
        walsh<kCount, true>(
            shape.vectors, shape.used, scratch,
            [&](size_t v) { return load(d + v * kLanes) * load(z + v * kLanes); },
            [&](size_t v, Float x) { store(n_part + v * kLanes, flip(x, load(signs + v * kLanes))); });
        if (c == label) break;
        walsh<kCount, true>(
            shape.vectors, shape.placed, scratch,
            [&](size_t v) {
              const size_t at = v * kLanes;
              const Float x = load(d + at) * (load(w + at) - load(w_own + at));
              return v < places ? x : fma(n, load(place + at), fma(n_own, load(place_own + at), x));
            },
            out);
      }
    }
  }
  if (shape.layout != WalshLayout::kRowSplit) return;
  const Float squares = set(row->own), one = set(1), scale2 = set(point.scale2);
  walsh<kCount, true>(
      shape.vectors, shape.used, scratch,
      [&](size_t v) {
        const Float x = load(a + v * kLanes);
        return (x + x) * load(d + v * kLanes);
      },
      [&](size_t v, Float x) {
        store(row->inverse + v * kLanes, one / (scale2 * (squares + x)));
        store(row->inverse + length + v * kLanes, one / (scale2 * (squares - x)));
      });
  if (shape.m < kLanes)  // what psi is multiplied by: nothing past m
    for (const size_t half : {size_t(0), length}) {
      float* inverse = row->inverse + half;
      store(inverse, select((Int)(lane_numbers() < uint32_t(shape.m)), load(inverse), set(0)));
    }
}

// The logit of class c less the label's, times log2 e, e = +1 or -1, for the vector at i.
inline Float walsh_difference(const WalshPoint& point, const WalshRow& row, size_t c, size_t label, size_t i,
                              bool minus) {
  const size_t at = c * point.shape.length + i, own = label * point.shape.length + i;
  const Float odd = load(row.t + at);
  Float even = set(row.base[c]);
  if (point.shape.layout == WalshLayout::kRowSplit)
    even = fma(set(kLog2e), load(row.n_part + at) - load(row.n_part + own), even);
  return minus ? even - odd : even + odd;
}

// Cross-entropy where the sum of exponentials left the range of log1p: by the largest difference.
inline Float walsh_large_loss(const WalshPoint& point, const WalshRow& row, size_t label, size_t i,
                              bool minus) {
  Float top = set(0), total = set(0);  // of the other classes; the label's is 2^0
  for (size_t c = 0; c < point.shape.classes; c++)
    if (c != label) top = max(top, walsh_difference(point, row, c, label, i, minus));
  for (size_t c = 0; c < point.shape.classes; c++)
    total = total + exp2((c == label ? set(0) : walsh_difference(point, row, c, label, i, minus)) - top);
  return fma(top, set(1 / kLog2e), log1p(max(set(0), total - set(1))));
}

// Of the label's costs that of the class predicted, the first largest; `most`, the dearest, where one is NaN.
inline Float walsh_cost(const WalshPoint& point, const WalshRow& row, const float* costs, float most,
                        size_t label, size_t i, bool minus) {
  Float top = set(-std::numeric_limits<float>::infinity()), cost = set(costs[0]);
  Int none = (Int)set(0);
  for (size_t c = 0; c < point.shape.classes; c++) {
    const Float z = c == label ? set(0) : walsh_difference(point, row, c, label, i, minus);
    cost = select((Int)(z > top), set(costs[c]), cost);
    top = max(top, z);
    none = none | (Int)(z != z);
  }
  return select(none, set(most), cost);
}

// Of the row's 2m samples the sum over the other classes of 2^difference.
template <bool kRowSplit>
inline void walsh_sums(const WalshPoint& point, size_t label, WalshRow* row) {
  const size_t length = point.shape.length, others = point.shape.classes - 1;
  const Float log2e = set(kLog2e);
  for (size_t i = 0; i < length; i += kLanes) {
    Float sum_plus = set(0), sum_minus = set(0);
    const Float n_own = kRowSplit ? load(row->n_part + label * length + i) : set(0);
    for (size_t k = 0; k < others; k++) {
      const size_t c = k + (k >= label);
      const Float odd = load(row->t + c * length + i);
      Float even = set(row->base[c]);
      if (kRowSplit) even = fma(log2e, load(row->n_part + c * length + i) - n_own, even);
      sum_plus = sum_plus + exp2(even + odd);
      sum_minus = sum_minus + exp2(even - odd);
    }
    store(row->losses + i, sum_plus);
    store(row->losses + length + i, sum_minus);
  }
}

// f of the row's 2m samples, and their mean. Cross-entropy is log1p of the sum.
inline void walsh_losses(const WalshPoint& point, size_t label, WalshRow* row) {
  const WalshShape& shape = point.shape;
  const size_t length = shape.length;
  switch (point.loss->kind) {
    case LossKind::kCostMatrix: {
      const float* costs = point.loss->costs.data() + label * shape.classes;
      const float most = dearest(costs, shape.classes);
      for (size_t i = 0; i < 2 * length; i += kLanes)
        store(row->losses + i, walsh_cost(point, *row, costs, most, label, i & (length - 1), i >= length));
      break;
    }
    case LossKind::kCrossEntropy: {
      if (shape.layout == WalshLayout::kRowSplit)
        walsh_sums<true>(point, label, row);
      else
        walsh_sums<false>(point, label, row);
      Float most = set(0);
      for (size_t i = 0; i < 2 * length; i += kLanes) {
        const Float x = load(row->losses + i);
        most = max(most, x);
        store(row->losses + i, log1p(x));
      }
      if (!(largest(most) < 1e9f))
        for (size_t i = 0; i < length; i += kLanes) {
          store(row->losses + i, walsh_large_loss(point, *row, label, i, false));
          store(row->losses + length + i, walsh_large_loss(point, *row, label, i, true));
        }
      break;
    }
  }
  Float total = set(0);
  const Int inside = (Int)(lane_numbers() < uint32_t(std::min(shape.m, kLanes)));
  for (size_t i = 0; i < 2 * length; i += kLanes) {
    const Float f = select(inside, load(row->losses + i), set(0));
    store(row->losses + i, f);
    total = total + f;
  }
  row->mean = sum(total) / float(2 * shape.m);
}

// (1/2m) WHT(v+ - v-) of values (2 x length): the mean of value · e s_gh for each h.
template <int kCount>
inline void sign_mean(const WalshShape& shape, const float* values, float* scratch, float* out) {
  const Float factor = set(1.0f / float(2 * shape.m));
  walsh<kCount>(
      shape.vectors, shape.vectors, scratch,
      [&](size_t v) {
        return factor * (load(values + v * kLanes) - load(values + shape.length + v * kLanes));
      },
      [&](size_t v, Float x) { store(out + v * kLanes, x); });
}

// The row's 2m losses under one block's noise; base (A x)_b and y = s (M U)_b, zeros past w1 up to `length`.
template <int kCount>
inline void walsh_row(const WalshPoint& point, const WalshNoise& noise, const float* base, const float* y,
                      size_t label, float* scratch, WalshRow* row) {
  row->y = y;
  if (point.shape.layout != WalshLayout::kNoHidden) half_activations(point, base, y, row);
  walsh_logits<kCount>(point, base, noise, label, scratch, row);
  walsh_losses(point, label, row);
}

END_TARGET
