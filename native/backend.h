// The seam between the Node-API folder (native/node) and the engines (native/cpu): plain C++, no Node, no
// instruction set. It mirrors src/backends/backend.ts; names and meanings are explained there.
//
// Symbols: B rows of a minibatch, d0 … dL widths, n parameters, J samples or iterates of a chain, M samples a
// transition.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "description.h"

namespace local_entropy {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

// Where layer l = 1 … L's matrix lies in the flat parameters: (d_{l-1} + 1) x d_l, the bias row last.
struct LayerShape {
  size_t offset, rows, columns;
};

struct Network {
  std::vector<uint32_t> layers;  // d0 … dL
  Activation activation = Activation::kRelu;

  size_t depth() const { return layers.size() - 1; }
  uint32_t classes() const { return layers.back(); }
  LayerShape shape(size_t layer) const {
    size_t offset = 0;
    for (size_t l = 1; l < layer; l++) offset += (size_t(layers[l - 1]) + 1) * layers[l];
    return {offset, size_t(layers[layer - 1]) + 1, layers[layer]};
  }
  size_t parameters() const {
    const LayerShape last = shape(depth());
    return last.offset + last.rows * last.columns;
  }
};

// m of Walsh blocks: the power of two that holds the signs of the hidden units and of the bias or, by rows,
// of the classes; without a hidden layer those of the classes.
inline size_t walsh_length(const Network& network, bool rowwise) {
  const size_t width = network.layers[1];
  const size_t used = network.depth() == 1 ? width : width + (rowwise ? network.classes() : 1);
  size_t m = 1;
  while (m < used) m *= 2;
  return m;
}

constexpr uint16_t kNoClass = 0xffff;  // where nothing is predicted; networks have fewer classes

// Loss of a row: softmax cross-entropy, or costs[label * classes + predicted]. Predicted is the class of the
// first largest logit; where one is NaN nothing is, and the loss is the dearest of the label's costs. With
// the outputs z and the row's targets t: squared error sum (z - t)^2/2, absolute error sum |z - t|, logistic
// sum log(1 + e^z) - t z, soft cross-entropy -sum t log softmax z.
struct Loss {
  LossKind kind = LossKind::kCrossEntropy;
  std::vector<float> costs;
  // One that is given, of an update's J samples and at last of x itself: (J + 1) x B; or where `outputs` is
  // not null, where the rows' outputs go instead: (J + 1) x B x classes.
  const float* given = nullptr;
  float* outputs = nullptr;
  size_t samples = 0, batch = 0;  // J, B
};

// Rows of inputs, bytes (byte/255) or floats (as is): one of the two is empty.
struct Examples {
  std::vector<uint8_t> bytes;    // count x width
  std::vector<float> floats;     // count x width
  std::vector<uint16_t> labels;  // count, or empty where nothing reads them
  std::vector<float> targets;    // count x outputs, or empty where the loss reads none
  size_t count = 0, width = 0, outputs = 0;
};

// A minibatch: `size` rows of `examples`, picked by `rows`, or rows 0 … size - 1 where `rows` is null.
struct Batch {
  const Examples* examples;
  const uint32_t* rows;
  size_t size;

