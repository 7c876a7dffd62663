// What samplers and chains share: the minibatch at x_k, the noise of one sample, and a worker's memory for
// that noise and the pass under it.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../../backend.h"
#include "../../description.h"
#include "../linear/projection-inl.h"
#include "../network/columns-inl.h"
#include "../network/dense-inl.h"
#include "../random/gaussian-inl.h"

BEGIN_TARGET

// The noise of one sample, laid out by layers, each padded to whole groups of 64 normals: layer 1 in its
// projected form is U (B x d1), else every layer is its matrix.
struct NoiseLayout {
  size_t depth;
  size_t* offset;  // depth + 1; the last is the size of all
  size_t* count;   // depth
};

inline NoiseLayout new_noise_layout(Workspace& workspace, const Network& network, const Projection* p) {
  NoiseLayout layout{network.depth(), workspace.take<size_t>(network.depth() + 1),
                     workspace.take<size_t>(network.depth())};
  size_t offset = 0;
  for (size_t l = 0; l < layout.depth; l++) {
    const LayerShape shape = network.shape(l + 1);
    layout.offset[l] = offset;
    layout.count[l] = (l == 0 && p != nullptr ? p->rows : shape.rows) * shape.columns;
    offset += round_up(layout.count[l], 64);
  }
  layout.offset[layout.depth] = offset;
  return layout;
}

// Draws one sample's noise whole, zeros in the padding.
inline void draw_normals(const NoiseLayout& layout, uint64_t seed, uint32_t update, uint32_t index,
                         float* noise) {
  const PhiloxKey key(seed);
  for (size_t l = 0; l < layout.depth; l++) {
    float* part = noise + layout.offset[l];
    const size_t padded = layout.offset[l + 1] - layout.offset[l];
    gaussian_fill(key, layer_stream(uint32_t(l + 1)), update, index, 0, uint32_t(padded / 64), part);
    std::memset(part + layout.count[l], 0, (padded - layout.count[l]) * sizeof(float));
  }
}

// Zeros in the rows of U that no pivot uses.
inline void drop_rows(const NoiseLayout& layout, const Projection& p, float* noise) {
  if (p.rank == p.rows) return;
  const size_t columns = layout.count[0] / p.rows;
  for (size_t i = 0; i < p.rows; i++)
    if (!p.used[i]) std::memset(noise + i * columns, 0, columns * sizeof(float));
}

// One sample's noise. p: null for the direct form.
inline void draw_noise(const NoiseLayout& layout, const Projection* p, uint64_t seed, uint32_t update,
                       uint32_t index, float* noise) {
  draw_normals(layout, seed, update, index, noise);
  if (p != nullptr) drop_rows(layout, *p, noise);
}

// out <- parameters + s noise for layers from … L; both parameters and out begin at layer `from`.
inline void perturb(const NoiseLayout& layout, size_t from, const float* parameters, float s,
                    const float* noise, float* out) {
  for (size_t l = from - 1; l < layout.depth; l++) {
    add_scaled(parameters, s, noise + layout.offset[l], layout.count[l], out);
    parameters += layout.count[l];
    out += layout.count[l];
  }
}

// The number of fixed groups of units, each summed in order by one worker, so that sums depend on no number
// of threads. As many as 16 MB of sums allow, 4 at least.
inline size_t unit_groups(size_t units, size_t size, size_t most) {
  const size_t fit = std::max(size_t(4), (size_t(1) << 22) / std::max(size_t(1), size));
  return std::max(size_t(1), std::min({units, most, fit}));
}

// One worker's memory.
struct Sampler {
  Evaluator evaluator;
  float* noise;
  float* perturbed;  // n, or layers 2 … L where projected
  float* shift;      // antithetic and projected: s L U (B x stride)
  size_t unit;       // whose noise it holds
};

// The minibatch at x_k. Projected, or small direct, batches are read once (`whole`).
struct SampledPoint {
  const Question* q;
  const Projection* projection;  // null: direct
  NoiseLayout layout;
  bool whole;
  Rows rows;
  const float* factor;  // s L (B x B)
  const float* base;    // A x (B x stride)
};

inline SampledPoint new_sampled_point(Workspace& workspace, const Question& q, const Projection* projection,
                                      Executor* executor) {
  const Network& network = *q.network;
  const Batch& batch = q.batches[0];
  SampledPoint point{&q,      projection, new_noise_layout(workspace, network, projection), false, {},
                     nullptr, nullptr};
  point.whole = projection != nullptr || (q.batch_count == 1 && batch.size <= kRowBlock);
  if (!point.whole) return point;
  point.rows = new_rows(workspace, batch.size, network.layers[0]);
  team_load(batch, 0, batch.size, executor, &point.rows);
  if (projection == nullptr) return point;
  const size_t columns = network.layers[1], stride = round_up(columns + 1, 16);
  float* base = workspace.zeros<float>(batch.size * stride);
  point.rows.columns = new_columns(workspace, batch.size, network.layers[0], columns);
  team_product(point.rows, q.parameters, columns, executor, base, stride);
  point.base = base;
  point.factor = scaled_factor(workspace, *projection, q.noise_scale);
  return point;
}

