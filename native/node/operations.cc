// The operations beneath a session as jobs. A constructor copies the input (JavaScript thread), `compute`
// calls one kernel (job thread).
#include "operations.h"

#include <numeric>

#include "flat-job.h"
#include "jobs.h"

namespace local_entropy {

namespace {

struct GaussianJob : Job {
  uint64_t seed;
  uint32_t stream, update, sample;
  Napi::ObjectReference kept;  // JavaScript's array, filled in place
  float* out;
  size_t count;

  explicit GaussianJob(const FlatJob& from)
      : seed(from.seed()),
        stream(from.word(Scalar::kStream)),
        update(uint32_t(from.whole(Scalar::kFirst))),
        sample(from.word(Scalar::kSample)) {
    View view;
    kept = Napi::Persistent(from.floats_in_place("output", &view));
    out = static_cast<float*>(view.data);
    count = view.length;
  }

  bool compute(const Kernels& kernels, const Context& context) override {
    return kernels.gaussian(seed, stream, update, sample, count, context, out);
  }
};

// A network at given parameters, and rows to look at.
struct DenseJob : Job {
  Network network;
  std::vector<float> parameters;
  Examples examples;

  DenseJob(const FlatJob& from, Reads read)
      : network(from.network()),
        parameters(from.array<float>("parameters", network.parameters())),
        examples(from.examples(network, read)) {}

  Batch batch() const { return {&examples, nullptr, examples.count}; }
};

struct LossJob : DenseJob {
  Loss loss;

  explicit LossJob(const FlatJob& from) : DenseJob(from, from.read_by_loss()), loss(from.loss(network)) {
    if (loss.kind == LossKind::kGiven)
      throw Failure("ARGUMENT", "Expected a loss that rows have by themselves");
  }

  bool compute(const Kernels& kernels, const Context& context) override {
    double value = 0;
    if (!kernels.dense_loss(network, loss, parameters.data(), batch(), context, &value)) return false;
    answer(Result::kLoss, value);
    return true;
  }
};

struct PredictJob : DenseJob {
  LossKind kind;
  std::vector<float> outputs;
  std::vector<uint16_t> labels;

  explicit PredictJob(const FlatJob& from) : DenseJob(from, Reads::kNothing), kind(from.loss_kind()) {}

  bool compute(const Kernels& kernels, const Context& context) override {
    outputs.resize(examples.count * network.classes());
    labels.resize(examples.count);
    answer("output", outputs);
    answer("outputLabels", labels);
    return kernels.dense_predict(network, kind, parameters.data(), batch(), context, outputs.data(),
                                 labels.data());
  }
};

struct AccuracyJob : DenseJob {
  explicit AccuracyJob(const FlatJob& from) : DenseJob(from, Reads::kLabels) {}

  bool compute(const Kernels& kernels, const Context& context) override {
    uint64_t correct = 0;
    if (!kernels.dense_accuracy(network, parameters.data(), batch(), context, &correct)) return false;
    answer(Result::kCorrect, double(correct));
    return true;
  }
};

struct HessianProductJob : DenseJob {
  std::vector<float> vector, product;

  explicit HessianProductJob(const FlatJob& from)
      : DenseJob(from, Reads::kLabels), vector(from.array<float>("vector", parameters.size())) {}

  bool compute(const Kernels& kernels, const Context& context) override {
    product.resize(parameters.size());
    answer("output", product);
    return kernels.hessian_product(network, parameters.data(), vector.data(), batch(), context,
                                   product.data());
  }
};

// No entries, with room for so many: none of it is touched before all else is known to be right.
std::vector<float> room_for(size_t entries) {
  std::vector<float> none;
  none.reserve(entries);
  return none;
}

struct EstimateJob : DenseJob {
  std::vector<float> losses;  // first: more of them than there is memory is told as that
  Loss loss;
  Estimator estimator;
  std::vector<float> gradient, chain, row_losses;
  uint64_t seed;
  uint32_t update;
  double tau, noise_scale;
  bool wants_error;

  explicit EstimateJob(const FlatJob& from)
      : DenseJob(from, from.read_by_loss()),
        losses(room_for(size_t(from.whole(Scalar::kEntries)))),
        loss(from.loss(network)),
        estimator(from.estimator(network)),
        seed(from.seed()),
        update(uint32_t(from.whole(Scalar::kFirst))),
        tau(from.array<double>("tau", 1)[0]),
        noise_scale(from.array<double>("noiseScale", 1)[0]),
        wants_error(from.flag(Scalar::kWantsError)) {
    if (estimator.kind == EstimatorKind::kSgld) chain = from.array<float>("chain", parameters.size());
    if (examples.count % estimator.batches != 0)
      throw Failure("ARGUMENT", "Expected batches of as many rows each for inputs");
    const size_t entries = from.whole(Scalar::kEntries), samples = sample_count(estimator, network);
    if (entries != 0 && entries != samples)
      throw Failure("ARGUMENT", "Expected " + std::to_string(samples) + " losses, one a sample, or none");
    losses.resize(entries);
    if (loss.kind != LossKind::kGiven) return;
    row_losses = from.row_losses(estimator, network, examples.count, 1);
    loss.given = row_losses.data();
    loss.samples = samples;
    loss.batch = examples.count;
  }

