// Times of the kernels by the device's own events; `cuda-test --bench`. Not a test of results: run
// `cuda-test` before.
//
// A line is: what, how many a second (or milliseconds), and the floor that it must keep on one H200, where
// there is one. 784-200-10, B = 20, bytes of which four fifths are zeros.
#include <cstdio>

#include "../../test/harness.h"
#include "../../test/problem.h"
#include "../machine/memory.h"
#include "../random/gaussian.h"
#include "../sampling/samples.h"
#include "../update/update.h"

namespace native_test {

using namespace local_entropy;

namespace {

constexpr int kRepeats = 10;

std::string wanted;
int below = 0;  // lines under their floors

bool skipped(const char* name) { return std::string(name).find(wanted) == std::string::npos; }

// floor 0: none is stated.
void print(const char* name, double value, const char* unit, double floor, bool at_most = false) {
  const bool kept = floor == 0 || (at_most ? value <= floor : value >= floor);
  below += !kept;
  std::printf("%-58s %12.3f %-22s", name, value, unit);
  if (floor != 0) std::printf(" floor %s %g: %s", at_most ? "<=" : ">=", floor, kept ? "kept" : "NOT KEPT");
  std::printf("\n");
  std::fflush(stdout);
}

constexpr unsigned kThreads = 256, kBlocksOfThread = 256;

// Normals that go nowhere: each thread adds up its own, so that none can be left out.
__global__ void add_up(Noise noise, float* sums) {
  const uint32_t thread = blockIdx.x * kThreads + threadIdx.x;
  float sum = 0;
  for (uint32_t i = 0; i < kBlocksOfThread; i++) {
    const FourNormals normals = normals_of_block(noise, thread * kBlocksOfThread + i);
    sum += (normals.at[0] + normals.at[1]) + (normals.at[2] + normals.at[3]);
  }
  sums[thread] = sum;
}

void normals(Stream stream) {
  const Noise noise{1, 16, 0, 0};
  if (!skipped("gaussian: in registers")) {
    const unsigned blocks = 64 * multiprocessors();
    const DeviceArray<float> sums(size_t(blocks) * kThreads);
    const auto work = [&] { launch(add_up, {blocks, kThreads}, stream, noise, sums.data()); };
    const double count = 4.0 * kBlocksOfThread * blocks * kThreads;
    print("gaussian: in registers", count / device_milliseconds(stream, kRepeats, work) / 1e6, "billion/s",
          400);
  }
  if (!skipped("gaussian: to memory")) {
    constexpr size_t kCount = size_t(1) << 28;
    const DeviceArray<float> out(kCount);
    const auto work = [&] { gaussian_fill(stream, noise, kCount, out.data()); };
    print("gaussian: to memory", double(kCount) / device_milliseconds(stream, kRepeats, work) / 1e6,
          "billion/s", 150);
  }
}

Estimator walsh(uint32_t blocks, bool rowwise, Estimator::Kind kind = Estimator::Kind::kImportanceSampling) {
  Estimator e = importance_sampling(true, Coupling::Kind::kWalsh, blocks, false, false);
  e.kind = kind;
  e.rowwise = rowwise;
  e.temperature = 1;
  return e;
}

Estimator samples(Coupling::Kind kind, uint32_t count, bool projected, bool rowwise) {
  Estimator e = importance_sampling(projected, kind, count, kind == Coupling::Kind::kIndependent, false);
  e.rowwise = rowwise;
  e.temperature = 1;
  return e;
}

// A problem on the device.
struct OnDevice {
  Problem problem;
  Stream stream;
  ExampleArrays examples;
  DeviceArray<uint32_t> rows;
  DeviceArray<float> parameters, moments[2], gradient, chain;
  DeviceArray<EstimateNumbers> numbers{1};
  DeviceArray<double> norm{1};
  DeviceArena arena;
  std::atomic<bool> cancelled{false};
  DeviceContext context{};
  DeviceBatch batch;

  OnDevice(Stream on, std::vector<uint32_t> layers, size_t size)
      : problem(std::move(layers), Activation::kRelu, size, true, 0.8),
        stream(on),
        examples(stream, problem.examples),
        rows(stream, problem.rows),
        parameters(stream, problem.parameters),
        gradient(problem.network.parameters()),
        chain(stream, problem.parameters),
        batch{examples.view(), rows.data(), size} {
    const std::vector<float> zeros(problem.network.parameters());
    for (DeviceArray<float>& moment : moments) moment = DeviceArray<float>(stream, zeros);
    context.stream = stream;
    context.arena = &arena;
    context.cancelled = &cancelled;
  }

