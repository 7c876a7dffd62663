// Times of each kernel (not a test): 784-200-10, 20 rows of bytes, four fifths of them zeros.
#include <algorithm>
#include <chrono>
#include <cstdio>
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

// One row under one Walsh block: six more blocks on twenty rows, over 120; their noise is in it.
void time_row_block(const char* name, const Kernels* kernels, const Problem& problem, bool rowwise) {
  std::atomic<bool> flag{false};
  Team* team = new_team(1);
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
                        kernels->estimate(walsh, question, {team, &flag}, *workspace, &estimate);
                      }).cpu;
  }
  std::printf("%-7s 1 thread   %-34s %8.3f us, noise included\n", kernels->name, name,
              1e3 * (ms[1] - ms[0]) / (6 * double(batch.size)));
  kernels->delete_workspace(workspace);
  delete_team(team);
}

void time_estimator(const char* name, const Kernels* kernels, unsigned threads, const Problem& problem,
                    const Estimator& estimator, int repeats) {
  std::atomic<bool> flag{false};
  Team* team = new_team(threads);
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
    kernels->update(estimator, adam, 1e-4, question, {team, &flag}, *workspace, &estimate, parameters.data(),
                    moments, &norm);
  });
  std::printf("%-7s %u thread%s  %-34s %8.3f ms, processor %8.3f ms (|gradient| %.4g)\n", kernels->name,
              threads, threads > 1 ? "s" : " ", name, ms.wall, ms.cpu, norm);
  std::fflush(stdout);
  kernels->delete_workspace(workspace);
  delete_team(team);
}

}  // namespace

int bench() {
  const Problem problem({784, 200, 10}, Activation::kRelu, 20, true, 0.8);
  Estimator plain;
  plain.kind = Estimator::Kind::kSgd;
  for (const Kernels* kernels : all_kernels()) {
    std::vector<float> normals(1 << 16);
    const Milliseconds ms =
        milliseconds(20, [&] { kernels->gaussian(1, 16, 0, 0, normals.size(), normals.data()); });
    std::printf("%-7s 1 thread   normals %28.0f million/s\n", kernels->name,
                double(normals.size()) / ms.wall / 1e3);
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
