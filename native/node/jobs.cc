// Long work off the JavaScript thread; jobs.h draws the picture.
#include "jobs.h"

#include <cstring>
#include <stdexcept>

#include "flat-job.h"

namespace local_entropy {

// As src/options has it.
constexpr unsigned kMostThreads = 1024;

JobQueue::JobQueue(Napi::Env env, const Kernels* kernels, unsigned threads)
    : env_(env), kernels_(kernels), executor_(new_executor(threads), delete_executor) {
  const napi_value name = Napi::String::New(env, "local-entropy");
  const napi_status status = napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr,
                                                             nullptr, this, on_finished, &notify_);
  if (status != napi_ok) throw std::runtime_error("Node made no thread-safe function for the backend");
  napi_unref_threadsafe_function(env, notify_);
  // Hooks run last in, first out: before the thread-safe function's own, which the job thread must not
  // outlive.
  napi_add_env_cleanup_hook(env, on_environment_end, this);
  try {
    thread_ = std::thread(&JobQueue::work, this);
  } catch (const std::system_error&) {
    release();
    throw std::runtime_error("The system allows this process no further thread");
  }
}

JobQueue::~JobQueue() {
  if (notify_ == nullptr) return;
  stop();
  release();
}

uint64_t JobQueue::submit(std::shared_ptr<Job> job, Napi::Function done) {
  if (closed_) throw Failure("CLOSED", "The backend is closed; open a new one");
  job->done_ = Napi::Persistent(done);
  const uint64_t number = job->number_ = ++submitted_;
  std::list<std::shared_ptr<Job>> added;
  added.push_back(std::move(job));
  if (pending_++ == 0) {
    napi_ref_threadsafe_function(env_, notify_);
    alive_ = shared_from_this();
  }
  {
    std::lock_guard<std::mutex> lock(mutex_);
    waiting_.splice(waiting_.end(), added);
  }
  wake_.notify_one();
  return number;
}

void JobQueue::cancel(uint64_t number) {
  std::lock_guard<std::mutex> lock(mutex_);
  for (const auto& job : waiting_)
    if (job->number_ == number) job->cancelled = true;
}

void JobQueue::work() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    Job& job = *waiting_.front();
    lock.unlock();
    compute(job);
    lock.lock();
    finished_.splice(finished_.end(), waiting_, waiting_.begin());
    napi_call_threadsafe_function(notify_, nullptr, napi_tsfn_nonblocking);
  }
}

void JobQueue::compute(Job& job) {
  try {
    const Context context{executor_.get(), &job.cancelled};
    job.complete_ = !job.cancelled && job.compute(*kernels_, context);
  } catch (...) {
    job.failure_ = std::current_exception();
  }
}

// Cancels all, and ends the thread. Safe to repeat.
void JobQueue::stop() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    for (const auto& job : waiting_) job->cancelled = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void JobQueue::close() {
  if (closed_) return;
  closed_ = true;
  stop();
  std::exception_ptr thrown;
  while (!finished_.empty()) {  // the job thread has ended
    try {
      deliver_one();
    } catch (...) {
      if (!thrown) thrown = std::current_exception();
    }
  }
  release();
  if (thrown) std::rethrow_exception(thrown);
}

void JobQueue::release() {
  napi_remove_env_cleanup_hook(env_, on_environment_end, this);
  napi_release_threadsafe_function(notify_, napi_tsfn_abort);
  notify_ = nullptr;
  executor_.reset();
}

// The environment ends (exit of a worker thread or of the process): nobody is left to be told. The
// thread-safe function is closed by its own hook, which runs next.
void JobQueue::on_environment_end(void* data) {
  auto* queue = static_cast<JobQueue*>(data);
  const std::shared_ptr<JobQueue> alive = std::move(queue->alive_);
  queue->closed_ = true;
  queue->stop();
  queue->finished_.clear();
  queue->executor_.reset();
  queue->notify_ = nullptr;
}

void JobQueue::on_finished(napi_env env, napi_value, void* queue, void*) {
  if (env == nullptr) return;  // the function is being closed; the queue may be gone
  try {
    static_cast<JobQueue*>(queue)->deliver_one();
  } catch (const Napi::Error& error) {
    error.ThrowAsJavaScriptException();
  }
}

Napi::Object numbers_of(Napi::Env env, const Job& job) {
  const Napi::Object numbers = Napi::Object::New(env);
  for (const auto& [name, value] : job.numbers) numbers.Set(kResultNames[size_t(name)], value);
  return numbers;
}