  DeviceQuestion question() {
    return {&problem.network, {}, parameters.data(), &batch, 1, problem.seed, problem.update, 0.01, 0.1};
  }
  DeviceEstimate answer() {
    DeviceEstimate estimate;
    estimate.gradient = gradient.data();
    estimate.chain = chain.data();
    estimate.numbers = numbers.data();
    return estimate;
  }
  double estimate(const Estimator& estimator) {
    return device_milliseconds(stream, kRepeats, [&] {
      arena.reset();
      DeviceEstimate to = answer();
      estimate_on_device(estimator, question(), context, nullptr, &to);
    });
  }
  void one_update(const Estimator& estimator, bool may_free) {
    Optimizer optimizer;
    optimizer.kind = Optimizer::Kind::kAdam;
    const DeviceState state{parameters.data(), {moments[0].data(), moments[1].data()}};
    arena.reset(may_free);
    DeviceEstimate to = answer();
    update_on_device(estimator, optimizer, 1e-6, question(), context, &to, state, norm.data());
  }
  double update(const Estimator& estimator) {
    return device_milliseconds(stream, kRepeats, [&] { one_update(estimator, true); });
  }
  // One of `count` that follow each other, launched one by one or recorded four at a time as in a session.
  double updates(const Estimator& estimator, size_t count, bool recorded) {
    Recording recording(stream);
    const double ms = device_milliseconds(stream, kRepeats, [&] {
      for (size_t k = 0; k < count; k++) {
        if (recorded && k % 4 == 0) {
          arena.reset();
          recording.begin();
        }
        one_update(estimator, !recorded);
        if (recorded && k % 4 == 3) recording.start();
      }
    });
    wait(stream);
    return ms / double(count);
  }
};

// A line in evaluations a second: samples on the whole minibatch.
void evaluations(OnDevice& on, const char* name, const Estimator& estimator, double floor) {
  if (skipped(name)) return;
  on.estimate(estimator);  // memory
  const double count = double(sample_count(estimator, on.problem.network));
  print(name, count / on.estimate(estimator) / 1e3, "million evaluations/s", floor);
}

void milliseconds(OnDevice& on, const char* name, const Estimator& estimator, double most) {
  if (skipped(name)) return;
  on.estimate(estimator);
  print(name, on.estimate(estimator), "ms", most, true);
}

void updates(OnDevice& on, const char* name, const Estimator& estimator) {
  if (skipped(name)) return;
  on.update(estimator);
  print(name, 1e3 * on.update(estimator), "us an update", 0);
}

// In a row, each way, so that it shows whether recording them pays.
void updates_in_a_row(OnDevice& on, const std::string& name, const Estimator& estimator) {
  for (const bool recorded : {false, true}) {
    const std::string line = name + (recorded ? ", recorded" : ", one by one");
    if (skipped(line.c_str())) continue;
    on.update(estimator);
    print(line.c_str(), 1e3 * on.updates(estimator, 200, recorded), "us an update", 0);
  }
}

}  // namespace

int bench(const std::string& filter) {
  wanted = filter;
  const Stream stream = new_stream();
  normals(stream);
  {
    OnDevice on(stream, {784, 200, 10}, 20);
    evaluations(on, "walsh: weights only, J = 1,048,576", walsh(2048, false), 1000);
    evaluations(on, "walsh: row split, J = 1,048,576", walsh(2048, true), 1000);
    evaluations(on, "walsh: row split, J = 10,485,760", walsh(20480, true), 0);
    evaluations(on, "walsh: heat, J = 1,048,576", walsh(2048, true, Estimator::Kind::kEvolutionStrategies),
                0);
    evaluations(on, "importance-sampling: independent, J = 262,144",
                samples(Coupling::Kind::kIndependent, 262144, true, false), 50);
    evaluations(on, "importance-sampling: antithetic, J = 262,144",
                samples(Coupling::Kind::kAntithetic, 262144, true, false), 0);
    evaluations(on, "importance-sampling: antithetic, by rows, J = 65,536",
                samples(Coupling::Kind::kAntithetic, 65536, true, true), 0);
    evaluations(on, "importance-sampling: independent, direct, J = 1,024",
                samples(Coupling::Kind::kIndependent, 1024, false, false), 0);
    milliseconds(on, "sgld: projected, 1,000 iterates", sgld(true, 1000), 8);
    milliseconds(on, "sgld: direct, 1,000 iterates", sgld(false, 1000), 0);
    milliseconds(on, "robbins-monro: projected, 30 x 30", robbins_monro(true, 30, 30), 0);
    updates(on, "update: sgd", sgd());
    updates(on, "update: walsh, K = 2", walsh(2, true));
    updates(on, "update: walsh, K = 64", walsh(64, true));
    updates_in_a_row(on, "updates in a row: sgd", sgd());
    updates_in_a_row(on, "updates in a row: walsh, K = 2", walsh(2, true));
  }
  {
    OnDevice full(stream, {784, 200, 10}, 60000);
    updates(full, "update: sgd, B = 60,000", sgd());
  }
  {
    OnDevice wide(stream, {784, 4000, 4000, 10}, 128);
    updates(wide, "update: sgd, 784-4000-4000-10, B = 128", sgd());
  }
  delete_stream(stream);
  std::printf("%d below their floors\n", below);
  return below > 0;
}

}  // namespace native_test
