// dense.h explains. A warp takes a row of logits; the products are product.cu's.
#include <algorithm>

#include "../linear/product.h"
#include "../machine/block.h"
#include "dense.h"
#include "loss.h"

namespace local_entropy {

namespace {

constexpr unsigned kThreads = 256, kRowsEach = kThreads / 32;

// The first largest logit of a row and where it stands; whether one is NaN, so that nothing is predicted.
struct Best {
  float value;
  unsigned at;
  bool none;

  __device__ uint16_t label() const { return none ? kNoClass : uint16_t(at); }
};

// By a warp.
__device__ inline Best first_largest(const float* z, unsigned classes) {
  const unsigned lane = threadIdx.x % 32;
  Best best{lane < classes ? z[lane] : -INFINITY, lane, false};
  bool nan = best.value != best.value;
  for (unsigned c = lane + 32; c < classes; c += 32) {
    if (z[c] > best.value) best = {z[c], c, false};
    nan |= z[c] != z[c];
  }
#pragma unroll
  for (unsigned distance = 16; distance > 0; distance /= 2) {
    const Best other{__shfl_xor_sync(kWarp, best.value, distance), __shfl_xor_sync(kWarp, best.at, distance),
                     false};
    if (other.value > best.value || (other.value == best.value && other.at < best.at)) best = other;
  }
  // The first lane's answer is that of a loop from the first class on, which passes over NaN.
  return {__shfl_sync(kWarp, best.value, 0), __shfl_sync(kWarp, best.at, 0), warp_sum(nan ? 1 : 0) > 0};
}

// Sum over all but the best of exp(z - z_best), by a warp.
__device__ inline float sum_of_others(const float* z, unsigned classes, Best best) {
  float others = 0;
  for (unsigned c = threadIdx.x % 32; c < classes; c += 32)
    if (c != best.at) others += expf(z[c] - best.value);
  return warp_sum(others);
}

static_assert(kLossKinds == 7, "a kind of loss is missing in losses_of");

// logits (rows x classes): read; written as scale dloss/dlogits where scale is not 0.
__global__ void losses_of(DeviceBatch batch, size_t rows, unsigned classes, DeviceLoss loss, size_t sample,
                          size_t step, float scale, float* logits, float* losses) {
  const size_t row = size_t(blockIdx.x) * kRowsEach + threadIdx.x / 32;
  if (row >= rows) return;  // a whole warp
  float* z = logits + row * classes;
  const size_t b = row % batch.size;
  const unsigned lane = threadIdx.x % 32;
  const Best best = first_largest(z, classes);
  switch (loss.kind) {
    case LossKind::kCostMatrix: {
      const float* costs = loss.costs + batch.label(b) * classes;
      if (lane == 0) losses[row] = best.none ? dearest(costs, classes) : costs[best.at];
      return;
    }
    case LossKind::kSquaredError:
    case LossKind::kAbsoluteError:
    case LossKind::kLogistic:
    case LossKind::kSoftCrossEntropy: {
      const float others = loss.kind == LossKind::kSoftCrossEntropy ? sum_of_others(z, classes, best) : 0;
      const float value = target_loss(loss.kind, batch, b, classes, best.value, others, scale, z);
      if (lane == 0) losses[row] = value;
      return;
    }
    case LossKind::kGiven: {
      const size_t of = sample + row / batch.size * step;
      const float value = given_loss(z, classes, of, b, loss, lane, 32);
      if (lane == 0) losses[row] = value;
      return;
    }
    case LossKind::kCrossEntropy:
      break;
  }
  const unsigned label = batch.label(b);
  const float own = z[label], others = sum_of_others(z, classes, best);
  if (lane == 0) losses[row] = cross_entropy(best.value, own, others);
  if (scale == 0) return;
  __syncwarp();  // all have read the label's logit
  const float factor = scale / (1 + others);
  for (unsigned c = lane; c < classes; c += 32) {
    const float e = c == best.at ? 1.0f : expf(z[c] - best.value);
    z[c] = factor * (c != label ? e : label == best.at ? -others : e - (1 + others));
  }
}

__global__ void mean_of(const float* losses, size_t count, double* mean) {
  double total = 0;
  for (size_t i = threadIdx.x; i < count; i += kThreads) total += losses[i];
  total = block_sum(total);
  if (threadIdx.x == 0) *mean = total / double(count);
}

__global__ void predictions(size_t rows, unsigned classes, Link link, float* logits, uint16_t* labels) {
  const size_t row = size_t(blockIdx.x) * kRowsEach + threadIdx.x / 32;
  if (row >= rows) return;
  float* z = logits + row * classes;
  const Best best = first_largest(z, classes);
  const float total = link == Link::kSoftmax ? 1 + sum_of_others(z, classes, best) : 1;
  for (unsigned c = threadIdx.x % 32; c < classes; c += 32) {
    if (link == Link::kSoftmax) z[c] = (c == best.at ? 1.0f : expf(z[c] - best.value)) / total;
    if (link == Link::kSigmoid) z[c] = sigmoid(z[c]);
  }
  if (threadIdx.x % 32 == 0) labels[row] = best.label();
}

// Whole numbers, so the order of the additions does not matter.
__global__ void count_correct(DeviceBatch batch, size_t rows, unsigned classes, const float* logits,
                              unsigned long long* correct) {
  const size_t row = size_t(blockIdx.x) * kRowsEach + threadIdx.x / 32;
  if (row >= rows) return;
  const Best best = first_largest(logits + row * classes, classes);
  if (threadIdx.x % 32 == 0 && best.label() == batch.label(row)) atomicAdd(correct, 1ull);
}

}  // namespace

DensePass new_dense_pass(DeviceArena& arena, const Network& network, size_t rows, size_t count) {
  const size_t depth = network.depth();
  DensePass pass{rows, count, std::vector<float*>(depth), std::vector<float*>(depth + 1), nullptr, 0, 0};
  for (size_t l = 1; l <= depth; l++) {
    const size_t size = count * rows * network.layers[l];
    pass.signal[l] = arena.take<float>(size);
    if (l < depth) pass.activation[l] = arena.take<float>(size);
  }
  pass.losses = arena.take<float>(count * rows);
  return pass;
}

void dense_first(DeviceContext& context, const Network& network, const DenseParameters& first,
                 const DeviceBatch& batch, DensePass& pass) {
  const size_t columns = network.layers[1], width = network.layers[0];
  const bool last = network.depth() == 1;
  Product p{pass.rows,
            columns,
            width,
            first.data,
            columns,
            1,
            first.data + width * columns,
            0,
            last ? pass.signal[1] : pass.activation[1],
            columns};
  p.count = pass.count;
  p.b_next = p.start_next = first.next;
  p.c_next = pass.rows * columns;
  p.finish = last ? Finish::kNothing : Finish::kActivate;
  p.activation = network.activation;
  product(context, InputsLeft{batch, false}, p);
}

void dense_upper(DeviceContext& context, const Network& network, const DenseParameters& tail,
                 DensePass& pass) {
  const float* w = tail.data;
  for (size_t l = 1; l < network.depth(); l++) {
    const size_t width = network.layers[l], columns = network.layers[l + 1];
    const bool last = l + 1 == network.depth();
    Product p{pass.rows,
              columns,
              width,
              w,
              columns,
              1,
              w + width * columns,
              0,
              last ? pass.signal[l + 1] : pass.activation[l + 1],
              columns};
    p.count = pass.count;
    p.b_next = p.start_next = tail.next;
    p.c_next = pass.rows * columns;
    p.finish = last ? Finish::kNothing : Finish::kActivate;
    p.activation = network.activation;
    product(context, StridedLeft{pass.activation[l], width, 1, pass.rows * width}, p);
    w += (width + 1) * columns;
  }
}

void dense_losses(DeviceContext& context, const Network& network, DeviceLoss loss, const DeviceBatch& batch,
                  float scale, DensePass& pass) {
  const size_t rows = pass.rows * pass.count;
  launch(losses_of, {blocks_for(rows, kRowsEach), kThreads}, context.stream, batch, rows, network.classes(),
         loss, pass.sample, pass.step, scale, pass.signal[network.depth()], pass.losses);
}

void dense_back(DeviceContext& context, const Network& network, const DenseParameters& tail,
                DensePass& pass) {
  for (size_t l = network.depth(); l > 1; l--) {
    const size_t width = network.layers[l - 1], columns = network.layers[l];
    const float* w = tail.data + (network.shape(l).offset - tail_offset(network));
    Product p{pass.rows, width, columns, w, 1, columns, nullptr, 0, pass.signal[l - 1], width};
    p.count = pass.count;
    p.b_next = tail.next;
    p.c_next = pass.rows * width;
    p.finish = Finish::kSlope;
    p.activation = network.activation;
    p.activated = pass.activation[l - 1];
    product(context, StridedLeft{pass.signal[l], columns, 1, pass.rows * columns}, p);
  }
}

void dense_tail_gradient(DeviceContext& context, const Network& network, const DensePass& pass,
                         float* gradient, size_t next) {
  for (size_t l = 2; l <= network.depth(); l++) {
    const size_t width = network.layers[l - 1], columns = network.layers[l];
    Product p{width + 1, columns, pass.rows, pass.signal[l], columns, 1, nullptr, 0, gradient, columns};
    p.count = pass.count;
    p.b_next = pass.rows * columns;
    p.c_next = next;
    product(context, StridedLeft{pass.activation[l - 1], 1, width, pass.rows * width, width}, p);
    gradient += (width + 1) * columns;
  }
}

void mean_of_losses(DeviceContext& context, const float* losses, size_t count, double* mean) {
  launch(mean_of, {1, kThreads}, context.stream, losses, count, mean);
}

namespace {

// Calls body(first, part, pass) with the logits of some rows after the others; false if cancelled.
template <class Body>
bool for_some_rows(DeviceContext& context, const Network& network, const float* parameters,
                   const DeviceBatch& batch, Body body) {
  for (size_t first = 0; first < batch.size; first += portions.rows) {
    context.arena->reset();
    const DeviceBatch part = rows_of(batch, first, std::min(portions.rows, batch.size - first));
    DensePass pass = new_dense_pass(*context.arena, network, part.size);
    dense_first(context, network, {parameters}, part, pass);
    dense_upper(context, network, {parameters + tail_offset(network)}, pass);
    body(first, part, pass);
    if (!context.go_on()) return false;
  }
  return true;
}

template <class T>
T read_one(Stream stream, const T* from) {
  T value;
  download(stream, &value, from, sizeof value);
  return value;
}

}  // namespace

bool dense_loss(DeviceContext& context, const Network& network, DeviceLoss loss, const float* parameters,
                const DeviceBatch& batch, double* value) {
  *value = 0;
  return for_some_rows(context, network, parameters, batch,
                       [&](size_t, const DeviceBatch& part, DensePass& pass) {
                         double* mean = context.arena->take<double>(1);
                         dense_losses(context, network, loss, part, 0, pass);
                         mean_of_losses(context, pass.losses, part.size, mean);
                         *value += read_one(context.stream, mean) * (double(part.size) / double(batch.size));
                       });
}

bool dense_predict(DeviceContext& context, const Network& network, LossKind kind, const float* parameters,
                   const DeviceBatch& batch, float* outputs, uint16_t* labels) {
  const unsigned classes = network.classes();
  return for_some_rows(
      context, network, parameters, batch, [&](size_t first, const DeviceBatch& part, DensePass& pass) {
        float* logits = pass.signal[network.depth()];
        uint16_t* predicted = context.arena->take<uint16_t>(part.size);
        launch(predictions, {blocks_for(part.size, kRowsEach), kThreads}, context.stream, part.size, classes,
               kLinks[size_t(kind)], logits, predicted);
        download(context.stream, outputs + first * classes, logits, part.size * classes * sizeof(float));
        download(context.stream, labels + first, predicted, part.size * sizeof(uint16_t));
      });
}

bool dense_accuracy(DeviceContext& context, const Network& network, const float* parameters,
                    const DeviceBatch& batch, uint64_t* correct) {
  *correct = 0;
  return for_some_rows(context, network, parameters, batch,
                       [&](size_t, const DeviceBatch& part, DensePass& pass) {
                         auto* count = context.arena->zeros<unsigned long long>(context.stream, 1);
                         launch(count_correct, {blocks_for(part.size, kRowsEach), kThreads}, context.stream,
                                part, part.size, network.classes(), pass.signal[network.depth()], count);
                         *correct += read_one(context.stream, count);
                       });
}

}  // namespace local_entropy
