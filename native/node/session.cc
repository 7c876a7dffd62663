// Sessions as jobs of their backend's queue; session.h lists what each call answers.
#include "session.h"

#include <optional>

#include "flat-job.h"
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
      for (const Examples* rows : {&setup_->train, &setup_->test, &setup_->validation})
        if (rows->bytes.size() + rows->floats.size() != rows->count * rows->width)
          throw std::runtime_error("The session has not all of its rows; open a new one");
      session_ = std::make_unique<Session>(std::move(*setup_), kernels_, executor_.get());
      setup_.reset();
    }
    if (!session_)
      throw std::runtime_error("The session could not be built in its first call; open a new one");
    return *session_;
  }
  // The next inputs of a split that was opened without; only before the first job.
  void add_inputs(unsigned split, Napi::Value inputs) {
    if (!setup_ || split > 2) throw std::runtime_error("The session has begun; its rows are what they are");
    Examples* const splits[] = {&setup_->train, &setup_->test, &setup_->validation};
    append_inputs(*splits[split], inputs);
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

// Rows of a data split, where there are any.
static Examples read_split(Napi::Value from, size_t width) {
  return from.IsUndefined() ? Examples{} : FlatJob(from).examples(width);
}

static SessionSetup read_setup(const FlatJob& from) {
  SessionSetup setup;
  setup.network = from.network();
  setup.loss = from.loss(setup.network);
  setup.batch_size = from.word(Scalar::kBatchSize);
  setup.estimator = from.estimator();
  setup.optimizer = from.optimizer();
  setup.seed = from.seed();
  const size_t n = setup.network.parameters();
  setup.state.parameters = from.array<float, Floats>("parameters", n);
  setup.state.moments = from.moments(setup.optimizer, n);
  if (from.has("chain")) setup.state.chain = from.array<float, Floats>("chain", n);
  return setup;
}

static Plan read_plan(const FlatJob& from, size_t batch_rows) {
  Plan plan;
  plan.first = from.whole(Scalar::kFirst);
  plan.count = from.word(Scalar::kCount);
  plan.rows = from.array<uint32_t>("rows", plan.count * batch_rows);
  plan.tau = from.array<double>("tau", plan.count);
  plan.noise_scale = from.array<double>("noiseScale", plan.count);
  plan.rate = from.array<double>("rate", plan.count);
  return plan;
}

struct SessionJob : Job {
  std::shared_ptr<OwnedSession> session;
  explicit SessionJob(std::shared_ptr<OwnedSession> session) : session(std::move(session)) {}
};

struct RunJob : SessionJob {
  Plan plan;
  std::vector<double> values;  // count x 4, of which `done` rows are written

  RunJob(const std::shared_ptr<OwnedSession>& session, const FlatJob& from)
      : SessionJob(session), plan(read_plan(from, session->batch_rows())) {}

  // A cancelled run is no failure: it answers what was done.
  bool compute(const Kernels&, const Context& context) override {
    values.resize(plan.count * kValues);
    answer(Result::kDone, double(session->get().run(plan, *context.cancelled, values.data())));
    answer("values", values);
    return true;
  }
};

struct SessionAccuracyJob : SessionJob {
  int split;

  SessionAccuracyJob(const std::shared_ptr<OwnedSession>& session, int split)
      : SessionJob(session), split(split) {}

  bool compute(const Kernels&, const Context& context) override {
    uint64_t correct = 0;
    if (!session->get().accuracy(split, *context.cancelled, &correct)) return false;
    answer(Result::kCorrect, double(correct));
    return true;
  }
};

struct ReadJob : SessionJob {
  SessionState state;

  using SessionJob::SessionJob;

  bool compute(const Kernels&, const Context&) override {
    state = session->get().state();
    answer("parameters", state.parameters);
    answer_moments(state.moments);
    answer("chain", state.chain);
    answer(Result::kChainValid, state.chain.empty() ? 0 : 1);
    return true;
  }
};

Napi::Value open_session(const Napi::CallbackInfo& info) {
  SessionSetup setup = read_setup(FlatJob(info[1]));
  const size_t width = setup.network.layers[0];
  setup.train = read_split(info[2], width);
  setup.test = read_split(info[3], width);
  setup.validation = read_split(info[4], width);
  return make_handle(info.Env(),
                     std::make_shared<OwnedSession>(std::move(setup), *held_by<JobQueue>(info[0])));
}

Napi::Value add_inputs(const Napi::CallbackInfo& info) {
  held_by<OwnedSession>(info[0])->add_inputs(info[1].As<Napi::Number>().Uint32Value(), info[2]);
  return info.Env().Undefined();
}

Napi::Value close_session(const Napi::CallbackInfo& info) {
  held_by<OwnedSession>(info[0]).reset();
  return info.Env().Undefined();
}

Napi::Value run(const Napi::CallbackInfo& info) {
  const auto& session = held_by<OwnedSession>(info[1]);
  return start(info[0], std::make_shared<RunJob>(session, FlatJob(info[2], info[3])), info[4]);
}

Napi::Value accuracy(const Napi::CallbackInfo& info) {
  const auto& session = held_by<OwnedSession>(info[1]);
  const int split = info[2].As<Napi::Number>().Int32Value();
  return start(info[0], std::make_shared<SessionAccuracyJob>(session, split), info[3]);
}

Napi::Value read(const Napi::CallbackInfo& info) {
  return start(info[0], std::make_shared<ReadJob>(held_by<OwnedSession>(info[1])), info[2]);
}

}  // namespace local_entropy
