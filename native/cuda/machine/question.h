// What is asked and answered, as the device holds it: the structures of backend.h, whose names and meanings
// src/backends/backend.ts explains.
//
// All pointers are to device memory unless said otherwise.
//
// Symbols: B rows of a minibatch, d0 … dL widths, n parameters, J samples or iterates of a chain.
#pragma once
#include "../../backend.h"
#include "context.h"

namespace local_entropy {

// Rows of inputs; one of bytes and floats is null. labels and targets are null where nothing reads them.
struct DeviceExamples {
  const uint8_t* bytes = nullptr;    // count x width
  const float* floats = nullptr;     // count x width
  const uint16_t* labels = nullptr;  // count
  const float* targets = nullptr;    // count x outputs
  size_t count = 0, width = 0, outputs = 0;
};

// Examples of the host, copied to the device.
class ExampleArrays {
 public:
  ExampleArrays(Stream stream, const Examples& from)
      : bytes_(stream, from.bytes),
        floats_(stream, from.floats),
        labels_(stream, from.labels),
        targets_(stream, from.targets),
        view_{bytes_.data(), floats_.data(), labels_.data(), targets_.data(),
              from.count,    from.width,     from.outputs} {}
  const DeviceExamples& view() const { return view_; }

 private:
  DeviceArray<uint8_t> bytes_;
  DeviceArray<float> floats_;
  DeviceArray<uint16_t> labels_;
  DeviceArray<float> targets_;
  DeviceExamples view_;
};

// `size` rows of `examples`, picked by `rows`, or rows 0 … size - 1 where `rows` is null.
struct DeviceBatch {
  DeviceExamples examples;
  const uint32_t* rows = nullptr;
  size_t size = 0;

  __host__ __device__ size_t row(size_t b) const { return rows == nullptr ? b : rows[b]; }
  __host__ __device__ uint32_t label(size_t b) const { return examples.labels[row(b)]; }
  __host__ __device__ const float* targets(size_t b) const {
    return examples.targets + row(b) * examples.outputs;
  }
};

// byte/255 rounded to nearest, without a division: the quotient's error is made good by one step (checked for
// all 256 bytes in test/dense.cu).
__host__ __device__ inline float byte_value(uint8_t byte) {
  const float b = float(byte), inverse = 1.0f / 255.0f, q = b * inverse;
  return fmaf(fmaf(-255.0f, q, b), inverse, q);
}

// Rows first … first + count - 1 of a batch.
inline DeviceBatch rows_of(const DeviceBatch& batch, size_t first, size_t count) {
  DeviceBatch part = batch;
  part.size = count;
  if (batch.rows != nullptr) {
    part.rows += first;
    return part;
  }
  if (part.examples.bytes != nullptr) part.examples.bytes += first * batch.examples.width;
  if (part.examples.floats != nullptr) part.examples.floats += first * batch.examples.width;
  if (part.examples.labels != nullptr) part.examples.labels += first;
  if (part.examples.targets != nullptr) part.examples.targets += first * batch.examples.outputs;
  return part;
}

// Input i of row b of A^0, its column of ones left out.
__host__ __device__ inline float input_at(const DeviceBatch& batch, size_t b, size_t i) {
  const size_t at = batch.row(b) * batch.examples.width + i;
  return batch.examples.floats != nullptr ? batch.examples.floats[at] : byte_value(batch.examples.bytes[at]);
}

// Loss of backend.h.
struct DeviceLoss {
  LossKind kind = LossKind::kCrossEntropy;
  const float* costs = nullptr;   // classes x classes, of a cost matrix
  const float* given = nullptr;   // (J + 1) x B, of one that is given
  float* outputs = nullptr;       // or in its place, where wanted: (J + 1) x B x classes
  size_t samples = 0, batch = 0;  // J, B
  bool pair = false;              // whether a unit is a pair of samples
};

// The loss that is given of an estimator's samples, or where their outputs go.
inline DeviceLoss given_loss_of(const Estimator& estimator, const Network& network, size_t batch,
                                const float* given, float* outputs) {
  return {LossKind::kGiven,
          nullptr,
          given,
          outputs,
          sample_count(estimator, network),
          batch,
          estimator.coupling.kind == Coupling::Kind::kAntithetic};
}

// Question of backend.h. `network` and `batches` are host memory.
struct DeviceQuestion {
  const Network* network;
  DeviceLoss loss;
  const float* parameters;  // x_k (n)
  const DeviceBatch* batches;
  size_t batch_count;
  uint64_t seed;
  uint32_t update;
  double tau, noise_scale;
};

// What an estimate reports, on the device; NaN where it has none.
struct EstimateNumbers {
  double loss, free_energy, effective_sample_size, largest_weight, standard_error;
};

// Estimate of backend.h.
struct DeviceEstimate {
  float* gradient = nullptr;           // n, written whole, but for the first layer where `factored` has it
  float* chain = nullptr;              // SGLD: x^1 in, x^J out (n)
  float* losses = nullptr;             // importance sampling: each sample's loss (J), where wanted
  EstimateNumbers* numbers = nullptr;  // one; all NaN on entry
  bool wants_error = false;            // whether standard_error is worth a pass of its own
  uint64_t samples = 0;                // host
};

// The first layer's gradient left as A^T C (of batches[0]), for the step to make row by row.
struct DeviceFactored {
  const float* c =
      nullptr;  // B x c_row, of which the first d1 columns; null: the estimator formed the gradient
  size_t c_row = 0;
};

}  // namespace local_entropy
