// The operations beneath a session as jobs; operations.h lists what each one answers. A constructor copies
// the input (JavaScript thread), `compute` calls one kernel (job thread).
#include "operations.h"

#include "inputs.h"
#include "jobs.h"

namespace local_entropy {

template <class Vector>
static Job::Output output(const Vector& vector) {
  return {vector.data(), vector.size() * sizeof(typename Vector::value_type)};
}

// Starts the job that reads info[1].
template <class T>
static Napi::Value start_job(const Napi::CallbackInfo& info) {
  return start(info[0], std::make_shared<T>(info[1].As<Napi::Object>()), info[2]);
}

struct GaussianJob : Job {
  uint64_t seed;
  uint32_t stream, update, sample;
  // JavaScript's array, filled in place: nobody else has it before the job is done.
  Napi::Reference<Napi::Float32Array> kept;
  float* out;
  size_t count;

  explicit GaussianJob(Napi::Object input)
      : seed(read_seed(input)),
        stream(uint32_t(read_number(input, "stream"))),
        update(uint32_t(read_number(input, "update"))),
        sample(uint32_t(read_number(input, "sample"))) {
    auto array = input.Get("out").As<Napi::Float32Array>();
    kept = Napi::Reference<Napi::Float32Array>::New(array, 1);
    out = array.Data();
    count = array.ElementLength();
  }

  bool compute(const Kernels& kernels, const Context& context) override {
    return kernels.gaussian(seed, stream, update, sample, count, context, out);
  }
};

// A network at given parameters, and rows to look at.
struct DenseJob : Job {
  Network network;
  std::vector<float> parameters;
  Examples samples;

  DenseJob(Napi::Object input, Napi::Object rows)
      : network(read_network(input)),
        parameters(read_array<float>(input.Get("parameters"), "parameters", network.parameters())),
        samples(read_examples(rows, network.layers[0])) {}

  Batch batch() const { return {&samples, nullptr, samples.count}; }
};

struct LossJob : DenseJob {
  Loss loss;

  explicit LossJob(Napi::Object input)
      : DenseJob(input, input.Get("batch").As<Napi::Object>()), loss(read_loss(input, network)) {}

  bool compute(const Kernels& kernels, const Context& context) override {
    numbers = {0};
    return kernels.dense_loss(network, loss, parameters.data(), batch(), context, &numbers[0]);
  }
};

struct PredictJob : DenseJob {
  std::vector<float> probabilities;
  std::vector<uint16_t> labels;

  explicit PredictJob(Napi::Object input) : DenseJob(input, input) {}

  bool compute(const Kernels& kernels, const Context& context) override {
    probabilities.resize(samples.count * network.classes());
    labels.resize(samples.count);
    arrays = {output(probabilities), output(labels)};
    return kernels.dense_predict(network, parameters.data(), batch(), context, probabilities.data(),
                                 labels.data());
  }
};

struct CorrectJob : DenseJob {
  explicit CorrectJob(Napi::Object input) : DenseJob(input, input.Get("batch").As<Napi::Object>()) {}

  bool compute(const Kernels& kernels, const Context& context) override {
    uint64_t correct = 0;
    const bool finished = kernels.dense_accuracy(network, parameters.data(), batch(), context, &correct);
    numbers = {double(correct)};
    return finished;
  }
};

struct EstimateJob : Job {
  Network network;
  Loss loss;
  Estimator estimator;
  std::vector<float> parameters, gradient, mean, losses, chain;
  std::vector<Examples> samples;
  uint64_t seed;
  uint32_t update;
  double tau, noise_scale;
  size_t wanted_losses;  // J, where they are asked for

