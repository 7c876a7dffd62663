// The engine as native/node calls it (backend.h): operations on host memory, each of which copies in, runs,
// and copies out; the one table of kernels; and the threads of a backend, of which there are none but the
// device's.
#include <utility>
#include <vector>

#include "machine/executor.h"
#include "network/dense.h"
#include "network/hessian-product.h"
#include "random/gaussian.h"
#include "sampling/samples.h"
#include "update/update.h"

namespace local_entropy {

// What a session keeps between updates.
class Workspace {
 public:
  DeviceArena arena;
};

namespace {

// Copies of an operation's inputs on the device, freed with it.
class Inputs {
 public:
  explicit Inputs(Stream stream) : stream_(stream) {}

  float* floats(const float* from, size_t count) {
    floats_.emplace_back(count);
    if (count) upload(stream_, floats_.back().data(), from, count * sizeof(float));
    return floats_.back().data();
  }
  DeviceLoss loss(const Loss& loss) {
    DeviceLoss there;
    there.kind = loss.kind;
    if (!loss.costs.empty()) there.costs = floats(loss.costs.data(), loss.costs.size());
    return there;
  }
  DeviceBatch batch(const Batch& from) {
    words_.emplace_back(from.rows == nullptr ? 0 : from.size);
    if (from.rows != nullptr) upload(stream_, words_.back().data(), from.rows, from.size * sizeof(uint32_t));
    return {examples(from.examples), words_.back().data(), from.size};
  }

 private:
  // The batches of a chain may share their examples.
  DeviceExamples examples(const Examples* from) {
    for (const auto& [host, there] : examples_)
      if (host == from) return there.view();
    examples_.emplace_back(from, ExampleArrays(stream_, *from));
    return examples_.back().second.view();
  }

  Stream stream_;
  std::vector<DeviceArray<float>> floats_;
  std::vector<DeviceArray<uint32_t>> words_;
  std::vector<std::pair<const Examples*, ExampleArrays>> examples_;
};

// What every operation has.
struct Operation {
  Stream stream;
  Inputs inputs;
  DeviceArena arena;
  DeviceContext context;

  explicit Operation(const Context& from)
      : stream(from.executor->stream()), inputs(stream), context{stream, &arena, from.cancelled} {}
};

bool gaussian(uint64_t seed, uint32_t stream, uint32_t update, uint32_t sample, size_t count,
              const Context& from, float* out) {
  const DeviceArray<float> normals(count);
  gaussian_fill(nullptr, {seed, stream, update, sample}, count, normals.data());
  if (count) download(nullptr, out, normals.data(), count * sizeof(float));
  return !from.cancelled->load();
}

bool loss_of(const Network& network, const Loss& loss, const float* parameters, const Batch& batch,
             const Context& from, double* value) {
  Operation run(from);
  return dense_loss(run.context, network, run.inputs.loss(loss),
                    run.inputs.floats(parameters, network.parameters()), run.inputs.batch(batch), value);
}

bool predict(const Network& network, LossKind kind, const float* parameters, const Batch& batch,
             const Context& from, float* outputs, uint16_t* labels) {
  Operation run(from);
  return dense_predict(run.context, network, kind, run.inputs.floats(parameters, network.parameters()),
                       run.inputs.batch(batch), outputs, labels);
}

bool accuracy(const Network& network, const float* parameters, const Batch& batch, const Context& from,
              uint64_t* correct) {
  Operation run(from);
  return dense_accuracy(run.context, network, run.inputs.floats(parameters, network.parameters()),
                        run.inputs.batch(batch), correct);
}

bool hessian_product(const Network& network, const float* parameters, const float* vector, const Batch& batch,
                     const Context& from, float* product) {
  Operation run(from);
  const size_t n = network.parameters();
  const DeviceArray<float> out(n);
  if (!dense_hessian_product(run.context, network, run.inputs.floats(parameters, n),
                             run.inputs.floats(vector, n), run.inputs.batch(batch), out.data()))
    return false;
  download(run.stream, product, out.data(), n * sizeof(float));
  return true;
}

// A question and its answer on the device.
struct Asked {
  std::vector<DeviceBatch> batches;
  DeviceQuestion question;
  DeviceArray<float> gradient, chain, losses;
  DeviceArray<EstimateNumbers> numbers{1};
  DeviceEstimate answer;

  Asked(Operation& run, const Estimator& estimator, const Question& q, const Estimate& wanted)
      : gradient(q.network->parameters()),
        chain(wanted.chain == nullptr ? 0 : q.network->parameters()),
        losses(wanted.losses == nullptr ? 0 : sample_count(estimator, *q.network)) {
    for (size_t i = 0; i < q.batch_count; i++) batches.push_back(run.inputs.batch(q.batches[i]));
    const size_t n = q.network->parameters();
    question = {q.network,
                run.inputs.loss(*q.loss),
                run.inputs.floats(q.parameters, n),
                batches.data(),
                batches.size(),
                q.seed,
                q.update,
                q.tau,
                q.noise_scale};
    if (q.loss->kind == LossKind::kGiven)
      question.loss =
          given_loss_of(estimator, *q.network, q.loss->batch,
                        run.inputs.floats(q.loss->given, (q.loss->samples + 1) * q.loss->batch), nullptr);
    if (!chain.empty()) upload(run.stream, chain.data(), wanted.chain, n * sizeof(float));
    answer.gradient = gradient.data();
    answer.chain = chain.data();
    answer.losses = losses.data();
    answer.numbers = numbers.data();
    answer.wants_error = wanted.wants_error;
  }

