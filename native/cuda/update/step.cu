// step.h explains. A block of threads steps a fixed share of the entries and leaves the sum of the squares of
// its slopes, in float64; one block of threads adds those in order.

#include "../machine/block.h"
#include "step.h"

namespace local_entropy {

namespace {

constexpr unsigned kThreads = 256;
constexpr size_t kEach = 4;  // entries of a thread
constexpr unsigned kInputs =
    4;  // rows of W^1 that a block of threads makes together, so that C is read once for all
constexpr unsigned kBatchRows = 64;  // rows of A in shared memory at a time

// Everything that a step needs but the vectors; computed in float64 as in native/cpu/update/step-inl.h.
struct StepNumbers {
  Optimizer::Kind kind;
  float mu, b1, b2, c1, c2, rate, correction, keep, epsilon;
};

StepNumbers step_numbers(const Optimizer& optimizer, double rate, uint64_t index) {
  const double beta1 = optimizer.beta1, beta2 = optimizer.beta2;
  const bool adam = optimizer.kind == Optimizer::Kind::kAdam;
  return {optimizer.kind,
          float(optimizer.momentum),
          float(beta1),
          float(beta2),
          float(1 - beta1),
          float(1 - beta2),
          float(adam ? -rate / (1 - std::pow(beta1, double(index))) : -rate),
          float(1 / (1 - std::pow(beta2, double(index)))),
          float(1 - rate * optimizer.weight_decay),
          optimizer.epsilon};
}

__device__ inline void step_entry(const StepNumbers& step, const DeviceState& state, size_t at, float slope) {
  float x = state.parameters[at];
  switch (step.kind) {
    case Optimizer::Kind::kGradientDescent:
      x = fmaf(step.rate, slope, x);
      break;
    case Optimizer::Kind::kMomentum: {
      const float v = fmaf(step.mu, state.moments[0][at], slope);
      state.moments[0][at] = v;
      x = fmaf(step.rate, v, x);
      break;
    }
    case Optimizer::Kind::kAdam: {
      const float m = fmaf(step.b1, state.moments[0][at], step.c1 * slope);
      const float v = fmaf(step.b2, state.moments[1][at], step.c2 * slope * slope);
      state.moments[0][at] = m;
      state.moments[1][at] = v;
      x = fmaf(step.rate, m / (sqrtf(v * step.correction) + step.epsilon), step.keep * x);
      break;
    }
  }
  state.parameters[at] = x;
}

// gradient: n, of which entries `first` and on. squares: one a block of threads, or null.
__global__ void step_vector(StepNumbers step, DeviceState state, const float* gradient, size_t first,
                            size_t n, double* squares) {
  double sum = 0;
#pragma unroll
  for (size_t e = 0; e < kEach; e++) {
    const size_t at = first + (size_t(blockIdx.x) * kEach + e) * kThreads + threadIdx.x;
    if (at >= n) continue;
    const float slope = gradient[at];
    sum += double(slope) * double(slope);
    step_entry(step, state, at, slope);
  }
  if (squares == nullptr) return;
  sum = block_sum(sum);
  if (threadIdx.x == 0) squares[blockIdx.x] = sum;
}

// Rows kInputs blockIdx.x … of A^T C (c: B x c_row, of which `columns`), the bias row last; threads along
// columns.
__global__ void step_factored(StepNumbers step, DeviceState state, DeviceBatch batch, const float* c,
                              size_t c_row, size_t columns, double* squares) {
  __shared__ float inputs[kBatchRows][kInputs];
  const size_t width = batch.examples.width, first = size_t(blockIdx.x) * kInputs;
  double sum = 0;
  for (size_t column = threadIdx.x; column - threadIdx.x < columns; column += kThreads) {
    float slopes[kInputs] = {};
    for (size_t from = 0; from < batch.size; from += kBatchRows) {
      const unsigned rows = unsigned(batch.size - from < kBatchRows ? batch.size - from : kBatchRows);
      __syncthreads();
      for (unsigned n = threadIdx.x; n < rows * kInputs; n += kThreads) {
        const size_t i = first + n % kInputs;
        inputs[n / kInputs][n % kInputs] = i < width ? input_at(batch, from + n / kInputs, i) : 1.0f;
      }
      __syncthreads();
      for (unsigned b = 0; b < rows && column < columns; b++) {
        const float value = c[(from + b) * c_row + column];
#pragma unroll
        for (unsigned i = 0; i < kInputs; i++) slopes[i] = fmaf(inputs[b][i], value, slopes[i]);
      }
    }
#pragma unroll
    for (unsigned i = 0; i < kInputs; i++) {
      if (first + i > width || column >= columns) continue;
      sum += double(slopes[i]) * double(slopes[i]);
      step_entry(step, state, (first + i) * columns + column, slopes[i]);
    }
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) squares[blockIdx.x] = sum;
}

__global__ void norm_of(const double* squares, size_t count, double* norm) {
  double total = 0;
  for (size_t i = threadIdx.x; i < count; i += kThreads) total += squares[i];
  total = block_sum(total);
  if (threadIdx.x == 0) *norm = sqrt(total);
}

}  // namespace

void step(DeviceContext& context, const Optimizer& optimizer, double rate, uint64_t index,
          const Network& network, const float* gradient, const DeviceFactored& factored,
          const DeviceBatch& batch, const DeviceState& state, double* norm) {
  const StepNumbers numbers = step_numbers(optimizer, rate, index);
  const LayerShape shape = network.shape(1);
  const size_t n = network.parameters(), first = factored.c == nullptr ? 0 : shape.rows * shape.columns;
  const unsigned of_factored = first == 0 ? 0 : blocks_for(shape.rows, kInputs);
  const unsigned of_rest = blocks_for(n - first, kEach * kThreads);
  double* squares = context.arena->take<double>(of_factored + of_rest);
  if (of_factored > 0)
    launch(step_factored, {of_factored, kThreads}, context.stream, numbers, state, batch, factored.c,
           factored.c_row, shape.columns, squares);
  if (of_rest > 0)
    launch(step_vector, {of_rest, kThreads}, context.stream, numbers, state, gradient, first, n,
           squares + of_factored);
  if (norm != nullptr)
    launch(norm_of, {1, kThreads}, context.stream, squares, size_t(of_factored + of_rest), norm);
}

void step(DeviceContext& context, const Optimizer& optimizer, double rate, uint64_t index, size_t n,
          const float* gradient, const DeviceState& state) {
  launch(step_vector, {blocks_for(n, kEach * kThreads), kThreads}, context.stream,
         step_numbers(optimizer, rate, index), state, gradient, size_t(0), n, nullptr);
}

}  // namespace local_entropy
