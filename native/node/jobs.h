// Long work off the JavaScript thread: each opened backend has one thread of its own, which computes jobs in
// the order they came. (Node's shared pool would not do: long jobs on it delay file access, and exit waits
// for it.)
//
//     JavaScript thread                        job thread
//     submit(job, done) ── waiting_ ────────▶ job->compute()
//     done(code, message, numbers) ◀── finished_ ┘        (one call of the thread-safe function for each job)
//     collect(arrays)                          copies that job's outputs by name, inside `done`
//
// A job is created, delivered and destroyed on the JavaScript thread; the job thread only computes it. There
// is no state but the queues themselves, so any number of worker threads can load the addon.
//
// Who owns whom, so that no thread outlives its environment, after which Node unloads the addon: a queue owns
// its threads and its waiting jobs; a handle (handle.h) owns its queue or its session, a session its queue,
// and a queue with jobs under way itself. All of that ends on the JavaScript thread: when the handles are
// collected, or at the latest when the environment ends.
#pragma once
#include <napi.h>

#include <atomic>
#include <condition_variable>
#include <exception>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "../backend.h"
#include "handle.h"

namespace local_entropy {

// One piece of work: its inputs, copied before the call returned, and its outputs.
class Job {
 public:
  virtual ~Job() = default;
  // On the job thread. Gives its answers; false if cancelled.
  virtual bool compute(const Kernels& kernels, const Context& context) = 0;

  // A result, which `done` receives by name.
  void answer(Result name, double value) { numbers.emplace_back(name, value); }
  // An array, which `collect` copies by name: a place inside the job.
  template <class Vector>
  void answer(const char* name, const Vector& vector) {
    arrays.push_back({name, vector.data(), vector.size() * sizeof(typename Vector::value_type)});
  }
  void answer_moments(const std::vector<Floats>& moments) {
    constexpr const char* names[] = {"moment1", "moment2"};
    for (size_t i = 0; i < moments.size(); i++) answer(names[i], moments[i]);
  }

  std::vector<std::pair<Result, double>> numbers;
  struct Output {
    const char* name;
    const void* data;
    size_t bytes;
  };
  std::vector<Output> arrays;
  std::atomic<bool> cancelled{false};

 private:
  friend class JobQueue;
  Napi::FunctionReference done_;
  uint64_t number_ = 0;         // among the jobs of its queue
  bool complete_ = false;       // computed, and not cancelled
  std::exception_ptr failure_;  // kept as it is: to put it into words takes memory
};

// A backend's job thread with its team and kernels. All methods are for the JavaScript thread.
class JobQueue : public std::enable_shared_from_this<JobQueue> {
 public:
  JobQueue(Napi::Env env, const Kernels* kernels, unsigned threads);
  ~JobQueue();
  JobQueue(const JobQueue&) = delete;
  JobQueue& operator=(const JobQueue&) = delete;

  // Keeps the process and the queue alive until done(code or null, message, numbers) was called. The job's
  // number, from 1.
  uint64_t submit(std::shared_ptr<Job> job, Napi::Function done);
  // A number that no job has any more, or never had, is none's.
  void cancel(uint64_t number);
  // The complete job whose `done` is being called, or null: only then nobody else touches its answers.
  const Job* delivered() const {
    return delivered_ != nullptr && delivered_->complete_ ? delivered_ : nullptr;
  }
  // Cancels every job, waits for the one in hand (a block of samples), delivers all. Safe to repeat, also by
  // what is called meanwhile; what that throws is thrown when all is delivered.
  void close();

  bool closed() const { return closed_; }
  const Kernels& kernels() const { return *kernels_; }
  // Sessions share the team, so that it outlives them.
  std::shared_ptr<Executor> executor() const { return executor_; }

 private:
  void work();
  void compute(Job& job);
  void stop();
  void release();
  void deliver_one();
  static void on_finished(napi_env env, napi_value, void* queue, void*);
  static void on_environment_end(void* queue);

  Napi::Env env_;
  const Kernels* kernels_;
  std::shared_ptr<Executor> executor_;
  napi_threadsafe_function notify_ = nullptr;
  bool closed_ = false;              // or its environment has ended
  uint64_t submitted_ = 0;           // so far
  size_t pending_ = 0;               // submitted and not delivered
  const Job* delivered_ = nullptr;   // at the moment
  std::shared_ptr<JobQueue> alive_;  // itself, while jobs are pending
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;  // under mutex_
  // Lists, between which a job moves without memory that might be missing.
  std::list<std::shared_ptr<Job>> waiting_;   // under mutex_; the front stays until it is computed
  std::list<std::shared_ptr<Job>> finished_;  // under mutex_
  std::thread thread_;
};

template <>
struct HandleKind<std::shared_ptr<JobQueue>> {
  static constexpr const char* kName = "backend";
  static constexpr napi_type_tag kTag{0x6af437354ff9c8d5, 0x9e614a047aa90273};
};

// Starts `job` on a queue, and gives JavaScript its number, for `cancel`.
Napi::Value start(JobQueue& queue, const std::shared_ptr<Job>& job, Napi::Value done);

// The kernels for an instruction set, or for "" the best; a Failure where they do not run here.
const Kernels* kernels_named(Napi::Value name);
// A computed job's results by name.
Napi::Object numbers_of(Napi::Env env, const Job& job);
// Copies its outputs into an object's typed arrays of their names and lengths; how many.
size_t copy_outputs(const Job& job, Napi::Value into);

// What JavaScript calls.
Napi::Value instruction_sets(const Napi::CallbackInfo& info);  // () → names, best first
Napi::Value open(const Napi::CallbackInfo& info);             // (name, or "" for the best; threads) → queue
Napi::Value instruction_set(const Napi::CallbackInfo& info);  // (queue) → name of the table in use
Napi::Value threads(const Napi::CallbackInfo& info);          // (queue) → how many it has
Napi::Value close(const Napi::CallbackInfo& info);            // (queue)
Napi::Value cancel(const Napi::CallbackInfo& info);           // (queue, job)
Napi::Value collect(const Napi::CallbackInfo& info);  // (queue, typed arrays by name) -> how many, in `done`

}  // namespace local_entropy
