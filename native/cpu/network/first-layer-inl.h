// The first layer's gradient by the minibatch's span: the part of a matrix within the span of its rows and
// the part outside, and the gradient from coefficients of the rows and noise.
//
// Symbols: B rows, A (B x (d0 + 1)), Q and L of projection-inl.h, d1 columns.
#pragma once
#include <algorithm>
#include <cstddef>

#include "../../backend.h"
#include "../linear/projection-inl.h"
#include "dense-inl.h"
#include "factored-inl.h"

BEGIN_TARGET

// c (B x columns, float64) <- L^{-1} A w: the part of w ((d0 + 1) x columns) within the span.
inline void into_span(Workspace& workspace, const Rows& rows, const Projection& p, const float* w,
                      size_t columns, Executor* executor, double* c) {
  float* image = workspace.take<float>(p.rows * columns);
  fork(executor, [&](unsigned worker) {
    const Share share(p.rows, 1, worker, executor->size());
    first_product(rows, share.begin, share.end, w, columns, image, columns);
  });
  fork(executor, [&](unsigned worker) {
    const Share share(columns, 16, worker, executor->size());
    for (size_t i = 0; i < p.rows; i++)
      for (size_t j = share.begin; j < share.end; j++) c[i * columns + j] = image[i * columns + j];
    solve_lower(p, c, columns, share.begin, share.end);
  });
}

// out ((d0 + 1) x columns) <- Q v + (I - Q Q^T) out. v (B x columns) is overwritten.
//   Q v + (I - Q Q^T) R = R + A^T L^{-T} (v - L^{-1} A R)
inline void from_span(Workspace& workspace, const Rows& rows, const Projection& p, double* v, size_t columns,
                      Executor* executor, float* out) {
  double* inside = workspace.take<double>(p.rows * columns);
  into_span(workspace, rows, p, out, columns, executor, inside);
  float* coefficients = workspace.take<float>(p.rows * columns);
  fork(executor, [&](unsigned worker) {
    const Share share(columns, 16, worker, executor->size());
    for (size_t i = 0; i < p.rows; i++)
      for (size_t j = share.begin; j < share.end; j++) v[i * columns + j] -= inside[i * columns + j];
    solve_upper(p, v, columns, share.begin, share.end);
    for (size_t i = 0; i < p.rows; i++)
      for (size_t j = share.begin; j < share.end; j++)
        coefficients[i * columns + j] = float(v[i * columns + j]);
    first_gradient(rows, coefficients, columns, columns, share.begin, share.end, true, out);
  });
}

// The first layer's gradient ((d0 + 1) x d1) <- A^T scale C + factor Q R (direct: factor R), C (B x stride,
// changed) of the batch's rows, R the noise's sum (r x d1) or null. rows: the whole batch or memory for a
// block of it. Where `factored` is not null and the batch is projected, A^T C is left to the caller.
inline void write_first_layer(Workspace& workspace, const Question& q, const Projection* projection,
                              Rows& rows, float* coefficients, size_t stride, double scale,
                              const float* noise, double factor, Executor* executor, Factored* factored,
                              float* gradient) {
  const Batch& batch = q.batches[0];
  const size_t columns = q.network->layers[1], count = tail_offset(*q.network);
  if (projection != nullptr && noise != nullptr) {
    double* v = workspace.take<double>(batch.size * columns);
    fork(executor, [&](unsigned worker) {
      const Share share(columns, 16, worker, executor->size());
      for (size_t b = 0; b < batch.size; b++)
        for (size_t h = share.begin; h < share.end; h++) v[b * columns + h] = factor * noise[b * columns + h];
      solve_upper(*projection, v, columns, share.begin, share.end);
      for (size_t b = 0; b < batch.size; b++)
        for (size_t h = share.begin; h < share.end; h++)
          coefficients[b * stride + h] =
              float(scale) * coefficients[b * stride + h] + float(v[b * columns + h]);
    });
  } else if (scale != 1) {
    for (size_t i = 0; i < batch.size * stride; i++) coefficients[i] *= float(scale);
  }
  if (factored != nullptr && projection != nullptr) {
    *factored = {&rows, coefficients, stride};
    return;
  }
  bool add = projection == nullptr && noise != nullptr;
  if (add) {
    const Float scale = set(float(factor));
    for_vectors(count,
                [&](size_t at, size_t n) { store_some(gradient + at, n, scale * load_some(noise + at, n)); });
  }
  const size_t most = projection != nullptr ? batch.size : rows.capacity;
  for (size_t first = 0; first < batch.size; first += most) {
    if (projection == nullptr) load_rows(batch, first, std::min(most, batch.size - first), &rows);
    fork(executor, [&](unsigned worker) {
      const Share share(columns, 16, worker, executor->size());
      first_gradient(rows, coefficients + first * stride, stride, columns, share.begin, share.end, add,
                     gradient);
    });
    add = true;
  }
}

END_TARGET
