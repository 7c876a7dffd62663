// The row split of independent samples and antithetic pairs at any depth: the first-order part of importance
// sampling by rows, and evolution strategies,
//
//   H_l = (1/BJ) sum_j sum_b hid_b eta_b (f_b - c_b)/(s^2 |hid_b|^2),  eta = s A^{l-1} Z_l, c_b the row's
//   loss at x, hid_b row b of A^{l-1}. The first layer of H is A^T C.
//
// Symbols: J samples, B rows, M units at a time (samples or pairs), `tail` layers 2 … L, d1 columns of the
// first layer.
#pragma once
#include <vector>

#include "sample-weights.h"
#include "sampled-point.h"

namespace local_entropy {

// What the row split needs at x besides a pass, and its sums.
struct RowSplit {
  double samples;           // J
  float* center;            // c_b: B
  float* norms;             // |a_b|^2: B
  std::vector<float*> eta;  // [l], l = 2 … L: A^{l-1} Z_l, M x B x d_l
  float* c;                 // C: B x d1
  float* tail;              // H of the tail
  // Of each unit alone, where an error is wanted; else null.
  float* unit_c;      // M x B x d1
  float* unit_tail;   // M x tail
  float* unit_first;  // projected L^T C: M x B x d1; direct A^T C: M x (d0 + 1) x d1
};

// Floats a unit that a row split takes besides the pass.
size_t row_split_floats(const Network& network, size_t rows, bool projected, bool wants_error);
RowSplit new_row_split(const SampledPoint& point, size_t samples, bool wants_error);

// After a forward pass with this sign: adds the units' shares of H to the sums.
void add_first_order(SampledPoint& point, const RowSplit& split, float sign);

// squares[u] <- |alpha H_u + factor beta_u Z_u|^2 of the pass's units, which are drawn: alpha =
// weights->first_order, factor = weights->factor/units. Each unit goes forward again. beta: of these units,
// or null.
void unit_squares(SampledPoint& point, const RowSplit& split, bool pair, size_t units,
                  const SampleWeights* weights, const float* beta, double* squares);

}  // namespace local_entropy