  size_t row(size_t i) const { return rows == nullptr ? i : rows[i]; }
};

struct Coupling {
  using Kind = CouplingKind;
  Kind kind = Kind::kAntithetic;
  uint32_t samples = 0;                            // J, but of Walsh
  uint32_t blocks = 0;                             // Walsh only: J = 2m blocks
  bool sample_complement = false, centred = true;  // independent only
};

struct Estimator {
  using Kind = EstimatorKind;
  Kind kind;
  bool projected = false;
  Coupling coupling;                 // importance sampling, evolution strategies
  float temperature = 1;             // importance sampling
  bool rowwise = false;              // importance sampling, evolution strategies
  std::vector<double> step_sizes;    // eps_1 … eps_J; a_1 … a_J
  std::vector<double> noise_scales;  // SGLD: sqrt(eps_j) or eps_j
  bool chain_previous = true;        // SGLD: x^1 is the previous chain's x^J
  uint32_t batches = 1;              // SGLD: 1 or J - 1; Robbins-Monro: 1 or J
  uint32_t samples = 0;              // Robbins-Monro: M
};

// J of a sampler.
inline size_t sample_count(const Estimator& estimator, const Network& network) {
  const Coupling& coupling = estimator.coupling;
  if (coupling.kind != Coupling::Kind::kWalsh) return coupling.samples;
  return 2 * walsh_length(network, estimator.rowwise) * coupling.blocks;
}

struct Optimizer {
  using Kind = OptimizerKind;
  Kind kind = Kind::kGradientDescent;
  double momentum = 0.9, beta1 = 0.9, beta2 = 0.999;  // 1 - beta2 in float32 would be off by 1e-5
  float epsilon = 1e-8f;
  double weight_decay = 0;

  size_t moments() const { return kind == Kind::kAdam ? 2 : kind == Kind::kMomentum ? 1 : 0; }
};

// What an estimator is asked at one point: x_k on one minibatch, or on `batches` of them in a row.
struct Question {
  const Network* network;
  const Loss* loss;
  const float* parameters;  // x_k (n)
  const Batch* batches;
  size_t batch_count;
  uint64_t seed;
  uint32_t update;     // k, zero-based
  double tau;          // the proposal's variance
  double noise_scale;  // of a perturbation: sqrt(tau), or tau in the second reading
};

// What it answers. `gradient` is always that of the objective, so mean = x_k - (tau/temperature) gradient.
struct Estimate {
  float* gradient;          // n, written whole
  float* chain = nullptr;   // SGLD: x^1 in, x^J out (n)
  float* losses = nullptr;  // importance sampling: each sample's loss (J), where wanted
  double loss = kNone, free_energy = kNone, effective_sample_size = kNone, largest_weight = kNone;
  double standard_error = kNone;
  bool wants_error = false;  // whether standard_error is worth a pass of its own (Walsh blocks)
  uint64_t samples = 0;
};

// Where an operation runs. Results never depend on the number of threads of the team.
class Executor;
struct Context {
  Executor* executor;
  const std::atomic<bool>* cancelled;  // polled for each block of samples or transition
};

// An operation returns false if it was cancelled; its outputs are then undefined.
// One table for each instruction set; every kernel is written once, in native/cpu/*/*-inl.h.
class Workspace;  // buffers that a session keeps between updates; made by `new_workspace`
struct Kernels {
  const char* name;  // "avx512", "avx2", "sse4", "neon"

