// Products of a minibatch with matrices of the first layer, its column of ones included.
//
// Symbols: B rows, A (B x (d0 + 1)) with its column of ones. Everything enqueues.
#pragma once
#include "../machine/question.h"

namespace local_entropy {

// out (B x columns, stride out_row) <- A w.
void first_product(const DeviceBatch& batch, const float* w, size_t columns, float* out, size_t out_row,
                   DeviceContext& context);
// gradient ((d0 + 1) x columns) <- A^T c, or += where `add`; c (B x c_row).
void first_gradient(const DeviceBatch& batch, const float* c, size_t c_row, size_t columns, bool add,
                    float* gradient, DeviceContext& context);

// |a_b|^2 of every row (B), the column of ones included.
float* row_norms(const DeviceBatch& batch, DeviceContext& context);

}  // namespace local_entropy