void JobQueue::deliver_one() {
  std::shared_ptr<JobQueue> alive;  // the last to go
  std::list<std::shared_ptr<Job>> delivered;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (finished_.empty()) return;  // delivered by close()
    delivered.splice(delivered.end(), finished_, finished_.begin());
  }
  Job& job = *delivered.front();
  if (--pending_ == 0) {
    napi_unref_threadsafe_function(env_, notify_);
    alive = std::move(alive_);
  }
  const Napi::Env env = env_;
  const Napi::HandleScope scope(env);
  const Napi::Object numbers = numbers_of(env, job);
  // `done` may close the queue, which delivers others meanwhile.
  struct Delivery {
    JobQueue* queue;
    const Job* before;
    ~Delivery() { queue->delivered_ = before; }
  } const delivery{this, delivered_};
  delivered_ = &job;
  const auto call = [&](Napi::Value code, const char* message) {
    job.done_.Call({code, Napi::String::New(env, message), numbers});
  };
  if (job.complete_) return call(env.Null(), "");
  if (!job.failure_) return call(Napi::String::New(env, "CANCELLED"), "");
  told(job.failure_,
       [&](const char* code, const char* message) { call(Napi::String::New(env, code), message); });
}

Napi::Value start(JobQueue& queue, const std::shared_ptr<Job>& job, Napi::Value done) {
  if (!done.IsFunction()) throw Failure("ARGUMENT", "Expected a function to call when the job is done");
  return Napi::Number::New(done.Env(), double(queue.submit(job, done.As<Napi::Function>())));
}

size_t copy_outputs(const Job& job, Napi::Value into) {
  if (!into.IsObject()) throw Failure("ARGUMENT", "Expected an object for the arrays");
  const auto arrays = into.As<Napi::Object>();
  size_t copied = 0;
  for (const Job::Output& output : job.arrays) {
    const Napi::Value wanted = arrays.Get(output.name);
    if (wanted.IsUndefined()) continue;
    const View view = view_of(wanted, output.name);
    if (view.bytes() != output.bytes) {
      throw Failure("ARRAY_LENGTH", "Expected " + std::to_string(output.bytes) + " bytes for the output " +
                                        output.name + " but received " + std::to_string(view.bytes()) +
                                        "; a detached array has none");
    }
    copied++;
    if (output.bytes > 0) std::memcpy(view.data, output.data, output.bytes);
  }
  return copied;
}

static std::shared_ptr<JobQueue> queue_of(Napi::Value handle) {
  return held_by<std::shared_ptr<JobQueue>>(handle);
}

Napi::Value instruction_sets(const Napi::CallbackInfo& info) {
  const std::vector<std::string> names = available_kernels();
  const Napi::Array result = Napi::Array::New(info.Env(), names.size());
  for (size_t i = 0; i < names.size(); i++) result.Set(uint32_t(i), names[i]);
  return result;
}

const Kernels* kernels_named(Napi::Value name) {
  if (!name.IsString()) throw Failure("ARGUMENT", "Expected a string for the instruction set");
  std::string why;
  const Kernels* kernels = select_kernels(name.As<Napi::String>(), &why);
  if (kernels == nullptr) throw Failure("INSTRUCTION_SET", why);
  return kernels;
}

Napi::Value open(const Napi::CallbackInfo& info) {
  const Kernels* kernels = kernels_named(info[0]);
  const auto threads = unsigned(whole_number(info[1], "threads", 1, kMostThreads));
  return make_handle(info.Env(), std::make_shared<JobQueue>(info.Env(), kernels, threads));
}

Napi::Value instruction_set(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), queue_of(info[0])->kernels().name);
}

Napi::Value threads(const Napi::CallbackInfo& info) {
  const auto queue = queue_of(info[0]);
  if (queue->closed()) throw Failure("CLOSED", "The backend is closed; open a new one");
  return Napi::Number::New(info.Env(), executor_threads(queue->executor().get()));
}

Napi::Value close(const Napi::CallbackInfo& info) {
  queue_of(info[0])->close();
  return info.Env().Undefined();
}

Napi::Value cancel(const Napi::CallbackInfo& info) {
  queue_of(info[0])->cancel(whole_number(info[1], "a job", 1, (uint64_t(1) << 53) - 1));
  return info.Env().Undefined();
}

Napi::Value collect(const Napi::CallbackInfo& info) {
  const auto queue = queue_of(info[0]);
  const Job* job = queue->delivered();
  if (job == nullptr)
    throw Failure("FAILED", "Outputs are collected inside `done` only, of a job that was not cancelled");
  const size_t copied = copy_outputs(*job, info[1]);
  return Napi::Number::New(info.Env(), double(copied));
}

}  // namespace local_entropy
