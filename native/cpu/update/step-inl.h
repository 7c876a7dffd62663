// One step of the optimizer along a gradient, elementwise (n):
//
//   gradient descent  x <- x - rate g
//   momentum          v <- mu v + g; x <- x - rate v
//   Adam              m <- b1 m + (1 - b1) g; v <- b2 v + (1 - b2) g^2
//                     x <- (1 - rate decay) x - rate m_hat / (sqrt(v_hat) + eps),
//                     m_hat = m/(1 - b1^index), v_hat = v/(1 - b2^index); index from 1 (Kingma and Ba, ICLR
//                     2015; decoupled weight decay: Loshchilov and Hutter, ICLR 2019)
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "../../backend.h"
#include "../machine/denormals.h"
#include "../network/factored-inl.h"

BEGIN_TARGET

// A step on one vector of entries: slope g, parameters x and moments, in registers.
struct DescentStep {
  static constexpr int kMoments = 0;
  Float rate;
  DescentStep(const Optimizer&, double rate, uint64_t) : rate(set(-float(rate))) {}
  void operator()(Float slope, Float* x, Float*) const { *x = fma(rate, slope, *x); }
};

struct MomentumStep {
  static constexpr int kMoments = 1;
  Float mu, rate;
  MomentumStep(const Optimizer& optimizer, double rate, uint64_t)
      : mu(set(float(optimizer.momentum))), rate(set(-float(rate))) {}
  void operator()(Float slope, Float* x, Float* moments) const {
    moments[0] = fma(mu, moments[0], slope);
    *x = fma(rate, moments[0], *x);
  }
};

// With c = 1 - b: m + c1 (g - m) takes one multiplication less than b1 m + c1 g, and sqrt(v_hat) = a sqrt(v)
// is taken into the rate and epsilon, for it is multiplications that this waits for. Of a b below 1/2 little
// is left of v in v + c2 (g^2 - v), and of g^2 beside v nothing: there kForgets takes the sum as it stands.
template <bool kForgets>
struct AdamStep {
  static constexpr int kMoments = 2;
  Float b1, b2, c1, c2, rate, keep, epsilon;
  AdamStep(const Optimizer& optimizer, double step, uint64_t index) {
    const double beta1 = optimizer.beta1, beta2 = optimizer.beta2, decay = optimizer.weight_decay;
    const double a = std::sqrt(1 / (1 - std::pow(beta2, double(index))));
    b1 = set(float(beta1));
    b2 = set(float(beta2));
    c1 = set(float(1 - beta1));
    c2 = set(float(1 - beta2));
    rate = set(float(-step / (a * (1 - std::pow(beta1, double(index))))));
    keep = set(float(1 - step * decay));
    epsilon = set(float(double(optimizer.epsilon) / a));
  }
  void operator()(Float slope, Float* x, Float* moments) const {
    moments[0] = kForgets ? fma(b1, moments[0], c1 * slope) : fma(c1, slope - moments[0], moments[0]);
    moments[1] =
        kForgets ? fma(b2, moments[1], c2 * slope * slope) : fma(c2, slope * slope - moments[1], moments[1]);
    *x = fma(rate, quotient(moments[0], sqrt(moments[1]) + epsilon), keep * *x);
  }
};

// Calls body with the optimizer's step.
template <class Body>
inline void with_step(const Optimizer& optimizer, double rate, uint64_t index, Body body) {
  switch (optimizer.kind) {
    case Optimizer::Kind::kGradientDescent:
      return body(DescentStep(optimizer, rate, index));
    case Optimizer::Kind::kMomentum:
      return body(MomentumStep(optimizer, rate, index));
    case Optimizer::Kind::kAdam:
      if (optimizer.beta1 < 0.5 || optimizer.beta2 < 0.5) return body(AdamStep<true>(optimizer, rate, index));
      return body(AdamStep<false>(optimizer, rate, index));
  }
}

