// The minibatch at x_k, and samples at x + s Z around it, many at a time, through networks of any depth: the
// forward pass with each layer's noise kept apart, which importance sampling, evolution strategies and
// Robbins-Monro share.
//
//   P^1 = base + s M U, M = L (projected) or A (direct), base = A x;  P^{l+1} = A^l (W^{l+1} + s Z_{l+1})
//
// Symbols: B rows, M units at a time, a unit is a sample or an antithetic pair; d1 … dL widths; `tail` layers
// 2 … L.
#pragma once
#include "../linear/projection.h"
#include "../machine/question.h"
#include "../network/dense.h"
#include "noise-layout.h"

namespace local_entropy {

struct SampledPoint {
  const DeviceQuestion* q;
  DeviceContext* context;
  const Projection* projection;  // null: direct
  DeviceBatch batch;
  NoiseLayout layout;
  size_t most;         // M
  float* base;         // A x: B x d1
  const float* tail;   // x's layers 2 … L
  float* factor;       // L in float32 (B x B), projected
  float* noise;        // M x layout.size()
  float* first_noise;  // M U: M x B x d1, unscaled
  float* perturbed;    // M x tail
  DensePass pass;      // of M x B rows
  size_t unit;         // the first whose noise is drawn
};

// Memory for as many units as `floats` further floats a unit leave room for, `units` at most.
SampledPoint new_sampled_point(const DeviceQuestion& q, const Projection* projection, size_t units,
                               size_t floats, DeviceContext& context);

// noise (count x layout.size()) <- noise of indices first … first + count - 1.
void draw_noise(const NoiseLayout& layout, uint64_t seed, uint32_t update, size_t first, size_t count,
                float* noise, DeviceContext& context);

// Draws the noise of units first … first + count - 1, and M U. From now on the pass is of `count` units.
void draw_units(SampledPoint* point, size_t first, size_t count);

// Forward at x + sign s Z, to the losses of all rows; where scale is not 0, signal[L] becomes scale
// dloss/dlogits.
void forward_units(SampledPoint* point, float sign, float scale);

// losses[stride u] <- mean over the rows of unit u's losses.
void unit_losses(const SampledPoint& point, size_t stride, float* losses);

// tail gradient (+)= sum over units and rows of (A^{l-1})^T signal[l], l = 2 … L; where next is not 0 each
// unit's sum over its rows, `next` floats apart.
void add_tail_gradient(const SampledPoint& point, bool add, float* gradient, size_t next = 0);

}  // namespace local_entropy
