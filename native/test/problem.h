// Networks and data of any size for the tests, from a small generator of their own; no two rows, lanes or
// weights are equal. And a network's loss in double precision by plain loops, which knows nothing of the
// kernels.
#pragma once
#include <atomic>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "../backend.h"

namespace native_test {

using namespace local_entropy;

struct Random {
  uint64_t state;
  double uniform() {  // splitmix64
    uint64_t z = (state += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return double((z ^ (z >> 31)) >> 11) * 0x1p-53;
  }
};

struct Problem {
  Network network;
  Loss loss;
  Examples examples;
  std::vector<float> parameters;
  std::vector<uint32_t> rows;
  uint64_t seed = 0x123456789abcdefull;
  uint32_t update = 3;
  double tau = 0.013;

  // zeros: fraction of inputs that are 0. repeated: the last row is the first again.
  Problem(std::vector<uint32_t> layers, Activation activation, size_t batch, bool bytes, double zeros,
          bool repeated = false) {
    Random random{batch * 31 + layers[0]};
    network.layers = layers;
    network.activation = activation;
    examples.count = batch + 3;
    examples.width = layers[0];
    for (size_t i = 0; i < examples.count * examples.width; i++) {
      const double value = random.uniform() < zeros ? 0 : 0.05 + 0.95 * random.uniform();
      if (bytes)
        examples.bytes.push_back(uint8_t(255 * value));
      else
        examples.floats.push_back(float(value));
    }
    for (size_t i = 0; i < examples.count; i++)
      examples.labels.push_back(uint16_t(random.uniform() * network.classes()));
    for (size_t i = 0; i < batch; i++) rows.push_back(uint32_t((i * 7 + 2) % examples.count));
    if (examples.count % 7 == 0)
      for (size_t i = 0; i < batch; i++) rows[i] = uint32_t(i + 1);
    if (repeated && batch > 1) rows[batch - 1] = rows[0];
    for (size_t l = 1; l < layers.size(); l++) {
      const double bound = std::sqrt(6.0 / (layers[l - 1] + layers[l]));
      for (size_t i = 0; i < size_t(layers[l - 1] + 1) * layers[l]; i++)
        parameters.push_back(float((2 * random.uniform() - 1) * bound));
    }
  }

  Batch batch() const { return {&examples, rows.data(), rows.size()}; }

  double input(size_t row, size_t i) const {
    const size_t at = rows[row] * examples.width + i;
    return examples.bytes.empty() ? double(examples.floats[at]) : examples.bytes[at] / 255.0;
  }

  double activate(double v) const {
    return network.activation == Activation::kRelu   ? std::max(0.0, v)
           : network.activation == Activation::kTanh ? std::tanh(v)
                                                     : double(v > 0);
  }

  std::vector<double> logits(const std::vector<double>& x, size_t row) const {
    std::vector<double> a;
    for (size_t i = 0; i < examples.width; i++) a.push_back(input(row, i));
    size_t at = 0;
    for (size_t l = 1; l < network.layers.size(); l++) {
      a.push_back(1);
      std::vector<double> p(network.layers[l]);
      for (const double value : a)
        for (double& sum : p) sum += value * x[at++];
      if (l + 1 < network.layers.size())
        for (double& v : p) v = activate(v);
      a = p;
    }
    return a;
  }

  double row_loss(const std::vector<double>& z, size_t row) const {
    const size_t label = examples.labels[rows[row]];
    size_t best = 0;
    for (size_t c = 1; c < z.size(); c++)
      if (z[c] > z[best]) best = c;
    if (loss.kind == LossKind::kCostMatrix)
      return loss.costs[label * z.size() + (z[best] > z[label] ? best : label)];
    double sum = 0;
    for (const double v : z) sum += std::exp(v - z[best]);
    return z[best] - z[label] + std::log(sum);
  }

  double value(const std::vector<double>& x) const {
    double total = 0;
    for (size_t r = 0; r < rows.size(); r++) total += row_loss(logits(x, r), r);
    return total / double(rows.size());
  }

  std::vector<double> x() const { return {parameters.begin(), parameters.end()}; }
};

// An answer with room of its own, in a frame of guards that must stay.
struct Answer {
  static constexpr size_t kGuard = 64;
  static constexpr float kPattern = -12345.5f;
  std::vector<float> gradient, chain, losses;
  Estimate estimate;
  bool done = false;

