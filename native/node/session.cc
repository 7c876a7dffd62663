// Sessions as jobs of their backend's queue; session.h lists what each call answers.
#include "session.h"

#include <optional>

#include "flat-job.h"
#include "jobs.h"

namespace local_entropy {

// Data splits by number: train, test, validation.
constexpr size_t kTrain = 0, kSplits = 3;

// A session that its first job builds, on the job thread: building uses the team, which other jobs use too.
class OwnedSession {
 public:
  OwnedSession(SessionSetup setup, const std::shared_ptr<JobQueue>& queue)
      : batch_rows_(size_t(setup.batch_size) * setup.estimator.batches),
        rows_{setup.train.count, setup.test.count, setup.validation.count},
        labelled_{!setup.train.labels.empty(), !setup.test.labels.empty(), !setup.validation.labels.empty()},
        outputs_(setup.network.classes()),
        given_(setup.loss.kind == LossKind::kGiven),
        network_(setup.network),
        estimator_(setup.estimator),
        queue_(queue),
        executor_(queue->executor()),
        setup_(std::move(setup)) {}

  // On the job thread of its queue, which alone computes with it.
  Session& get() {
    if (setup_) {
      for (const Examples* rows : {&setup_->train, &setup_->test, &setup_->validation})
        if (rows->bytes.size() + rows->floats.size() != rows->count * rows->width)
          throw std::runtime_error("The session has not all of its rows; open a new one");
      session_ = std::make_unique<Session>(std::move(*setup_), &queue_->kernels(), executor_.get());
      setup_.reset();
    }
    if (!session_)
      throw std::runtime_error("The session could not be built in its first call; open a new one");
    return *session_;
  }
  // The next inputs of a split that was opened without; only before the first job, whose thread has them
  // then.
  void add_inputs(size_t split, Napi::Value inputs) {
    if (begun_) throw Failure("ARGUMENT", "The session has begun; its rows are what they are");
    Examples* const splits[] = {&setup_->train, &setup_->test, &setup_->validation};
    append_inputs(*splits[split], inputs);
  }
  // Row numbers that one update takes: batches x B.
  size_t batch_rows() const { return batch_rows_; }
  // Rows of a data split.
  size_t rows(size_t split) const { return rows_[split]; }
  bool labelled(size_t split) const { return labelled_[split]; }
  // Of the network.
  size_t outputs() const { return outputs_; }
  // Whether the loss is given, with each plan.
  bool given() const { return given_; }
  const Network& network() const { return network_; }
  const Estimator& estimator() const { return estimator_; }
  JobQueue& queue() const { return *queue_; }
  void begin() { begun_ = true; }

 private:
  size_t batch_rows_, rows_[kSplits];
  bool labelled_[kSplits];
  size_t outputs_;
  bool given_;
  Network network_;
  Estimator estimator_;
  std::shared_ptr<JobQueue> queue_;
  std::shared_ptr<Executor> executor_;  // before the session, which it outlives: closing takes the queue's
  bool begun_ = false;                  // JavaScript's thread: a job has been made
  std::optional<SessionSetup> setup_;
  std::unique_ptr<Session> session_;
};

template <>
struct HandleKind<std::shared_ptr<OwnedSession>> {
  static constexpr const char* kName = "session";
  static constexpr napi_type_tag kTag{0x1e381e482ef5f92a, 0x146f71bd5be46b06};
};

static std::shared_ptr<OwnedSession> session_of(Napi::Value handle) {
  const auto& session = held_by<std::shared_ptr<OwnedSession>>(handle);
  if (session == nullptr) throw Failure("CLOSED", "The session is closed; open a new one");
  return session;
}

// Rows of a data split, where there are any.
static Examples read_split(Napi::Value from, const Network& network, LossKind loss) {
  if (from.IsUndefined()) return {};
  return FlatJob(from).examples(network, kReads[size_t(loss)], true);
}

static SessionSetup read_setup(const FlatJob& from) {
  SessionSetup setup;
  setup.network = from.network();
  setup.loss = from.loss(setup.network);
  setup.batch_size = from.positive(Scalar::kBatchSize, "batchSize");
  setup.estimator = from.estimator(setup.network);
  setup.optimizer = from.optimizer();
  setup.seed = from.seed();
  const size_t n = setup.network.parameters();
  setup.state.parameters = from.array<float, Floats>("parameters", n);
  setup.state.moments = from.moments(setup.optimizer, n);
  if (from.has("chain")) setup.state.chain = from.array<float, Floats>("chain", n);
  return setup;
}

static Plan read_plan(const FlatJob& from, const OwnedSession& session, bool with_losses) {
  Plan plan;
  plan.first = from.whole(Scalar::kFirst);
  plan.count = from.word(Scalar::kCount);
  plan.rows = from.rows(plan.count, session.batch_rows(), session.rows(kTrain));
  plan.tau = from.array<double>("tau", plan.count);
  plan.noise_scale = from.array<double>("noiseScale", plan.count);
  plan.rate = from.array<double>("rate", plan.count);
  if (with_losses)
    plan.row_losses =
        from.row_losses(session.estimator(), session.network(), session.batch_rows(), plan.count);
  return plan;
}

struct SessionJob : Job {
  std::shared_ptr<OwnedSession> session;
  explicit SessionJob(const std::shared_ptr<OwnedSession>& session) : session(session) { session->begin(); }
};

struct RunJob : SessionJob {
  Plan plan;
  std::vector<double> values;  // count x 4, of which `done` rows are written