// The step on `n` <= kLanes entries at x + at and moments[...] + at. Inlined everywhere: a call for each
// vector costs a tenth of the update.
template <class Step>
__attribute__((always_inline)) inline void step_vector(const Step& step, Float slope, size_t n, size_t at,
                                                       float* x, float* const* moments) {
  Float values = load_some(x + at, n), carried[2] = {set(0), set(0)};
  for (int i = 0; i < Step::kMoments; i++) carried[i] = load_some(moments[i] + at, n);
  step(slope, &values, carried);
  for (int i = 0; i < Step::kMoments; i++) store_some(moments[i] + at, n, carried[i]);
  store_some(x + at, n, values);
}

inline bool step(const Optimizer& optimizer, double rate, uint64_t index, size_t n, const float* gradient,
                 float* parameters, float* const* moments, const Context& context) {
  Executor* executor = context.executor;
  with_step(optimizer, rate, index, [&](const auto& one) {
    fork(executor, [&](unsigned worker) {
      const FlushDenormals flush;
      const Share share(n, 64, worker, executor->size());
      for_vectors(share.end - share.begin, [&](size_t i, size_t count) {
        const size_t at = share.begin + i;
        step_vector(one, load_some(gradient + at, count), count, at, parameters, moments);
      });
    });
  });
  return true;
}

// The step along a first layer's gradient A^T C that is never stored whole (network/factored-inl.h): some of
// its rows are made in a buffer that stays in the first cache, added to |gradient|^2, and used for the step
// at once: the moments and the parameters are read and written once, the gradient never leaves. Each worker
// steps the rows of W^1 that it multiplied (network/columns-inl.h).

constexpr size_t kSlopes = 800;  // floats of A^T C at a time, so that C stays in the first cache beside them

// Steps rows begin … end - 1 of x; returns their squares' sum.
template <class Step>
inline double step_rows(const Step& given, const Factored& factored, size_t columns, size_t begin, size_t end,
                        float* slopes, float* x, float* const* moments) {
  const Step step = given;  // copies, which no store below can change: they stay in registers
  float* carried[2] = {nullptr, nullptr};
  for (int i = 0; i < Step::kMoments; i++) carried[i] = moments[i];
  const size_t most = std::max(size_t(1), kSlopes / columns);
  double squares = 0;
  for (size_t first = begin; first < end; first += most) {
    const size_t count = std::min(most, end - first), at = first * columns;
    if (no_slopes(*factored.rows, first, count)) {
      if (Step::kMoments > 0)  // else a step along zero changes nothing
        for_vectors(count * columns,
                    [&](size_t i, size_t n) { step_vector(step, set(0), n, at + i, x, carried); });
      continue;
    }
    some_slopes(factored, columns, first, count, slopes);
    Float total = set(0);
    for_vectors(count * columns, [&](size_t i, size_t n) {
      const Float slope = load_some(slopes + i, n);
      total = total + slope * slope;  // which Adam takes as well
      step_vector(step, slope, n, at + i, x, carried);
    });
    squares += sum(total);
  }
  return squares;
}

// Steps x ((d0 + 1) x columns) and its moments along A^T C; returns |A^T C|^2.
inline double factored_step(const Optimizer& optimizer, double rate, uint64_t index, const Factored& factored,
                            size_t columns, Workspace& workspace, Executor* executor, float* x,
                            float* const* moments) {
  const size_t width = factored.rows->width, room = std::max(kSlopes, columns) + kLanes;
  float* slopes = workspace.take<float>(room * executor->size());
  double squares[kPieces];
  with_step(optimizer, rate, index, [&](const auto& step) {
    fork(executor, [&](unsigned worker) {
      const FlushDenormals flush;
      const Share share(kPieces, 1, worker, executor->size());
      for (size_t piece = share.begin; piece < share.end; piece++) {
        const size_t end = piece + 1 == kPieces ? width + 1 : piece_begin(width, piece + 1);
        squares[piece] = step_rows(step, factored, columns, piece_begin(width, piece), end,
                                   slopes + worker * room, x, moments);
      }
    });
  });
  double norm2 = 0;
  for (const double of_piece : squares) norm2 += of_piece;
  return norm2;
}

END_TARGET