  std::vector<float> inside(const std::vector<float>& v) const {
    return {v.begin() + kGuard, v.end() - kGuard};
  }
  bool guarded() const {
    for (const std::vector<float>* v : {&gradient, &chain, &losses})
      for (size_t i = 0; i < kGuard && !v->empty(); i++)
        if ((*v)[i] != kPattern || (*v)[v->size() - 1 - i] != kPattern) return false;
    return true;
  }
};

inline size_t power_of_two(size_t least) {
  size_t m = 1;
  while (m < least) m *= 2;
  return m;
}

// m of Walsh blocks.
inline size_t transform_length(const Network& network, bool rowwise) {
  const size_t width = network.layers[1];
  return power_of_two(network.depth() == 1 ? width : width + (rowwise ? network.classes() : 1));
}

// J.
inline size_t sample_count(const Problem& problem, const Estimator& e) {
  return e.coupling.kind == Coupling::Kind::kWalsh
             ? 2 * transform_length(problem.network, e.rowwise) * e.coupling.blocks
             : e.coupling.samples;
}

inline Answer ask(const Kernels* kernels, const Problem& problem, const Estimator& estimator,
                  unsigned threads, const std::vector<Batch>& batches, bool cancelled = false) {
  Answer answer;
  const size_t n = problem.network.parameters(), guard = Answer::kGuard;
  answer.gradient.assign(n + 2 * guard, Answer::kPattern);
  Estimate& e = answer.estimate;
  e.gradient = answer.gradient.data() + guard;
  if (estimator.kind == Estimator::Kind::kSgld) {
    answer.chain.assign(n + 2 * guard, Answer::kPattern);
    e.chain = answer.chain.data() + guard;
    for (size_t i = 0; i < n; i++) e.chain[i] = problem.parameters[i] + 0.01f * float(i % 7);
  }
  e.wants_error = true;
  if (estimator.kind == Estimator::Kind::kImportanceSampling) {
    answer.losses.assign(sample_count(problem, estimator) + 2 * guard, Answer::kPattern);
    e.losses = answer.losses.data() + guard;
  }
  const Question question{&problem.network, &problem.loss,  problem.parameters.data(),
                          batches.data(),   batches.size(), problem.seed,
                          problem.update,   problem.tau,    std::sqrt(problem.tau)};
  std::atomic<bool> flag{cancelled};
  Executor* executor = new_executor(threads);
  Workspace* workspace = kernels->new_workspace();
  answer.done = kernels->estimate(estimator, question, {executor, &flag}, *workspace, &e);
  kernels->delete_workspace(workspace);
  delete_executor(executor);
  return answer;
}

inline Answer ask(const Kernels* kernels, const Problem& problem, const Estimator& estimator,
                  unsigned threads = 1) {
  return ask(kernels, problem, estimator, threads, {problem.batch()});
}

using Matrix = std::vector<std::vector<double>>;

// Q^T (r x width) of the rows of the batch with their ones, by Gram-Schmidt in double with
// reorthogonalization: the same basis as Cholesky's, row by row.
inline Matrix basis(const Problem& problem) {
  Matrix q;
  for (size_t r = 0; r < problem.rows.size(); r++) {
    std::vector<double> row;
    for (size_t i = 0; i < problem.examples.width; i++) row.push_back(problem.input(r, i));
    row.push_back(1);
    double before = 0, after = 0;
    for (const double v : row) before += v * v;
    for (int pass = 0; pass < 2; pass++)
      for (const auto& other : q) {
        double dot = 0;
        for (size_t i = 0; i < row.size(); i++) dot += row[i] * other[i];
        for (size_t i = 0; i < row.size(); i++) row[i] -= dot * other[i];
      }
    for (const double v : row) after += v * v;
    const double scale = after > 1e-9 * before ? 1 / std::sqrt(after) : 0;
    for (double& v : row) v *= scale;
    q.push_back(row);
  }
  return q;
}

inline Estimator sgd() {
  Estimator e;
  e.kind = Estimator::Kind::kSgd;
  return e;
}

inline Estimator importance_sampling(bool projected, Coupling::Kind kind, uint32_t count, bool centred,
                                     bool complement) {
  Estimator e;
  e.kind = Estimator::Kind::kImportanceSampling;
  e.projected = projected;
  e.coupling.kind = kind;
  (kind == Coupling::Kind::kWalsh ? e.coupling.blocks : e.coupling.samples) = count;
  e.coupling.centred = centred;
  e.coupling.sample_complement = complement;
  e.temperature = 0.3f;
  return e;
}

inline Estimator sgld(bool projected, size_t iterates, uint32_t batches = 1) {
  Estimator e;
  e.kind = Estimator::Kind::kSgld;
  e.projected = projected;
  e.batches = batches;
  for (size_t j = 1; j <= iterates; j++) {
    e.step_sizes.push_back(1.0 / double(1000 + 10 * j));
    e.noise_scales.push_back(std::sqrt(e.step_sizes.back()));
  }
  return e;
}

inline Estimator robbins_monro(bool projected, size_t transitions, uint32_t samples, uint32_t batches = 1) {
  Estimator e;
  e.kind = Estimator::Kind::kRobbinsMonro;
  e.projected = projected;
  e.batches = batches;
  e.samples = samples;
  for (size_t j = 1; j <= transitions; j++) e.step_sizes.push_back(0.1 * std::pow(double(j), -0.7));
  return e;
}

inline std::vector<const Kernels*> all_kernels() {
  std::vector<const Kernels*> all;
  for (const std::string& name : available_kernels()) all.push_back(select_kernels(name, nullptr));
  return all;
}

}  // namespace native_test
