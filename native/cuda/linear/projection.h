// The exact projection of the first layer's noise onto the rows of a minibatch, on the device.
//
//   A A^T = L L^T (B x B), Q = A^T L^{-T} has orthonormal columns, Z = Q U + the rest, A Z = L U.
//
// Symbols: B rows, A (B x (d0 + 1)) with its column of ones, d1 columns. The Gram matrix is exact for bytes
// (integers), else float64; L is float64. A pivot of at most kPivotBound of its diagonal entry (a
// repeated or dependent row) is zero with its column, and its inverse is 0.
//
// Everything enqueues; the rank stays on the device.
#pragma once
#include "../machine/question.h"

namespace local_entropy {

// Device memory of the context's arena.
struct Projection {
  size_t rows;     // B
  double* gram;    // B x B
  double* l;       // B x B, lower, zeros above
  uint8_t* used;   // B: 0 where the pivot is zero
  uint32_t* rank;  // one
};

Projection new_projection(const DeviceBatch& batch, DeviceContext& context);

// s L in float32 (B x B).
float* scaled_factor(const Projection& p, double s, DeviceContext& context);

// c (B x columns) <- L^{-1} A w: the part of w ((d0 + 1) x columns) within the span.
void into_span(const DeviceBatch& batch, const Projection& p, const float* w, size_t columns,
               DeviceContext& context, double* c);

// out ((d0 + 1) x columns) <- Q v + (I - Q Q^T) out. v (B x columns) is overwritten.
void from_span(const DeviceBatch& batch, const Projection& p, double* v, size_t columns,
               DeviceContext& context, float* out);

// Where a factor is known to the device only.
struct DeviceFactor {
  const double* at = nullptr;  // null: 1
  double times = 1;

  __device__ double value() const { return at == nullptr ? times : times * *at; }
};

// The first layer's gradient from C (B x d1) and the noise's sum (projected: B x d1, else (d0 + 1) x d1, or
// null): of_c A^T C + factor Q noise, direct of_c A^T C + factor noise. C is changed, and where of_c is 0 not
// read. Where `factored` is not null and the batch is projected, the product with A^T is left to the caller.
void write_first_layer(const DeviceQuestion& q, const Projection* p, float* c, DeviceFactor of_c,
                       const float* noise, DeviceFactor factor, DeviceContext& context,
                       DeviceFactored* factored, float* gradient);

}  // namespace local_entropy