  bool compute(const Kernels& kernels, const Context& context) override {
    // One batch is all rows; several are as many rows each, one behind the other.
    std::vector<uint32_t> rows(estimator.batches > 1 ? examples.count : 0);
    std::iota(rows.begin(), rows.end(), 0);
    std::vector<Batch> batches;
    const size_t size = examples.count / estimator.batches;
    for (size_t i = 0; i < estimator.batches; i++)
      batches.push_back({&examples, rows.empty() ? nullptr : rows.data() + i * size, size});
    gradient.resize(parameters.size());
    const Question question{&network, &loss, parameters.data(), batches.data(), batches.size(), seed,
                            update,   tau,   noise_scale};
    Estimate estimate;
    estimate.gradient = gradient.data();
    estimate.chain = chain.empty() ? nullptr : chain.data();
    estimate.losses = losses.empty() ? nullptr : losses.data();
    estimate.wants_error = wants_error;
    const std::unique_ptr<Workspace, void (*)(Workspace*)> workspace(kernels.new_workspace(),
                                                                     kernels.delete_workspace);
    if (!kernels.estimate(estimator, question, context, *workspace, &estimate)) return false;
    answer(Result::kLoss, estimate.loss);
    answer(Result::kFreeEnergy, estimate.free_energy);
    answer(Result::kEffectiveSampleSize, estimate.effective_sample_size);
    answer(Result::kLargestWeight, estimate.largest_weight);
    answer(Result::kStandardError, estimate.standard_error);
    answer("gradient", gradient);
    answer("losses", losses);
    answer("chain", chain);
    return true;
  }
};

struct OutputsJob : DenseJob {
  Estimator estimator;
  size_t entries;
  std::vector<float> outputs;
  uint64_t seed;
  uint32_t update;
  double tau, noise_scale;

  explicit OutputsJob(const FlatJob& from)
      : DenseJob(from, Reads::kNothing),
        estimator(from.estimator(network)),
        entries(sampled_rows(estimator, network, examples.count) * network.classes()),
        outputs(room_for(entries)),
        seed(from.seed()),
        update(uint32_t(from.whole(Scalar::kFirst))),
        tau(from.array<double>("tau", 1)[0]),
        noise_scale(from.array<double>("noiseScale", 1)[0]) {}

  bool compute(const Kernels& kernels, const Context& context) override {
    const Batch rows = batch();
    outputs.resize(entries);
    const Question question{&network, nullptr, parameters.data(), &rows, 1, seed, update, tau, noise_scale};
    const std::unique_ptr<Workspace, void (*)(Workspace*)> workspace(kernels.new_workspace(),
                                                                     kernels.delete_workspace);
    answer("output", outputs);
    return kernels.outputs(estimator, question, context, *workspace, outputs.data());
  }
};

struct StepJob : Job {
  Optimizer optimizer;
  double rate;
  uint64_t index;
  std::vector<float> parameters, gradient;
  std::vector<Floats> moments;

  explicit StepJob(const FlatJob& from)
      : optimizer(from.optimizer()),
        rate(from.array<double>("rate", 1)[0]),
        index(from.whole(Scalar::kFirst) + 1),
        parameters(from.array<float>("parameters")),
        gradient(from.array<float>("gradient", parameters.size())),
        moments(from.moments(optimizer, parameters.size())) {}

  bool compute(const Kernels& kernels, const Context& context) override {
    std::vector<float*> places;
    for (auto& moment : moments) places.push_back(moment.data());
    answer("parameters", parameters);
    answer_moments(moments);
    return kernels.step(optimizer, rate, index, parameters.size(), gradient.data(), parameters.data(),
                        places.data(), context);
  }
};

std::shared_ptr<Job> job_of(const FlatJob& from) {
  switch (from.operation()) {
    case OperationKind::kGaussian:
      return std::make_shared<GaussianJob>(from);
    case OperationKind::kLoss:
      return std::make_shared<LossJob>(from);
    case OperationKind::kPredict:
      return std::make_shared<PredictJob>(from);
    case OperationKind::kAccuracy:
      return std::make_shared<AccuracyJob>(from);
    case OperationKind::kEstimate:
      return std::make_shared<EstimateJob>(from);
    case OperationKind::kStep:
      return std::make_shared<StepJob>(from);
    case OperationKind::kHessianProduct:
      return std::make_shared<HessianProductJob>(from);
    case OperationKind::kOutputs:
      return std::make_shared<OutputsJob>(from);
    case OperationKind::kRun:
      break;
  }
  throw Failure("UNKNOWN_KIND", "Updates are run by a session");
}

}  // namespace

Napi::Value start_operation(const Napi::CallbackInfo& info) {
  const auto queue = held_by<std::shared_ptr<JobQueue>>(info[0]);
  return start(*queue, job_of(FlatJob(info[1], info[2])), info[3]);
}

Napi::Value answer_at_once(const Napi::CallbackInfo& info) {
  const Kernels* kernels = kernels_named(info[0]);
  const std::shared_ptr<Job> job = job_of(FlatJob(info[1], info[2]));
  const std::unique_ptr<Executor, void (*)(Executor*)> executor(new_executor(1), delete_executor);
  const Context context{executor.get(), &job->cancelled};
  if (!job->compute(*kernels, context)) throw Failure("CANCELLED", "The question was not answered");
  copy_outputs(*job, info[3]);
  return numbers_of(info.Env(), *job);
}

}  // namespace local_entropy
