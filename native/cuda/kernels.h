// The seam within this folder: backend.h's structures as the device holds them, and the functions that
// enqueue an estimate. src/backends/backend.ts explains names and meanings.
//
// Everything here *enqueues* on the context's stream and does not wait, unless it says so: what decides
// (weights, rank, norms) stays on the device. All pointers are to device memory unless said otherwise.
//
// Symbols: B rows of a minibatch, d0 … dL widths, n parameters, J samples or chain steps.
#pragma once
#include "../backend.h"
#include "machine/device.h"

namespace local_entropy {

// Rows of inputs; one of bytes and floats is null. labels are null for predict.
struct DeviceExamples {
  const uint8_t* bytes = nullptr;    // count x width
  const float* floats = nullptr;     // count x width
  const uint16_t* labels = nullptr;  // count
  size_t count = 0, width = 0;
};

// Samples of the host, copied to the device.
class ExampleArrays {
 public:
  ExampleArrays(Stream stream, const Examples& from)
      : bytes_(stream, from.bytes),
        floats_(stream, from.floats),
        labels_(stream, from.labels),
        view_{bytes_.data(), floats_.data(), labels_.data(), from.count, from.width} {}
  const DeviceExamples& view() const { return view_; }

 private:
  DeviceArray<uint8_t> bytes_;
  DeviceArray<float> floats_;
  DeviceArray<uint16_t> labels_;
  DeviceExamples view_;
};

// `size` rows of `samples`, picked by `rows`, or rows 0 … size - 1 where `rows` is null.
struct DeviceBatch {
  DeviceExamples examples;
  const uint32_t* rows = nullptr;
  size_t size = 0;

  __host__ __device__ size_t row(size_t b) const { return rows == nullptr ? b : rows[b]; }
  __host__ __device__ uint32_t label(size_t b) const { return examples.labels[row(b)]; }
};

// byte/255 rounded to nearest, without a division: the quotient's error is made good by one step (checked for
// all 256 bytes in test/dense.cc).
__host__ __device__ inline float byte_value(uint8_t byte) {
  const float b = float(byte), inverse = 1.0f / 255.0f, q = b * inverse;
  return fmaf(fmaf(-255.0f, q, b), inverse, q);
}

// Input i of row b of A^0, its column of ones left out.
__host__ __device__ inline float input_at(const DeviceBatch& batch, size_t b, size_t i) {
  const size_t at = batch.row(b) * batch.examples.width + i;
  return batch.examples.floats != nullptr ? batch.examples.floats[at] : byte_value(batch.examples.bytes[at]);
}

// Question of backend.h. `network` and `batches` are host memory.
struct DeviceQuestion {
  const Network* network;
  const float* costs;       // classes x classes, or null: cross-entropy
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

// m of Walsh blocks: the power of two that holds a row of signs (src/network.ts, transformLength).
inline size_t walsh_length(const Network& network, bool rowwise) {
  const size_t width = network.layers[1];
  const size_t used = network.depth() == 1 ? width : width + (rowwise ? network.classes() : 1);
  size_t m = 1;
  while (m < used) m *= 2;
  return m;
}

// J.
inline size_t sample_count(const Estimator& estimator, const Network& network) {
  const Coupling& coupling = estimator.coupling;
  if (coupling.kind != Coupling::Kind::kWalsh) return coupling.samples;
  return 2 * walsh_length(network, estimator.rowwise) * coupling.blocks;
}

// Where and with what an operation runs. One stream; the arena was reset by the caller.
struct DeviceContext {
  Stream stream;
  DeviceArena* arena;
  const std::atomic<bool>* cancelled;
  bool waited = false;  // whether go_on was called

  // For hosts that enqueue for long: false if cancelled. Waits for what was enqueued before, so that the
  // host does not run seconds ahead; call it every few milliseconds of work.
  bool go_on() {
    waited = true;
    wait(stream);
    return !cancelled->load(std::memory_order_relaxed);
  }
};

// Enqueue an estimate; false if it was cancelled (outputs are then undefined). Where `factored` is not null
// the first layer's gradient may be left in it.
bool sgd_estimate(const Estimator&, const DeviceQuestion&, DeviceContext&, DeviceFactored* factored,
                  DeviceEstimate*);
// Independent and antithetic samples, by rows or not, of local entropy and heat (evolution strategies).
bool importance_sampling_estimate(const Estimator&, const DeviceQuestion&, DeviceContext&,
                                  DeviceFactored* factored, DeviceEstimate*);
// Walsh blocks, of local entropy and heat.
bool walsh_estimate(const Estimator&, const DeviceQuestion&, DeviceContext&, DeviceFactored* factored,
                    DeviceEstimate*);
bool sgld_estimate(const Estimator&, const DeviceQuestion&, DeviceContext&, DeviceFactored* factored,
                   DeviceEstimate*);
bool robbins_monro_estimate(const Estimator&, const DeviceQuestion&, DeviceContext&, DeviceFactored* factored,
                            DeviceEstimate*);

}  // namespace local_entropy
