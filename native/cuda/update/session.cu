// A run's data and state on the device. Updates are enqueued one behind the other; the host waits only so far
// that it is not more than a few ahead, and reads all numbers of a plan at its end. Short updates, which wait
// for nothing, are recorded and started kTogether at a time; long ones gain nothing by it and would be harder
// to stop.
//
// Where an update throws (no memory), the state is that after the update before.
#include <stdexcept>

#include "../machine/executor.h"
#include "../network/dense.h"
#include "update.h"

namespace local_entropy {

namespace {

constexpr size_t kTogether = 4;
constexpr size_t kShort = size_t(1) << 25;  // bytes of a short update: parameters and what it works in

// What an update reports to a plan: kValues doubles.
__global__ void report(const EstimateNumbers* numbers, const double* norm, double* values) {
  values[0] = numbers->loss;
  values[1] = *norm;
  values[2] = numbers->effective_sample_size;
  values[3] = numbers->free_energy;
}

// *found, 0 before, counts what of x (n) is not finite.
__global__ void count_not_finite(const float* x, size_t n, unsigned long long* found) {
  const size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < n && !(fabsf(x[i]) < INFINITY)) atomicAdd(found, 1ull);
}

}  // namespace

struct Session::Impl {
  Network network;
  Estimator estimator;
  Optimizer optimizer;
  uint64_t seed;
  size_t batch_size;
  Stream stream;
  LossKind loss;
  DeviceArray<float> costs;
  ExampleArrays train, test, validation;
  DeviceArray<float> parameters, moments[2];
  bool has_chain;  // whether there was one before, in `chain`
  DeviceArray<float> chain, next_chain, gradient;
  DeviceArray<EstimateNumbers> numbers{1};
  DeviceArray<double> norm{1};
  DeviceArena arena;
  Recording recording;
  bool recording_now = false;
  bool records = false;  // whether updates can be recorded: known from the first
  SessionState host;     // what `state` gave out last

  Impl(const SessionSetup& setup, Executor* executor)
      : network(setup.network),
        estimator(setup.estimator),
        optimizer(setup.optimizer),
        seed(setup.seed),
        batch_size(setup.batch_size),
        stream(executor->stream()),
        loss(setup.loss.kind),
        costs(stream, setup.loss.costs),
        train(stream, setup.train),
        test(stream, setup.test),
        validation(stream, setup.validation),
        parameters(stream, setup.state.parameters),
        has_chain(!setup.state.chain.empty()),
        gradient(network.parameters()),
        recording(stream) {
    for (size_t i = 0; i < optimizer.moments(); i++)
      moments[i] = DeviceArray<float>(stream, setup.state.moments[i]);
    if (langevin()) {
      next_chain = DeviceArray<float>(network.parameters());
      chain = has_chain ? DeviceArray<float>(stream, setup.state.chain)
                        : DeviceArray<float>(network.parameters());
    }
    wait(stream);  // the setup's arrays are freed by the caller
  }
  ~Impl() {
    try {
      wait(stream);
    } catch (const DeviceError&) {  // a broken device has nothing under way
    }
  }

  const ExampleArrays& examples_of(int data_split) const {
    switch (data_split) {
      case 0:
        return train;
      case 1:
        return test;
      case 2:
        return validation;
    }
    throw std::logic_error("No such data split");
  }
  bool langevin() const { return estimator.kind == Estimator::Kind::kSgld; }

  // given: the losses of a plan's updates (device), where the loss is; outputs: where those of samples go, or
  // null.
  DeviceLoss loss_of(size_t number, const float* given, float* outputs) const {
    if (loss != LossKind::kGiven && outputs == nullptr) {
      DeviceLoss own;
      own.kind = loss;
      own.costs = costs.data();
      return own;
    }
    const size_t each = (sample_count(estimator, network) + 1) * batch_size;
    return given_loss_of(estimator, network, batch_size, given == nullptr ? nullptr : given + number * each,
                         outputs);
  }

  // Enqueues update k on rows (batches x B, device); false if cancelled.
  bool enqueue(const Plan& plan, size_t number, const uint32_t* rows, const float* given,
               const std::atomic<bool>& cancelled, double* values) {
    std::vector<DeviceBatch> batches(estimator.batches);
    for (size_t b = 0; b < batches.size(); b++)
      batches[b] = {train.view(), rows + b * batch_size, batch_size};
    arena.reset(!recording_now);
    DeviceContext context{stream, &arena, &cancelled};
    const DeviceQuestion question{
        &network, loss_of(number, given, nullptr), parameters.data(), batches.data(),          batches.size(),
        seed,     uint32_t(plan.first + number),   plan.tau[number],  plan.noise_scale[number]};
    DeviceEstimate estimate;
    estimate.gradient = gradient.data();
    estimate.numbers = numbers.data();
    // The chain is worked on in a copy, so that a cancelled update leaves no trace.
    if (langevin()) {
      const bool goes_on = estimator.chain_previous && has_chain;
      copy(stream, next_chain.data(), goes_on ? chain.data() : parameters.data(),
           network.parameters() * sizeof(float));
      estimate.chain = next_chain.data();
    }
    const DeviceState state{parameters.data(), {moments[0].data(), moments[1].data()}};
    if (!update_on_device(estimator, optimizer, plan.rate[number], question, context, &estimate, state,
                          norm.data()))
      return false;
    // A chain uploads its step sizes.
    records = !context.waited && !langevin() && arena.used() + network.parameters() * sizeof(float) <= kShort;
    if (langevin() && estimator.chain_previous) {
      chain.swap(next_chain);
      has_chain = true;
    }
    launch(report, {1, 1}, stream, numbers.data(), norm.data(), values);
    return true;
  }

