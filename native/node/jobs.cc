// Long work off the JavaScript thread; jobs.h draws the picture.
#include "jobs.h"

#include <cstring>
#include <new>
#include <stdexcept>
#include <system_error>

namespace local_entropy {

Napi::Error coded_error(Napi::Env env, const char* code, const std::string& message) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", code);
  return error;
}

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

void JobQueue::submit(const std::shared_ptr<Job>& job, Napi::Function done) {
  if (notify_ == nullptr) throw coded_error(env_, "CLOSED", "The backend is closed");
  job->done_ = Napi::Persistent(done);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    waiting_.push_back(job);
  }
  if (pending_++ == 0) napi_ref_threadsafe_function(env_, notify_);
  wake_.notify_one();
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
    finished_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
    napi_call_threadsafe_function(notify_, nullptr, napi_tsfn_nonblocking);
  }
}

void JobQueue::compute(Job& job) {
  try {
    const Context context{executor_.get(), &job.cancelled};
    if (job.cancelled || !job.compute(*kernels_, context)) job.code_ = "CANCELLED";
  } catch (const std::bad_alloc&) {
    job.code_ = "OUT_OF_MEMORY";
    job.message_ = "The machine has not enough memory for this call";
  } catch (const std::length_error&) {
    job.code_ = "OUT_OF_MEMORY";
    job.message_ = "This call asks for more memory than any machine has";
  } catch (const std::exception& error) {
    job.code_ = "FAILED";
    job.message_ = error.what();
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
  if (notify_ == nullptr) return;
  stop();
  while (pending_ > 0) deliver_one();
  release();
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
  queue->stop();
  queue->finished_.clear();
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

void JobQueue::deliver_one() {
  std::shared_ptr<Job> job;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (finished_.empty()) return;  // delivered by close()
    job = std::move(finished_.front());
    finished_.pop_front();
  }
  if (--pending_ == 0) napi_unref_threadsafe_function(env_, notify_);
  const Napi::HandleScope scope(env_);
  const Napi::Object numbers = Napi::Object::New(env_);
  for (const auto& [name, value] : job->numbers) numbers.Set(kResultNames[size_t(name)], value);
  const Napi::Value code = job->code_ ? Napi::String::New(env_, job->code_) : env_.Null();
  const Napi::FunctionReference done = std::move(job->done_);
  done.Call({code, Napi::String::New(env_, job->message_), numbers});
}

Napi::Value start(Napi::Value queue, const std::shared_ptr<Job>& job, Napi::Value done) {
  held_by<JobQueue>(queue)->submit(job, done.As<Napi::Function>());
  using Handle = std::weak_ptr<Job>;
  return Napi::External<Handle>::New(queue.Env(), new Handle(job), [](Napi::Env, Handle* h) { delete h; });
}

static std::shared_ptr<Job> job_of(const Napi::Value& handle) {
  return handle.As<Napi::External<std::weak_ptr<Job>>>().Data()->lock();
}

Napi::Value instruction_sets(const Napi::CallbackInfo& info) {
  const std::vector<std::string> names = available_kernels();
  const Napi::Array result = Napi::Array::New(info.Env(), names.size());
  for (size_t i = 0; i < names.size(); i++) result.Set(uint32_t(i), names[i]);
  return result;
}

Napi::Value open(const Napi::CallbackInfo& info) {
  std::string why;
  const Kernels* kernels = select_kernels(info[0].As<Napi::String>(), &why);
  if (kernels == nullptr) throw coded_error(info.Env(), "INSTRUCTION_SET", why);
  const unsigned threads = info[1].As<Napi::Number>().Uint32Value();
  return make_handle(info.Env(), std::make_shared<JobQueue>(info.Env(), kernels, threads));
}

Napi::Value instruction_set(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), held_by<JobQueue>(info[0])->kernels().name);
}

Napi::Value threads(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), executor_threads(held_by<JobQueue>(info[0])->executor().get()));
}

Napi::Value close(const Napi::CallbackInfo& info) {
  held_by<JobQueue>(info[0])->close();
  return info.Env().Undefined();
}

Napi::Value cancel(const Napi::CallbackInfo& info) {
  if (const auto job = job_of(info[0])) job->cancelled = true;
  return info.Env().Undefined();
}

Napi::Value collect(const Napi::CallbackInfo& info) {
  const auto job = job_of(info[0]);
  if (job == nullptr) throw coded_error(info.Env(), "FAILED", "Outputs are collected inside `done` only");
  const auto arrays = info[1].As<Napi::Object>();
  size_t copied = 0;
  for (const Job::Output& output : job->arrays) {
    const Napi::Value wanted = arrays.Get(output.name);
    if (wanted.IsUndefined()) continue;
    const auto array = wanted.As<Napi::TypedArray>();
    if (array.ByteLength() != output.bytes) {
      throw coded_error(info.Env(), "ARRAY_LENGTH",
                        "Expected " + std::to_string(output.bytes) + " bytes for the output " + output.name +
                            " but received " + std::to_string(array.ByteLength()) +
                            "; a detached array has none");
    }
    copied++;
    if (output.bytes == 0) continue;
    auto* data = static_cast<uint8_t*>(array.ArrayBuffer().Data()) + array.ByteOffset();
    std::memcpy(data, output.data, output.bytes);
  }
  return Napi::Number::New(info.Env(), double(copied));
}

}  // namespace local_entropy