inline size_t evaluated_rows(const SampledPoint& point, size_t batch_size) {
  return point.projection != nullptr ? batch_size : std::min(batch_size, kRowBlock);
}

inline Sampler new_sampler(Workspace& workspace, const SampledPoint& point) {
  const Network& network = *point.q->network;
  const size_t batch_size = point.q->batches[0].size, rows = evaluated_rows(point, batch_size);
  Sampler sampler;
  sampler.evaluator = point.whole ? Evaluator{point.rows, new_pass(workspace, network, rows)}
                                  : new_evaluator(workspace, network, rows);
  sampler.noise = workspace.take<float>(point.layout.offset[network.depth()]);
  sampler.perturbed = workspace.take<float>(network.parameters());
  sampler.shift = workspace.zeros<float>(rows * sampler.evaluator.pass.stride[1]);
  return sampler;
}

// Says which sample the pass is of.
inline void set_sample(const Sampler& sampler, bool pair, int sign) {
  *sampler.evaluator.pass.sample = pair ? 2 * sampler.unit + size_t(sign) : sampler.unit;
}

// Mean loss at `parameters` over a batch, by one worker.
inline double batch_loss(const SampledPoint& point, const float* parameters, const Batch& batch,
                         Sampler* sampler) {
  const Network& network = *point.q->network;
  Evaluator& e = sampler->evaluator;
  double total = 0;
  for (size_t first = 0; first < batch.size; first += kRowBlock) {
    const size_t count = std::min(kRowBlock, batch.size - first);
    if (!point.whole) load_rows(batch, first, count, &e.rows);
    first_product(e.rows, 0, count, parameters, network.layers[1], e.pass.signal[1], e.pass.stride[1]);
    forward(network, parameters + tail_offset(network), e.pass, 0, count);
    row_losses(network, *point.q->loss, e.rows, e.pass, 0, count, 0);
    total += sum_of_losses(e.pass, count);
  }
  return total / double(batch.size);
}

// Losses of the unit whose noise the sampler holds: at x + s Z, and at x - s Z where `pair`.
inline void direct_losses(const SampledPoint& point, bool pair, Sampler* sampler, double* losses) {
  const Question& q = *point.q;
  for (int sign = 0; sign <= int(pair); sign++) {
    const float s = float(sign == 0 ? q.noise_scale : -q.noise_scale);
    set_sample(*sampler, pair, sign);
    perturb(point.layout, 1, q.parameters, s, sampler->noise, sampler->perturbed);
    losses[sign] = batch_loss(point, sampler->perturbed, q.batches[0], sampler);
  }
}

inline void projected_losses(const SampledPoint& point, bool pair, Sampler* sampler, double* losses) {
  const Question& q = *point.q;
  const Network& network = *q.network;
  const Pass& pass = sampler->evaluator.pass;
  const size_t rows = q.batches[0].size, columns = network.layers[1], stride = pass.stride[1];
  product({rows, columns, rows, point.factor, rows, 1, sampler->noise, columns, pair ? nullptr : point.base,
           stride, pair ? sampler->shift : pass.signal[1], stride, Triangle::kLower});
  for (int sign = 0; sign <= int(pair); sign++) {
    set_sample(*sampler, pair, sign);
    if (pair) add_scaled(point.base, sign == 0 ? 1.0f : -1.0f, sampler->shift, rows * stride, pass.signal[1]);
    perturb(point.layout, 2, q.parameters + tail_offset(network),
            float(sign == 0 ? q.noise_scale : -q.noise_scale), sampler->noise, sampler->perturbed);
    forward(network, sampler->perturbed, pass, 0, rows);
    row_losses(network, *q.loss, point.rows, pass, 0, rows, 0);
    losses[sign] = sum_of_losses(pass, rows) / double(rows);
  }
}

// Calls body(first, count, rows) for the batch's blocks of rows; `memory` holds a block where the point does
// not hold the batch.
template <class Body>
inline void for_batch(const SampledPoint& point, Rows* memory, Body body) {
  const Batch& batch = point.q->batches[0];
  const size_t most = point.whole ? batch.size : kRowBlock;
  for (size_t first = 0; first < batch.size; first += most) {
    const size_t count = std::min(most, batch.size - first);
    if (!point.whole) load_rows(batch, first, count, memory);
    body(first, count, point.whole ? point.rows : *memory);
  }
}

END_TARGET