  // Updates first … first + kTogether - 1 as one recording; false, and none of them is made, if cancelled.
  bool enqueue_together(const Plan& plan, size_t first, const uint32_t* rows, const float* given,
                        const std::atomic<bool>& cancelled, double* values) {
    const size_t per_update = estimator.batches * batch_size;
    arena.reset();
    recording.begin();
    recording_now = true;
    const auto drop = [&] {
      recording_now = false;
      recording.drop();
    };
    try {
      for (size_t k = first; k < first + kTogether; k++) {
        if (enqueue(plan, k, rows + k * per_update, given, cancelled, values + k * kValues)) continue;
        drop();
        return false;
      }
    } catch (...) {
      drop();
      throw;
    }
    recording_now = false;
    recording.start();
    return true;
  }
};

Session::Session(SessionSetup setup, const Kernels*, Executor* executor) : impl_(new Impl(setup, executor)) {}

Session::~Session() = default;

size_t Session::run(const Plan& plan, const std::atomic<bool>& cancelled, double* values) {
  Impl& run = *impl_;
  const size_t per_update = run.estimator.batches * run.batch_size;
  const DeviceArray<uint32_t> rows(run.stream, plan.rows);
  const DeviceArray<float> given(run.stream, plan.row_losses);
  const DeviceArray<double> reported(plan.count * kValues);
  Pace pace(run.stream);
  size_t done = 0;
  while (done < plan.count && !cancelled.load()) {
    const bool together = run.records && plan.count - done >= kTogether;
    if (together ? !run.enqueue_together(plan, done, rows.data(), given.data(), cancelled, reported.data())
                 : !run.enqueue(plan, done, rows.data() + done * per_update, given.data(), cancelled,
                                reported.data() + done * kValues))
      break;
    done += together ? kTogether : 1;
    pace.follow();
  }
  wait(run.stream);
  if (done) download(run.stream, values, reported.data(), done * kValues * sizeof(double));
  return done;
}

bool Session::finite() {
  constexpr unsigned kThreads = 256;
  Impl& run = *impl_;
  const size_t n = run.network.parameters();
  const std::vector<unsigned long long> none{0};
  const DeviceArray<unsigned long long> found(run.stream, none);
  launch(count_not_finite, {blocks_for(n, kThreads), kThreads}, run.stream, run.parameters.data(), n,
         found.data());
  return found.read<std::vector<unsigned long long>>(run.stream)[0] == 0;
}

bool Session::outputs(const Plan& plan, const std::atomic<bool>& cancelled, float* outputs) {
  Impl& run = *impl_;
  const DeviceArray<uint32_t> rows(run.stream, plan.rows);
  const DeviceArray<float> made((sample_count(run.estimator, run.network) + 1) * run.batch_size *
                                run.network.classes());
  const DeviceBatch batch{run.train.view(), rows.data(), run.batch_size};
  run.arena.reset();
  DeviceContext context{run.stream, &run.arena, &cancelled};
  const DeviceQuestion question{&run.network,
                                run.loss_of(0, nullptr, made.data()),
                                run.parameters.data(),
                                &batch,
                                1,
                                run.seed,
                                uint32_t(plan.first),
                                plan.tau[0],
                                plan.noise_scale[0]};
  DeviceEstimate nothing;
  if (!outputs_on_device(run.estimator, question, context, &nothing) || !context.go_on()) return false;
  download(run.stream, outputs, made.data(), made.size() * sizeof(float));
  return true;
}

bool Session::accuracy(int data_split, const std::atomic<bool>& cancelled, uint64_t* correct) {
  Impl& run = *impl_;
  const ExampleArrays& examples = run.examples_of(data_split);
  DeviceContext context{run.stream, &run.arena, &cancelled};
  return dense_accuracy(context, run.network, run.parameters.data(),
                        {examples.view(), nullptr, examples.view().count}, correct);
}

bool Session::predict(int data_split, const std::atomic<bool>& cancelled, float* outputs, uint16_t* labels) {
  Impl& run = *impl_;
  const ExampleArrays& examples = run.examples_of(data_split);
  DeviceContext context{run.stream, &run.arena, &cancelled};
  return dense_predict(context, run.network, run.loss, run.parameters.data(),
                       {examples.view(), nullptr, examples.view().count}, outputs, labels);
}

const SessionState& Session::state() {
  Impl& run = *impl_;
  run.host.parameters = run.parameters.read<Floats>(run.stream);
  run.host.moments.resize(run.optimizer.moments());
  for (size_t i = 0; i < run.host.moments.size(); i++)
    run.host.moments[i] = run.moments[i].read<Floats>(run.stream);
  if (run.has_chain) run.host.chain = run.chain.read<Floats>(run.stream);
  return run.host;
}

}  // namespace local_entropy
