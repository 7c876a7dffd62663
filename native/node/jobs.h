// Long work off the JavaScript thread: each opened backend has one thread of its own, which computes jobs in
// the order they came. (Node's shared pool would not do: long jobs on it delay file access, and exit waits
// for it.)
//
//     JavaScript thread                        job thread
//     submit(job, done) ── waiting_ ────────▶ job->compute()
//     done(code, message, numbers) ◀── finished_ ┘        (one call of the thread-safe function for each job)
//     collect(job, arrays)                     copies the job's outputs by name, inside `done`
//
// A job is created, delivered and destroyed on the JavaScript thread; the job thread only computes it. There
// is no state but the queues themselves, so any number of worker threads can load the addon.
#pragma once
#include <napi.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "../backend.h"

namespace local_entropy {

// An error with the code by which TypeScript knows it.
Napi::Error coded_error(Napi::Env env, const char* code, const std::string& message);

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
  const char* code_ = nullptr;  // of the failure
  std::string message_;
};

// A backend's job thread with its team and kernels. All methods are for the JavaScript thread.
class JobQueue {
 public:
  JobQueue(Napi::Env env, const Kernels* kernels, unsigned threads);
  ~JobQueue();
  JobQueue(const JobQueue&) = delete;
  JobQueue& operator=(const JobQueue&) = delete;

  // Keeps the process alive until done(code or null, message, numbers) was called.
  void submit(const std::shared_ptr<Job>& job, Napi::Function done);
  // Cancels every job, waits for the one in hand (a block of samples), delivers all. Safe to repeat.
  void close();

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
  size_t pending_ = 0;  // submitted and not delivered
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;                      // under mutex_
  std::deque<std::shared_ptr<Job>> waiting_;   // under mutex_; the front stays until it is computed
  std::deque<std::shared_ptr<Job>> finished_;  // under mutex_
  std::thread thread_;
};

// Handles that JavaScript holds; collected ones free what they hold.
template <class T>
Napi::Value make_handle(Napi::Env env, const std::shared_ptr<T>& held) {
  auto* copy = new std::shared_ptr<T>(held);
  return Napi::External<std::shared_ptr<T>>::New(env, copy,
                                                 [](Napi::Env, std::shared_ptr<T>* held) { delete held; });
}
template <class T>
std::shared_ptr<T>& held_by(Napi::Value handle) {
  return *handle.As<Napi::External<std::shared_ptr<T>>>().Data();
}

// Starts `job` on a queue, and gives JavaScript a handle for `cancel` and `collect`. It does not keep the
// job, whose memory is free as soon as `done` has returned.
Napi::Value start(Napi::Value queue, const std::shared_ptr<Job>& job, Napi::Value done);

// What JavaScript calls.
Napi::Value instruction_sets(const Napi::CallbackInfo& info);  // () → names, best first
Napi::Value open(const Napi::CallbackInfo& info);             // (name, or "" for the best; threads) → queue
Napi::Value instruction_set(const Napi::CallbackInfo& info);  // (queue) → name of the table in use
Napi::Value threads(const Napi::CallbackInfo& info);          // (queue) → how many it has
Napi::Value close(const Napi::CallbackInfo& info);            // (queue)
Napi::Value cancel(const Napi::CallbackInfo& info);           // (job)
Napi::Value collect(const Napi::CallbackInfo& info);  // (job, typed arrays by name) -> how many, in `done`

}  // namespace local_entropy
