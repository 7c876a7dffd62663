// Times of each kernel (not a test): 784-200-10, 20 rows of bytes, four fifths of them zeros. The same rows
// again and again, and a session's updates on fresh rows of a set that no cache holds.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "harness.h"
#include "problem.h"

namespace native_test {

namespace {

// Least of all repeats; processor time counts all threads and is what a busy machine still measures.
struct Milliseconds {
  double wall, cpu;
};

template <class Body>
Milliseconds milliseconds(int repeats, Body body) {
  Milliseconds best{1e30, 1e30};
  for (int i = 0; i < repeats; i++) {
    const auto start = std::chrono::steady_clock::now();
    const std::clock_t cpu = std::clock();
    body();
    best.cpu = std::min(best.cpu, 1e3 * double(std::clock() - cpu) / CLOCKS_PER_SEC);
    best.wall =
        std::min(best.wall,
                 std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

std::string wanted;  // the filter

// The beginning of a line, or nothing where the line is not wanted.
std::string line(const Kernels* kernels, unsigned threads, const char* name) {
  char text[96];
  std::snprintf(text, sizeof text, "%-7s %u thread%s  %-34s", kernels->name, threads, threads > 1 ? "s" : " ",
                name);
  return std::strstr(text, wanted.c_str()) == nullptr ? "" : text;
}

// One row under one Walsh block: six more blocks on twenty rows, over 120; their noise is in it.
void time_row_block(const char* name, const Kernels* kernels, const Problem& problem, bool rowwise) {
  const std::string label = line(kernels, 1, name);
  if (label.empty()) return;
  std::atomic<bool> flag{false};
  Executor* executor = new_executor(1);
  Workspace* workspace = kernels->new_workspace();
  std::vector<float> gradient(problem.network.parameters());
  const Batch batch = problem.batch();
  const Question question{
      &problem.network, &problem.loss,         problem.parameters.data(), &batch, 1, problem.seed, 0,
      problem.tau,      std::sqrt(problem.tau)};
  double ms[2];
  for (const uint32_t blocks : {2u, 8u}) {
    Estimator walsh = importance_sampling(true, Coupling::Kind::kWalsh, blocks, false, false);
    walsh.rowwise = rowwise;
    Estimate estimate{gradient.data()};
    ms[blocks == 8] = milliseconds(300, [&] {
                        kernels->estimate(walsh, question, {executor, &flag}, *workspace, &estimate);
                      }).cpu;
  }
  std::printf("%s %8.3f us, noise included\n", label.c_str(),
              1e3 * (ms[1] - ms[0]) / (6 * double(batch.size)));
  kernels->delete_workspace(workspace);
  delete_executor(executor);
}

// Images in the middle of an empty margin: 20,000 rows of 28 x 28, 19 % of the bytes not zero.
Examples images() {
  Examples examples;
  examples.count = 20000;
  examples.width = 784;
  examples.bytes.resize(examples.count * examples.width);
  Random random{9};
  for (size_t r = 0; r < examples.count; r++) {
    for (size_t i = 0; i < examples.width; i++) {
      const double y = double(i / 28) - 13.5, x = double(i % 28) - 13.5, stroke = 5 + 5 * random.uniform();
      const double distance = std::abs(std::sqrt(x * x + y * y) - stroke);
      if (distance < 1.6) examples.bytes[r * examples.width + i] = uint8_t(255 - 130 * distance);
    }
    examples.labels.push_back(uint16_t(10 * random.uniform()));
  }
  return examples;
}

// Medians over 20 crossings of 100 updates each.
void time_session(const char* name, const Kernels* kernels, unsigned threads, const Examples& train,
                  const Estimator& estimator) {
  const std::string label = line(kernels, threads, name);
  if (label.empty()) return;
  constexpr uint32_t kCrossing = 100, kBatch = 20;
  Executor* executor = new_executor(threads);
  SessionSetup setup{};
  setup.network.layers = {784, 200, 10};
  setup.train = train;
  setup.batch_size = kBatch;
  setup.estimator = estimator;
  setup.optimizer.kind = Optimizer::Kind::kAdam;
  setup.optimizer.weight_decay = 0.05f;
  Random random{3};
  const size_t n = setup.network.parameters();
  for (size_t i = 0; i < n; i++) setup.state.parameters.push_back(float(0.15 * random.uniform() - 0.075));
  setup.state.moments.assign(2, Floats(n));
  Session session(std::move(setup), kernels, executor);
  const std::atomic<bool> no{false};
  std::vector<double> values(kCrossing * kValues), wall, cpu;
  for (uint32_t crossing = 0; crossing < 21; crossing++) {
    Plan plan;
    plan.first = crossing * kCrossing;
    plan.count = kCrossing;
    for (uint32_t i = 0; i < kCrossing * kBatch; i++)
      plan.rows.push_back(uint32_t(random.uniform() * double(train.count)));
    plan.tau.assign(kCrossing, 2e-3);
    plan.noise_scale.assign(kCrossing, std::sqrt(2e-3));
    plan.rate.assign(kCrossing, 1e-3);
    const Milliseconds ms = milliseconds(1, [&] { session.run(plan, no, values.data()); });
    if (crossing == 0) continue;  // memory's first touch
    wall.push_back(1e3 * ms.wall / kCrossing);
    cpu.push_back(1e3 * ms.cpu / kCrossing);
  }
  std::sort(wall.begin(), wall.end());
  std::sort(cpu.begin(), cpu.end());
  std::printf("%s %8.1f us, processor %8.1f us (median; least %.1f us, loss %.3f)\n", label.c_str(),
              wall[wall.size() / 2], cpu[cpu.size() / 2], wall[0], values[(kCrossing - 1) * kValues]);
  std::fflush(stdout);
  delete_executor(executor);
}

void time_sessions(const Kernels* kernels) {
  const Examples train = images();
  Estimator plain;
  plain.kind = Estimator::Kind::kSgd;
  Estimator walsh = importance_sampling(true, Coupling::Kind::kWalsh, 1, false, false);
  walsh.rowwise = true;
  walsh.temperature = 1;
  for (const unsigned threads : {1u, 2u}) {
    time_session("session: sgd with Adam", kernels, threads, train, plain);
    walsh.coupling.blocks = 1;
    time_session("session: walsh + row split, K = 1", kernels, threads, train, walsh);
    walsh.coupling.blocks = 2;
    time_session("session: walsh + row split, K = 2", kernels, threads, train, walsh);
  }
}

void time_estimator(const char* name, const Kernels* kernels, unsigned threads, const Problem& problem,
                    const Estimator& estimator, int repeats) {
  const std::string label = line(kernels, threads, name);
  if (label.empty()) return;
  std::atomic<bool> flag{false};
  Executor* executor = new_executor(threads);
  Workspace* workspace = kernels->new_workspace();
  const size_t n = problem.network.parameters();
  std::vector<float> parameters = problem.parameters, gradient(n), chain = problem.parameters, m(n), v(n);
  float* moments[2] = {m.data(), v.data()};
  const Batch batch = problem.batch();
  Optimizer adam;
  adam.kind = Optimizer::Kind::kAdam;
  double norm = 0;
  uint32_t k = 0;
  const Milliseconds ms = milliseconds(repeats, [&] {
    const Question question{
        &problem.network, &problem.loss,         parameters.data(), &batch, 1, problem.seed, k++,
        problem.tau,      std::sqrt(problem.tau)};
    Estimate estimate{gradient.data()};
    estimate.chain = chain.data();
    kernels->update(estimator, adam, 1e-4, question, {executor, &flag}, *workspace, &estimate,
                    parameters.data(), moments, &norm);
  });
  std::printf("%s %8.3f ms, processor %8.3f ms (|gradient| %.4g)\n", label.c_str(), ms.wall, ms.cpu, norm);
  std::fflush(stdout);
  kernels->delete_workspace(workspace);
  delete_executor(executor);
}

}  // namespace

int bench(const std::string& filter) {
  wanted = filter;
  const Problem problem({784, 200, 10}, Activation::kRelu, 20, true, 0.8);
  Estimator plain;
  plain.kind = Estimator::Kind::kSgd;
  for (const Kernels* kernels : all_kernels()) {
    const std::string label = line(kernels, 1, "normals");
    if (!label.empty()) {
      std::vector<float> normals(1 << 16);
      const Milliseconds ms =
          milliseconds(20, [&] { draw(kernels, 1, 16, 0, 0, normals.size(), normals.data()); });
      std::printf("%s %8.0f million/s\n", label.c_str(), double(normals.size()) / ms.wall / 1e3);
    }
    time_sessions(kernels);
    time_row_block("walsh row block, weights only", kernels, problem, false);
    time_row_block("walsh row block, row split", kernels, problem, true);
    for (const unsigned threads : {1u, 2u}) {
      time_estimator("sgd with Adam", kernels, threads, problem, plain, 200);
      Estimator walsh = importance_sampling(true, Coupling::Kind::kWalsh, 2, false, false);
      time_estimator("walsh weights only, K = 2", kernels, threads, problem, walsh, 200);
      walsh.rowwise = true;
      time_estimator("walsh + row split, K = 2", kernels, threads, problem, walsh, 200);
      time_estimator("importance-sampling independent", kernels, threads, problem,
                     importance_sampling(true, Coupling::Kind::kIndependent, 1000, true, false), 5);
      time_estimator("importance-sampling antithetic", kernels, threads, problem,
                     importance_sampling(true, Coupling::Kind::kAntithetic, 1000, false, false), 5);
      Estimator pairs = importance_sampling(true, Coupling::Kind::kAntithetic, 1000, false, false);
      pairs.rowwise = true;
      time_estimator("row split, antithetic", kernels, threads, problem, pairs, 5);
      time_estimator("sgld 1000", kernels, threads, problem, sgld(true, 1000), 5);
      time_estimator("robbins-monro 30 x 30", kernels, threads, problem, robbins_monro(true, 30, 30), 5);
    }
    time_estimator("importance-sampling direct, J = 100", kernels, 2, problem,
                   importance_sampling(false, Coupling::Kind::kIndependent, 100, true, false), 2);
    time_estimator("sgld direct, J = 100", kernels, 2, problem, sgld(false, 100), 2);
    time_estimator("robbins-monro direct, 10 x 10", kernels, 2, problem, robbins_monro(false, 10, 10), 2);
  }
  return 0;
}

}  // namespace native_test
