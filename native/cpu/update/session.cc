// A run's data and state: hands each update of a plan to the kernels and keeps what they leave.
#include <cmath>
#include <cstdint>
#include <cstring>

#include "../../backend.h"

namespace local_entropy {

namespace {

// Asks for the rows of a minibatch, which lie anywhere in memory, while the update before is under way.
template <class Input>
void prefetch_rows(const Input* inputs, size_t width, const uint32_t* rows, size_t count) {
  for (size_t r = 0; r < count; r++) {
    const char* row = reinterpret_cast<const char*>(inputs + rows[r] * width);
    for (size_t at = 0; at < width * sizeof(Input); at += 64) __builtin_prefetch(row + at, 0, 2);
  }
}

}  // namespace

struct Session::Impl {
  SessionSetup setup;
  const Kernels* kernels;
  Executor* executor;
  Workspace* workspace;
  Floats gradient, chain;

  Impl(SessionSetup given, const Kernels* table, Executor* threads)
      : setup(std::move(given)), kernels(table), executor(threads), workspace(table->new_workspace()) {}
  ~Impl() { kernels->delete_workspace(workspace); }
  Question question(const Plan& plan, size_t number, const std::vector<Batch>& batches) const {
    return {&setup.network,          &setup.loss, setup.state.parameters.data(), batches.data(),
            batches.size(),          setup.seed,  uint32_t(plan.first + number), plan.tau[number],
            plan.noise_scale[number]};
  }
  const Examples& examples_of(int split) const {
    return split == 0 ? setup.train : split == 1 ? setup.test : setup.validation;
  }
};

Session::Session(SessionSetup setup, const Kernels* kernels, Executor* executor)
    : impl_(new Impl(std::move(setup), kernels, executor)) {
  impl_->gradient.resize(impl_->setup.network.parameters());
}

Session::~Session() = default;

size_t Session::run(const Plan& plan, const std::atomic<bool>& cancelled, double* values) {
  Impl& run = *impl_;
  SessionSetup& setup = run.setup;
  SessionState& state = setup.state;
  const bool langevin = setup.estimator.kind == Estimator::Kind::kSgld;
  const size_t per_update = setup.estimator.batches;
  std::vector<Batch> batches(per_update);
  std::vector<float*> moments;
  for (Floats& each : state.moments) moments.push_back(each.data());

  for (uint32_t done = 0; done < plan.count; done++) {
    for (size_t b = 0; b < per_update; b++)
      batches[b] = {&setup.train, plan.rows.data() + (done * per_update + b) * setup.batch_size,
                    setup.batch_size};
    if (done + 1 < plan.count && per_update == 1) {
      const uint32_t* next = plan.rows.data() + (done + 1) * size_t(setup.batch_size);
      if (setup.train.bytes.empty())
        prefetch_rows(setup.train.floats.data(), setup.train.width, next, setup.batch_size);
      else
        prefetch_rows(setup.train.bytes.data(), setup.train.width, next, setup.batch_size);
    }
    // The chain is worked on in a copy, so that a cancelled update leaves no trace.
    if (langevin) {
      const bool goes_on = setup.estimator.chain_previous && !state.chain.empty();
      run.chain = goes_on ? state.chain : state.parameters;
    }
    if (setup.loss.kind == LossKind::kGiven) {
      setup.loss.samples = sample_count(setup.estimator, setup.network);
      setup.loss.batch = setup.batch_size;
      setup.loss.given = plan.row_losses.data() + done * (setup.loss.samples + 1) * setup.batch_size;
    }
    const Question question = run.question(plan, done, batches);
    Estimate estimate{run.gradient.data()};
    if (langevin) estimate.chain = run.chain.data();
    double norm;
    if (!run.kernels->update(setup.estimator, setup.optimizer, plan.rate[done], question,
                             {run.executor, &cancelled}, *run.workspace, &estimate, state.parameters.data(),
                             moments.data(), &norm))
      return done;
    if (langevin && setup.estimator.chain_previous) state.chain.swap(run.chain);
    double* row = values + done * kValues;
    row[0] = estimate.loss;
    row[1] = norm;
    row[2] = estimate.effective_sample_size;
    row[3] = estimate.free_energy;
  }
  return plan.count;
}

bool Session::outputs(const Plan& plan, const std::atomic<bool>& cancelled, float* outputs) {
  Impl& run = *impl_;
  const std::vector<Batch> batches{{&run.setup.train, plan.rows.data(), run.setup.batch_size}};
  return run.kernels->outputs(run.setup.estimator, run.question(plan, 0, batches), {run.executor, &cancelled},
                              *run.workspace, outputs);
}

bool Session::accuracy(int split, const std::atomic<bool>& cancelled, uint64_t* correct) {
  Impl& run = *impl_;
  const Examples& examples = run.examples_of(split);
  return run.kernels->dense_accuracy(run.setup.network, run.setup.state.parameters.data(),
                                     {&examples, nullptr, examples.count}, {run.executor, &cancelled},
                                     correct);
}

bool Session::predict(int split, const std::atomic<bool>& cancelled, float* outputs, uint16_t* labels) {
  Impl& run = *impl_;
  const Examples& examples = run.examples_of(split);
  return run.kernels->dense_predict(run.setup.network, run.setup.loss.kind, run.setup.state.parameters.data(),
                                    {&examples, nullptr, examples.count}, {run.executor, &cancelled}, outputs,
                                    labels);
}

bool Session::finite() {
  constexpr uint32_t kExponent = 0x7f800000;  // all ones of infinities and NaN
  uint32_t wrong = 0;
  for (const float& x : impl_->setup.state.parameters) {
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    wrong |= uint32_t((bits & kExponent) == kExponent);
  }
  return wrong == 0;
}

const SessionState& Session::state() { return impl_->setup.state; }

}  // namespace local_entropy