  // The first `count` normals of a stream.
  bool (*gaussian)(uint64_t seed, uint32_t stream, uint32_t update, uint32_t sample, size_t count,
                   const Context&, float* out);
  // Losses and gradients. `gradient` may be null.
  bool (*dense_loss)(const Network&, const Loss&, const float* parameters, const Batch&, const Context&,
                     double* loss);
  // outputs under the link of a kind of loss: size x classes; labels: size.
  bool (*dense_predict)(const Network&, LossKind, const float* parameters, const Batch&, const Context&,
                        float* outputs, uint16_t* labels);
  bool (*dense_accuracy)(const Network&, const float* parameters, const Batch&, const Context&,
                         uint64_t* correct);
  // The Hessian of the mean cross-entropy at `parameters` (n) times `vector` (n) -> product (n).
  bool (*hessian_product)(const Network&, const float* parameters, const float* vector, const Batch&,
                          const Context&, float* product);
  // The outputs of an estimator's samples and at x itself: (J + 1) x B x classes; the question has no loss.
  bool (*outputs)(const Estimator&, const Question&, const Context&, Workspace&, float* outputs);
  // The estimator named by `estimator.kind`.
  bool (*estimate)(const Estimator&, const Question&, const Context&, Workspace&, Estimate*);
  // x <- one step of the optimizer along `gradient`; index counts from 1. moments: 0, 1 or 2 vectors of n.
  bool (*step)(const Optimizer&, double rate, uint64_t index, size_t n, const float* gradient,
               float* parameters, float* const* moments, const Context&);
  // Both: the estimate at `parameters` (which the question points to), |gradient|, then the step.
  bool (*update)(const Estimator&, const Optimizer&, double rate, const Question&, const Context&, Workspace&,
                 Estimate*, float* parameters, float* const* moments, double* gradient_norm);
  Workspace* (*new_workspace)();
  void (*delete_workspace)(Workspace*);
};

// Picks the table: `name` empty means the best that this processor has. Null, with the reason and the names
// that would do in *why, if the name is unknown or this processor lacks it. native/cpu/dispatch.cc.
const Kernels* select_kernels(const std::string& name, std::string* why);
// Names of the tables that this processor can run, best first.
std::vector<std::string> available_kernels();

// What one backend computes with: on the CPU `threads` threads, the caller's included
// (native/cpu/machine/executor.h), on CUDA a stream (native/cuda/machine/executor.h).
Executor* new_executor(unsigned threads);
void delete_executor(Executor*);
// Fewer than were asked for where the system refuses some.
unsigned executor_threads(const Executor*);

// Floats that begin on a cache line: a vector of sixteen at a multiple of 64 bytes is one access, else two.
template <class T>
struct LineAllocator {
  using value_type = T;
  LineAllocator() = default;
  template <class U>
  LineAllocator(const LineAllocator<U>&) {}
  T* allocate(size_t count) { return static_cast<T*>(::operator new(count * sizeof(T), kLine)); }
  void deallocate(T* p, size_t) { ::operator delete(p, kLine); }
  friend bool operator==(const LineAllocator&, const LineAllocator&) { return true; }
  friend bool operator!=(const LineAllocator&, const LineAllocator&) { return false; }

 private:
  static constexpr std::align_val_t kLine{64};
};
using Floats = std::vector<float, LineAllocator<float>>;

// What a session carries between updates.
struct SessionState {
  Floats parameters;
  std::vector<Floats> moments;
  Floats chain;  // empty until there is one
};

struct SessionSetup {
  Network network;
  Loss loss;
  Examples train, test, validation;
  uint32_t batch_size;
  Estimator estimator;
  Optimizer optimizer;
  uint64_t seed;
  SessionState state;
};

// Several updates in one crossing; src/backends/backend.ts explains the fields.
struct Plan {
  uint64_t first = 0;
  uint32_t count = 0;
  std::vector<uint32_t> rows;  // count x batches x B
  std::vector<double> tau, noise_scale, rate;
  std::vector<float> row_losses;  // of a loss that is given, count times
};

constexpr size_t kValues = kValuesOfUpdate;  // loss, |gradient|, effective sample size, F_tau

// A run's data and state. One call at a time; native/cpu/update/session.cc.
class Session {
 public:
  Session(SessionSetup setup, const Kernels* kernels, Executor* executor);
  ~Session();
  // Runs the plan; writes done x 4 values; returns `done`. A cancelled update leaves no trace.
  size_t run(const Plan& plan, const std::atomic<bool>& cancelled, double* values);
  // The outputs of the samples of a plan's first update, as Kernels has it. False if cancelled.
  bool outputs(const Plan& plan, const std::atomic<bool>& cancelled, float* outputs);
  // Rows whose class predicted is the label. The data split: 0 train, 1 test, 2 validation. False if
  // cancelled.
  bool accuracy(int split, const std::atomic<bool>& cancelled, uint64_t* correct);
  // What is predicted of a split's rows, as dense_predict has it. False if cancelled.
  bool predict(int split, const std::atomic<bool>& cancelled, float* outputs, uint16_t* labels);
  bool finite();                // whether all parameters are
  const SessionState& state();  // in the flat layout of LayerShape

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace local_entropy
