// One row under one Walsh block: 2m samples for the noise of one, their losses by Walsh-Hadamard transforms.
//
//   sample (i, e, g): first layer's noise U diag(e s_gh), s_gh = (-1)^popcount(g & h), second layer's
//   row split     Z diag(e t_gc), t_gc = s_{g,d1+c}:  logit_c = a W_c + e T_c + N_c,
//                 T_c = WHT(d W_c) + n_c t_c, n_c = s a Z_c, N_c = t_c WHT(s d Z_c)
//   weights only  diag(e s_gh) Z:                     logit_c = a W_c + s d Z_c + e WHT(d W_c + s a Z_c)
//   no hidden layer:                                  logit_c = base_c + e s_gc y_c
//
// Where a loss reads labels, logits are kept less the label's, which saves a transform, and times log2 e, the
// unit; else as they are (walsh-losses-inl.h). n_c t_c: that of n_c at d1+c.
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
  bool by_label;   // whether the loss reads labels
  float* weights;  // unit W_c: classes x length, bias at place w1
  float* signs;    // t_gc (row split), s_gc (no hidden layer), as -0 for -1 and 0: classes x length
  float* places;   // row split: unit at place d1+c, else 0: classes x length
};

constexpr float kLog2e = 1.44269504f;

// What logits are multiplied by.
constexpr float walsh_unit(bool by_label) { return by_label ? kLog2e : 1; }

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
  point.by_label = kReads[size_t(q.loss->kind)] == Reads::kLabels;
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
  const float unit = walsh_unit(point->by_label);
  if (point->weights != nullptr)
    transpose(q.parameters + tail_offset(*q.network), shape.width + 1, shape.classes, shape.classes, unit,
              point->weights, shape.length);
  if (point->signs != nullptr)
    walsh_signs(shape, shape.layout == WalshLayout::kNoHidden ? 0 : shape.width, point->signs);
  for (size_t c = 0; point->places != nullptr && c < shape.classes; c++)
    point->places[c * shape.length + shape.width + c] = unit;
}

// One block's noise: U (r x w1) as drawn, and s Z by classes (classes x length, bias at place w1).
struct WalshNoise {
  float* first;
  float* second;
};

// What one row makes of one block.
struct WalshRow {
  float *a, *d;    // length
  float* t;        // unit (T_c - T_label), not set for the label: classes x length
  float* n_part;   // N_c: classes x length (row split)
  float* inverse;  // 1/(s^2 |hidden|^2): 2 x length (row split)
  float* losses;   // f: 2 x length
  float* means;    // WHT(f+ - f-)/2m: length
  float* n;        // n_c: classes
  float* slope;    // lambda_c (row split): classes
  float* base;     // logits' even part but for N, less the label's, times the unit: classes
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
template <bool kByLabel>
inline void walsh_base(const WalshPoint& point, const float* base, const WalshNoise& noise, size_t c,
                       WalshRow* row) {
  constexpr float unit = walsh_unit(kByLabel);
  const WalshShape& shape = point.shape;
  if (shape.layout == WalshLayout::kNoHidden) {
    row->base[c] = unit * base[c];
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
  row->base[c] = by_rows ? sum(even) : sum(fma(set(unit), odd, even));
}

// Even and odd parts of all logits: kByLabel, less the label's, else of all as they are.
template <int kCount, bool kByLabel>
inline void walsh_logits(const WalshPoint& point, const float* base, const WalshNoise& noise, size_t label,
                         float* scratch, WalshRow* row) {
  const WalshShape& shape = point.shape;
  const size_t length = shape.length, own = label * length;
  if (kByLabel) walsh_base<kByLabel>(point, base, noise, label, row);
  const float base_own = kByLabel ? row->base[label] : 0;
  const float *a = row->a, *d = row->d;
  const Float unit = set(walsh_unit(kByLabel));
  const auto less = [&](Float x, const float* of_label) {  // a capture: no pointer to it is made
    if constexpr (kByLabel)
      return x - load(of_label);
    else
      return x;
  };
  const size_t places = shape.width / kLanes;
  for (size_t c = 0; c < shape.classes; c++) {
    if (!kByLabel || c != label) walsh_base<kByLabel>(point, base, noise, c, row);
    if (kByLabel) row->base[c] -= base_own;
    const auto out = [&](size_t v, Float x) { store(row->t + c * length + v * kLanes, x); };
    const float *w = point.weights + c * length, *w_own = point.weights + own;
    const float *z = noise.second + c * length, *z_own = noise.second + own;
    switch (shape.layout) {
      case WalshLayout::kNoHidden: {
        const float of_unit = walsh_unit(kByLabel);
        const Float y = set(of_unit * row->y[c]), y_own = set(of_unit * row->y[label]);
        for (size_t v = 0; v < shape.vectors; v++) {
          const Float odd = flip(y, load(point.signs + c * length + v * kLanes));
          out(v, kByLabel ? odd - flip(y_own, load(point.signs + own + v * kLanes)) : odd);
        }
        break;
      }
      case WalshLayout::kWeightsOnly:
        if (kByLabel && c == label) break;
        walsh<kCount, true>(
            shape.vectors, shape.used, scratch,
            [&](size_t v) {
              const size_t at = v * kLanes;
              return fma(load(d + at), less(load(w + at), w_own + at),
                         unit * load(a + at) * less(load(z + at), z_own + at));
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
        if (kByLabel && c == label) break;
        walsh<kCount, true>(
            shape.vectors, shape.placed, scratch,
            [&](size_t v) {
              const size_t at = v * kLanes;
              const Float x = load(d + at) * less(load(w + at), w_own + at);
              if (v < places) return x;
              return fma(n, load(place + at), kByLabel ? fma(n_own, load(place_own + at), x) : x);
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

END_TARGET