  // The first layer's gradient stays where it was left factored.
  void read(Stream stream, Estimate* result) const {
    if (result->gradient != nullptr)
      download(stream, result->gradient, gradient.data(), gradient.size() * sizeof(float));
    if (!chain.empty()) download(stream, result->chain, chain.data(), chain.size() * sizeof(float));
    if (!losses.empty()) download(stream, result->losses, losses.data(), losses.size() * sizeof(float));
    const EstimateNumbers n = numbers.read(stream)[0];
    result->loss = n.loss;
    result->free_energy = n.free_energy;
    result->effective_sample_size = n.effective_sample_size;
    result->largest_weight = n.largest_weight;
    result->standard_error = n.standard_error;
    result->samples = answer.samples;
  }
};

bool outputs(const Estimator& estimator, const Question& q, const Context& from, Workspace& workspace,
             float* result) {
  Operation run(from);
  workspace.arena.reset();
  run.context.arena = &workspace.arena;
  const size_t batch = q.batches[0].size, samples = sample_count(estimator, *q.network);
  const DeviceArray<float> outputs((samples + 1) * batch * q.network->classes());
  const DeviceBatch rows = run.inputs.batch(q.batches[0]);
  const DeviceQuestion question{q.network,
                                given_loss_of(estimator, *q.network, batch, nullptr, outputs.data()),
                                run.inputs.floats(q.parameters, q.network->parameters()),
                                &rows,
                                1,
                                q.seed,
                                q.update,
                                q.tau,
                                q.noise_scale};
  DeviceEstimate nothing;
  if (!outputs_on_device(estimator, question, run.context, &nothing) || !run.context.go_on()) return false;
  download(run.stream, result, outputs.data(), outputs.size() * sizeof(float));
  return true;
}

bool estimate(const Estimator& estimator, const Question& q, const Context& from, Workspace& workspace,
              Estimate* result) {
  Operation run(from);
  workspace.arena.reset();
  run.context.arena = &workspace.arena;
  Asked asked(run, estimator, q, *result);
  if (!estimate_on_device(estimator, asked.question, run.context, nullptr, &asked.answer)) return false;
  if (!run.context.go_on()) return false;
  asked.read(run.stream, result);
  return true;
}

// A state that the host holds, for as long as an operation takes.
struct HostState {
  DeviceState device;

  HostState(Operation& run, const Optimizer& optimizer, size_t n, const float* parameters,
            float* const* moments)
      : device{run.inputs.floats(parameters, n), {nullptr, nullptr}} {
    for (size_t i = 0; i < optimizer.moments(); i++) device.moments[i] = run.inputs.floats(moments[i], n);
  }
  void read(Stream stream, const Optimizer& optimizer, size_t n, float* parameters,
            float* const* moments) const {
    download(stream, parameters, device.parameters, n * sizeof(float));
    for (size_t i = 0; i < optimizer.moments(); i++)
      download(stream, moments[i], device.moments[i], n * sizeof(float));
  }
};

bool step_of(const Optimizer& optimizer, double rate, uint64_t index, size_t n, const float* gradient,
             float* parameters, float* const* moments, const Context& from) {
  Operation run(from);
  const HostState state(run, optimizer, n, parameters, moments);
  step(run.context, optimizer, rate, index, n, run.inputs.floats(gradient, n), state.device);
  state.read(run.stream, optimizer, n, parameters, moments);
  return true;
}

bool update(const Estimator& estimator, const Optimizer& optimizer, double rate, const Question& q,
            const Context& from, Workspace& workspace, Estimate* result, float* parameters,
            float* const* moments, double* gradient_norm) {
  Operation run(from);
  workspace.arena.reset();
  run.context.arena = &workspace.arena;
  const size_t n = q.network->parameters();
  Asked asked(run, estimator, q, *result);
  const HostState state(run, optimizer, n, parameters, moments);
  asked.question.parameters = state.device.parameters;
  const DeviceArray<double> norm(1);
  if (!update_on_device(estimator, optimizer, rate, asked.question, run.context, &asked.answer, state.device,
                        norm.data()))
    return false;
  asked.read(run.stream, result);
  *gradient_norm = norm.read(run.stream)[0];
  state.read(run.stream, optimizer, n, parameters, moments);
  return true;
}

Workspace* new_workspace() { return new Workspace(); }
void delete_workspace(Workspace* workspace) { delete workspace; }

}  // namespace

std::vector<std::string> available_kernels() {
  std::string why;
  const std::string name = device_name(&why);
  return name.empty() ? std::vector<std::string>() : std::vector<std::string>{name};
}

const Kernels* select_kernels(const std::string& name, std::string* why) {
  std::string reason;
  static const std::string found = device_name(&reason);
  if (found.empty()) device_name(&reason);
  if (!found.empty() && (name.empty() || name == found)) {
    static const Kernels kernels = {found.c_str(), gaussian,        loss_of,       predict,
                                    accuracy,      hessian_product, outputs,       estimate,
                                    step_of,       update,          new_workspace, delete_workspace};
    return &kernels;
  }
  if (why != nullptr)
    *why =
        found.empty() ? reason : "Expected " + found + " for the architecture but received \"" + name + "\"";
  return nullptr;
}

Executor* new_executor(unsigned) { return new Executor(); }
void delete_executor(Executor* executor) { delete executor; }
unsigned executor_threads(const Executor*) { return 1; }

}  // namespace local_entropy
