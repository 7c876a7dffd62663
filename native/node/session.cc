// Sessions as jobs of their backend's queue; session.h lists what each call answers.
#include "session.h"

#include <optional>

#include "inputs.h"
#include "jobs.h"

namespace local_entropy {

// A session that its first job builds, on the job thread: building uses the team, which other jobs use too.
class OwnedSession {
 public:
  OwnedSession(SessionSetup setup, const JobQueue& queue)
      : batch_rows_(size_t(setup.batch_size) * setup.estimator.batches),
        executor_(queue.executor()),
        kernels_(&queue.kernels()),
        setup_(std::move(setup)) {}

  Session& get() {
    if (setup_) {
      session_ = std::make_unique<Session>(std::move(*setup_), kernels_, executor_.get());
      setup_.reset();
    }
    if (!session_)
      throw std::runtime_error("The session could not be built in its first call; open a new one");
    return *session_;
  }
  // Row numbers that one update takes: batches x B.
  size_t batch_rows() const { return batch_rows_; }

 private:
  size_t batch_rows_;
  std::shared_ptr<Executor> executor_;  // before the session, which it outlives
  const Kernels* kernels_;
  std::optional<SessionSetup> setup_;
  std::unique_ptr<Session> session_;
};

static Examples read_split(Napi::Object data, const char* split, size_t width) {
  const Napi::Value from = data.Get(split);
  return from.IsUndefined() ? Examples{} : read_examples(from.As<Napi::Object>(), width);
}

static SessionState read_state(Napi::Object from, const Network& network, const Optimizer& optimizer) {
  SessionState state;
  const size_t n = network.parameters();
  state.parameters = read_array<float, Floats>(from.Get("parameters"), "state.parameters", n);
  state.moments = read_moments(from, optimizer, n);
  if (!from.Get("chain").IsNull())
    state.chain = read_array<float, Floats>(from.Get("chain"), "state.chain", n);
  return state;
}

static SessionSetup read_setup(Napi::Object from) {
  SessionSetup setup;
  setup.network = read_network(from);
  setup.loss = read_loss(from, setup.network);
  const auto data = from.Get("data").As<Napi::Object>();
  const size_t width = setup.network.layers[0];
  setup.train = read_split(data, "train", width);
  setup.test = read_split(data, "test", width);
  setup.validation = read_split(data, "validation", width);
  setup.batch_size = uint32_t(read_number(from, "batchSize"));
  setup.estimator = read_estimator(from.Get("estimator").As<Napi::Object>());
  setup.optimizer = read_optimizer(from);
  setup.seed = read_seed(from);
  setup.state = read_state(from.Get("state").As<Napi::Object>(), setup.network, setup.optimizer);
  return setup;
}

static Plan read_plan(Napi::Object from, size_t batch_rows) {
  Plan plan;
  plan.first = uint64_t(read_number(from, "first"));
  plan.count = uint32_t(read_number(from, "count"));
  plan.rows = read_array<uint32_t>(from.Get("rows"), "rows", plan.count * batch_rows);
  plan.tau = read_array<double>(from.Get("tau"), "tau", plan.count);
  plan.noise_scale = read_array<double>(from.Get("noiseScale"), "noiseScale", plan.count);
  plan.rate = read_array<double>(from.Get("rate"), "rate", plan.count);
  return plan;
}

struct SessionJob : Job {
  std::shared_ptr<OwnedSession> session;
  explicit SessionJob(std::shared_ptr<OwnedSession> session) : session(std::move(session)) {}
};

struct RunJob : SessionJob {
  Plan plan;
  std::vector<double> values;  // count x 4, of which `done` rows are written

  RunJob(const std::shared_ptr<OwnedSession>& session, Napi::Object plan)
      : SessionJob(session), plan(read_plan(plan, session->batch_rows())) {}

  // A cancelled run is no failure: it answers what was done.
  bool compute(const Kernels&, const Context& context) override {
    values.resize(plan.count * kValues);
    const size_t done = session->get().run(plan, *context.cancelled, values.data());
    numbers = {double(done)};
    arrays = {{values.data(), done * kValues * sizeof(double)}};
    return true;
  }
};

struct AccuracyJob : SessionJob {
  int split;

  AccuracyJob(const std::shared_ptr<OwnedSession>& session, int split) : SessionJob(session), split(split) {}

  bool compute(const Kernels&, const Context& context) override {
    numbers = {0};
    return session->get().accuracy(split, *context.cancelled, &numbers[0]);
  }
};

struct ReadJob : SessionJob {
  SessionState state;

  using SessionJob::SessionJob;

  bool compute(const Kernels&, const Context&) override {
    state = session->get().state();
    const auto add = [&](const Floats& v) { arrays.push_back({v.data(), v.size() * sizeof(float)}); };
    add(state.parameters);
    add(state.chain);
    for (const auto& moment : state.moments) add(moment);
    numbers = {state.chain.empty() ? 0.0 : 1.0, double(state.moments.size())};
    return true;
  }
};

Napi::Value open_session(const Napi::CallbackInfo& info) {
  SessionSetup setup = read_setup(info[1].As<Napi::Object>());
  return make_handle(info.Env(),
                     std::make_shared<OwnedSession>(std::move(setup), *held_by<JobQueue>(info[0])));
}

Napi::Value close_session(const Napi::CallbackInfo& info) {
  held_by<OwnedSession>(info[0]).reset();
  return info.Env().Undefined();
}

Napi::Value run(const Napi::CallbackInfo& info) {
  const auto& session = held_by<OwnedSession>(info[1]);
  return start(info[0], std::make_shared<RunJob>(session, info[2].As<Napi::Object>()), info[3]);
}

Napi::Value accuracy(const Napi::CallbackInfo& info) {
  const int split = info[2].As<Napi::Number>().Int32Value();
  return start(info[0], std::make_shared<AccuracyJob>(held_by<OwnedSession>(info[1]), split), info[3]);
}

Napi::Value read(const Napi::CallbackInfo& info) {
  return start(info[0], std::make_shared<ReadJob>(held_by<OwnedSession>(info[1])), info[2]);
}

}  // namespace local_entropy