  explicit EstimateJob(Napi::Object input)
      : network(read_network(input)),
        loss(read_loss(input, network)),
        estimator(read_estimator(input.Get("estimator").As<Napi::Object>())),
        parameters(read_array<float>(input.Get("parameters"), "parameters", network.parameters())),
        seed(read_seed(input)),
        update(uint32_t(read_number(input, "update"))),
        tau(read_number(input, "tau")),
        noise_scale(read_number(input, "noiseScale")),
        wanted_losses(size_t(read_number(input, "wantedLosses"))) {
    const auto batches = input.Get("batches").As<Napi::Array>();
    for (uint32_t i = 0; i < batches.Length(); i++) {
      samples.push_back(read_examples(batches.Get(i).As<Napi::Object>(), network.layers[0]));
    }
    if (estimator.kind == Estimator::Kind::kSgld) {
      chain = read_array<float>(input.Get("start"), "start", parameters.size());
    }
  }

  bool compute(const Kernels& kernels, const Context& context) override {
    std::vector<Batch> batches;
    for (const Examples& rows : samples) batches.push_back({&rows, nullptr, rows.count});
    gradient.resize(parameters.size());
    losses.resize(wanted_losses);
    const Question question{&network, &loss, parameters.data(), batches.data(), batches.size(), seed,
                            update,   tau,   noise_scale};
    Estimate answer;
    answer.gradient = gradient.data();
    answer.chain = chain.empty() ? nullptr : chain.data();
    answer.losses = losses.empty() ? nullptr : losses.data();
    answer.wants_error = losses.empty();
    const std::unique_ptr<Workspace, void (*)(Workspace*)> workspace(kernels.new_workspace(),
                                                                     kernels.delete_workspace);
    if (!kernels.estimate(estimator, question, context, *workspace, &answer)) return false;
    write_mean();
    numbers = {answer.loss,           answer.free_energy,    answer.effective_sample_size,
               answer.largest_weight, answer.standard_error, double(answer.samples)};
    arrays = {output(gradient), output(mean), output(losses), output(chain)};
    return true;
  }

  // mean = x - (tau/delta) gradient, eq. 12 of García Trillos, Kaplan, Sanz-Alonso, Entropy 2019.
  void write_mean() {
    const double scale = tau / estimator.temperature;
    mean.resize(parameters.size());
    for (size_t i = 0; i < mean.size(); i++) mean[i] = float(parameters[i] - scale * gradient[i]);
  }
};

struct StepJob : Job {
  Optimizer optimizer;
  double rate;
  uint64_t index;
  std::vector<float> parameters, gradient;
  std::vector<Floats> moments;

  explicit StepJob(Napi::Object input)
      : optimizer(read_optimizer(input)),
        rate(read_number(input, "rate")),
        index(uint64_t(read_number(input, "index"))),
        parameters(read_array<float>(input.Get("parameters"), "parameters", kAnyLength)),
        gradient(read_array<float>(input.Get("gradient"), "gradient", parameters.size())),
        moments(read_moments(input, optimizer, parameters.size())) {}

  bool compute(const Kernels& kernels, const Context& context) override {
    std::vector<float*> places;
    arrays = {output(parameters)};
    for (auto& moment : moments) {
      places.push_back(moment.data());
      arrays.push_back(output(moment));
    }
    return kernels.step(optimizer, rate, index, parameters.size(), gradient.data(), parameters.data(),
                        places.data(), context);
  }
};

Napi::Value gaussian(const Napi::CallbackInfo& info) { return start_job<GaussianJob>(info); }
Napi::Value dense_loss(const Napi::CallbackInfo& info) { return start_job<LossJob>(info); }
Napi::Value dense_predict(const Napi::CallbackInfo& info) { return start_job<PredictJob>(info); }
Napi::Value dense_correct(const Napi::CallbackInfo& info) { return start_job<CorrectJob>(info); }
Napi::Value estimate(const Napi::CallbackInfo& info) { return start_job<EstimateJob>(info); }
Napi::Value step(const Napi::CallbackInfo& info) { return start_job<StepJob>(info); }

}  // namespace local_entropy
