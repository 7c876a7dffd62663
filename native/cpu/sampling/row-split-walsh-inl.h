// The row split for rows under Walsh blocks: the first-order part H, its first layer A^T D1 and second layer
// D2, with what other blocks of the same group say of a block's mean taken off.
//
//   D1_bh = (1/BK) sum_i [y G/s_b^2 - kappa_i (y^2/s_b^2 - 1)], G = WHT(f+ - f-)/2m, s_b^2 = s^2 |a_b|^2,
//           kappa_i = sum' y G / (sum' y^2 + 0.1 s_b^2), sum' over the group's other blocks
//   D2_hc = (1/2mBK) sum_b sum_i [a_h sum_g (psi+ + psi-) + d_h WHT(psi+ - psi-)_h],
//           psi = eta (f - c_i - lambda_ic eta)/(s^2 |hidden|^2) + lambda_ic, eta = e t_gc n_c + N_gc,
//           lambda_ic = sum' n_c G_{d1+c} / (sum' n_c^2 + 1e-3 s^2 sum (a^2 + d^2)), c_i: mean f of the
//           others
//
// Symbols: K blocks i; the rest: walsh-row-inl.h.
#pragma once
#include <cstddef>

#include "../../description.h"
#include "walsh-row-inl.h"

BEGIN_TARGET

// Those of a group's blocks whose parts are wanted: all of them, or one for its own part.
struct Parts {
  size_t begin, end;
};

// Row b of D1 from a group's blocks: the sum of some parts times scale, to `coefficients` (length), added
// where not the first.
inline void first_layer_row(const WalshPoint& point, const WalshRow* row, size_t count, Parts parts,
                            float variance, float scale, bool first, float* coefficients) {
  const Float inverse = set(1 / variance), ridge = set(float(kKappaRidge) * variance), factor = set(scale);
  for (size_t at = 0; at < point.shape.width; at += kLanes) {  // y is zero past w1
    Float products = set(0), squares = set(0), total = set(0);
    for (size_t i = 0; i < count; i++) {
      const Float y = load(row[i].y + at);
      products = fma(y, load(row[i].means + at), products);
      squares = fma(y, y, squares);
    }
    for (size_t i = parts.begin; i < parts.end; i++) {
      const Float y = load(row[i].y + at), product = y * load(row[i].means + at), square = y * y;
      Float term = product * inverse;
      if (count > 1) {
        const Float kappa = (products - product) / ((squares - square) + ridge);
        term = term - kappa * fma(square, inverse, set(-1));
      }
      total = total + term;
    }
    store(coefficients + at, fma(factor, total, first ? set(0) : load(coefficients + at)));
  }
}

// lambda_ic of a group's blocks (classes each).
inline void noise_slopes(const WalshPoint& point, const WalshRow* row, size_t count) {
  const WalshShape& shape = point.shape;
  for (size_t c = 0; c < shape.classes; c++) {
    float products = 0, squares = 0;
    for (size_t i = 0; i < count; i++) {
      products += row[i].n[c] * row[i].means[shape.width + c];
      squares += row[i].n[c] * row[i].n[c];
    }
    for (size_t i = 0; i < count; i++) {
      const float n = row[i].n[c];
      row[i].slope[c] = count == 1
                            ? 0
                            : (products - n * row[i].means[shape.width + c]) /
                                  ((squares - n * n) + float(kLambdaRidge) * point.scale2 * row[i].own);
    }
  }
}

// Row b's share of D2 from a group's blocks: the sum of some parts times scale, added to `second` by classes.
template <int kCount>
inline void second_layer_row(const WalshPoint& point, const WalshRow* row, size_t count, Parts parts,
                             float center, float scale, float* scratch, float* second) {
  const WalshShape& shape = point.shape;
  const size_t length = shape.length;
  float level_sum = 0;
  for (size_t i = 0; i < count; i++) level_sum += row[i].mean;
  noise_slopes(point, row, count);
  const float factor = scale / float(2 * shape.m);
  for (size_t c = 0; c < shape.classes; c++) {
    for (size_t i = parts.begin; i < parts.end; i++) {
      const WalshRow& r = row[i];
      const Float minus_lambda = set(-r.slope[c]), noise = set(r.n[c]);
      const Float level = set(count > 1 ? (level_sum - r.mean) / float(count - 1) : center);
      const float *signs = point.signs + c * length, *n_part = r.n_part + c * length;
      Float total = set(0);
      // psi - lambda of the vector at v, e = +1 or -1
      const auto psi = [&](Float eta, size_t v, size_t half) {
        const Float rest = fma(minus_lambda, eta, load(r.losses + half + v * kLanes) - level);
        return eta * rest * load(r.inverse + half + v * kLanes);
      };
      const auto source = [&](size_t v) {
        const Float own = load(n_part + v * kLanes), flipped = flip(noise, load(signs + v * kLanes));
        const Float plus = psi(own + flipped, v, 0), minus = psi(own - flipped, v, length);
        total = total + (plus + minus);
        pin(&total);  // else compilers add last, with all of these in memory meanwhile
        return plus - minus;
      };
      float* to = second + c * length;
      const Float odd = set(factor);
      Float even;
      walsh<kCount>(shape.vectors, shape.vectors, scratch, source, [&](size_t v, Float x) {
        if (v == 0)  // every source has been read by now
          even = set(factor * (sum(total) + float(2 * shape.m) * r.slope[c]));
        if (v >= shape.used) return;
        const size_t at = v * kLanes;
        store(to + at, fma(odd * x, load(r.d + at), fma(even, load(r.a + at), load(to + at))));
      });
    }
  }
}

END_TARGET