  RunJob(const std::shared_ptr<OwnedSession>& session, const FlatJob& from)
      : SessionJob(session), plan(read_plan(from, *session, session->given())) {}

  // A cancelled run is no failure: it answers what was done.
  bool compute(const Kernels&, const Context& context) override {
    values.resize(plan.count * kValues);
    answer(Result::kDone, double(session->get().run(plan, *context.cancelled, values.data())));
    answer(Result::kFinite, session->get().finite() ? 1 : 0);
    answer("values", values);
    return true;
  }
};

struct SessionOutputsJob : SessionJob {
  Plan plan;
  size_t entries;
  std::vector<float> outputs;

  SessionOutputsJob(const std::shared_ptr<OwnedSession>& session, const FlatJob& from)
      : SessionJob(session),
        plan(read_plan(from, *session, false)),
        entries(sampled_rows(session->estimator(), session->network(), session->batch_rows()) *
                session->outputs()) {
    if (plan.count != 1) throw Failure("ARGUMENT", "Expected one update for outputs");
  }

  bool compute(const Kernels&, const Context& context) override {
    outputs.resize(entries);
    answer("output", outputs);
    return session->get().outputs(plan, *context.cancelled, outputs.data());
  }
};

struct SessionAccuracyJob : SessionJob {
  int split;

  SessionAccuracyJob(const std::shared_ptr<OwnedSession>& session, size_t split)
      : SessionJob(session), split(int(split)) {
    if (!session->labelled(split))
      throw Failure("ARGUMENT", "Expected a data split that the session has, with labels");
  }

  bool compute(const Kernels&, const Context& context) override {
    uint64_t correct = 0;
    if (!session->get().accuracy(split, *context.cancelled, &correct)) return false;
    answer(Result::kCorrect, double(correct));
    return true;
  }
};

struct SessionPredictJob : SessionJob {
  int split;
  std::vector<float> outputs;
  std::vector<uint16_t> labels;

  SessionPredictJob(const std::shared_ptr<OwnedSession>& session, size_t split)
      : SessionJob(session), split(int(split)) {
    if (session->rows(split) == 0) throw Failure("ARGUMENT", "Expected a data split that the session has");
  }

  bool compute(const Kernels&, const Context& context) override {
    outputs.resize(session->rows(split) * session->outputs());
    labels.resize(session->rows(split));
    answer("output", outputs);
    return session->get().predict(split, *context.cancelled, outputs.data(), labels.data());
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
  const auto queue = held_by<std::shared_ptr<JobQueue>>(info[0]);
  if (queue->closed()) throw Failure("CLOSED", "The backend is closed; open a new one");
  SessionSetup setup = read_setup(FlatJob(info[1]));
  setup.train = read_split(info[2], setup.network, setup.loss.kind);
  setup.test = read_split(info[3], setup.network, setup.loss.kind);
  setup.validation = read_split(info[4], setup.network, setup.loss.kind);
  return make_handle(info.Env(), std::make_shared<OwnedSession>(std::move(setup), queue));
}

Napi::Value add_inputs(const Napi::CallbackInfo& info) {
  session_of(info[0])->add_inputs(whole_number(info[1], "the data split", kTrain, kSplits - 1), info[2]);
  return info.Env().Undefined();
}

Napi::Value close_session(const Napi::CallbackInfo& info) {
  held_by<std::shared_ptr<OwnedSession>>(info[0]).reset();
  return info.Env().Undefined();
}

Napi::Value run(const Napi::CallbackInfo& info) {
  const auto session = session_of(info[0]);
  return start(session->queue(), std::make_shared<RunJob>(session, FlatJob(info[1], info[2])), info[3]);
}

Napi::Value outputs(const Napi::CallbackInfo& info) {
  const auto session = session_of(info[0]);
  return start(session->queue(), std::make_shared<SessionOutputsJob>(session, FlatJob(info[1], info[2])),
               info[3]);
}

Napi::Value accuracy(const Napi::CallbackInfo& info) {
  const auto session = session_of(info[0]);
  const size_t split = whole_number(info[1], "the data split", kTrain, kSplits - 1);
  return start(session->queue(), std::make_shared<SessionAccuracyJob>(session, split), info[2]);
}

Napi::Value predict_split(const Napi::CallbackInfo& info) {
  const auto session = session_of(info[0]);
  const size_t split = whole_number(info[1], "the data split", kTrain, kSplits - 1);
  return start(session->queue(), std::make_shared<SessionPredictJob>(session, split), info[2]);
}

Napi::Value read(const Napi::CallbackInfo& info) {
  const auto session = session_of(info[0]);
  return start(session->queue(), std::make_shared<ReadJob>(session), info[1]);
}

}  // namespace local_entropy
