// Fork and join: see executor.h.
#include "executor.h"

#if defined(__linux__)
#include <sched.h>
#endif

#include <algorithm>
#include <chrono>
#include <system_error>

#include "../../backend.h"
#include "denormals.h"

namespace local_entropy {

namespace {

// Parts of an update follow each other within this; waking a thread that has blocked costs some 100 µs on a
// virtual machine. From kPolite on the waiting thread yields, so that another process gets the core at once.
constexpr std::chrono::microseconds kPolite(20), kSpin(1000);

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

template <class Ready>
bool spin(Ready ready) {
  const auto start = std::chrono::steady_clock::now();
  for (auto waited = start - start; waited < kSpin; waited = std::chrono::steady_clock::now() - start) {
    for (int i = 0; i < 16; i++) {
      if (ready()) return true;
      pause();
    }
    if (waited > kPolite) std::this_thread::yield();
  }
  return ready();
}

// Leaves the processor that the caller of run() is on, if there is another. Threads that wait without
// blocking are never woken and so never placed anew: two of them can share one core for milliseconds while
// the other idles.
inline void leave_processor(int taken) {
#if defined(__linux__)
  if (taken < 0 || sched_getcpu() != taken) return;
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0 || CPU_COUNT(&allowed) < 2) return;
  cpu_set_t others = allowed;
  CPU_CLR(taken, &others);
  if (sched_setaffinity(0, sizeof others, &others) == 0) sched_setaffinity(0, sizeof allowed, &allowed);
#else
  (void)taken;
#endif
}

}  // namespace

void Worth::count(Clock::duration worked, Clock::duration waited) {
  worked_ += worked;
  waited_ += waited;
  forks_++;
  const Clock::duration took = worked_ + waited_;
  if (took < enough_) return;
  enough_ = kLeast;
  if (alone_) {
    const bool tried = alone_pace_.forks == 0;
    alone_pace_.add(forks_, double(took.count()));
    alone_ = tried && alone_pace_.beats(team_);
    if (alone_) enough_ = rest_ * took;
  } else {
    team_.add(forks_, double(took.count()));
    // Alone it would work up to `others_` times longer: a team that costs a quarter of that is looked into.
    const bool suspect = 4 * waited_ > others_ * worked_;
    const bool untried = alone_pace_.forks == 0;
    alone_ = suspect && (untried || alone_pace_.beats(team_));
    if (alone_) enough_ = untried ? took : rest_ * took;
    rest_ = alone_ ? std::min(2 * rest_, kLongestRest) : std::max(rest_ / 2, kFirstRest);
  }
  worked_ = waited_ = Clock::duration(0);
  forks_ = 0;
}

// Left to the process where the system refuses a thread: the job thread is one, and Node's own pool is four,
// which ends the process if it cannot have them.
constexpr size_t kSpareThreads = 5;

Executor::Executor(unsigned threads) : claims_(new std::atomic<uint64_t>[threads]()), worth_(threads) {
  if (make(threads)) return;
  const size_t made = threads_.size();
  join_all();
  threads_.clear();
  stop_ = false;
  make(unsigned(made > kSpareThreads ? made - kSpareThreads : 0) + 1);
  worth_ = Worth(size());
}

// Whether the system gave as many threads, the caller's included.
bool Executor::make(unsigned threads) {
  try {
    for (unsigned worker = 1; worker < threads; worker++)
      threads_.emplace_back([this, worker] { work(worker); });
    return true;
  } catch (const std::system_error&) {
    return false;
  } catch (...) {  // the destructor does not run for an object that was never made
    join_all();
    throw;
  }
}

Executor::~Executor() { join_all(); }

void Executor::join_all() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  start_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Executor::work(unsigned worker) {
  const FlushDenormals flush;
  for (uint64_t seen = 0;;) {
    const auto ready = [&] { return round_.load() != seen || stop_.load(); };
    if (!spin(ready)) {
      std::unique_lock<std::mutex> lock(mutex_);
      start_.wait(lock, ready);
    }
    if (stop_) return;
    seen = round_.load();
    if (!claim(worker, seen)) continue;
    leave_processor(caller_processor_);
    task_(argument_, worker);
    if (running_.fetch_sub(1) == 1) {
      // Taken so that the caller is either before its check of running_ or already waiting.
      { std::lock_guard<std::mutex> lock(mutex_); }
      finish_.notify_one();
    }
  }
}

bool Executor::claim(unsigned worker, uint64_t round) {
  uint64_t before = round - 1;
  return claims_[worker].compare_exchange_strong(before, round);
}

void Executor::run(void (*task)(void*, unsigned), void* argument) {
  if (threads_.empty()) return task(argument, 0);
  std::lock_guard<std::mutex> turn(turn_);
  const auto began = Worth::Clock::now();
  if (worth_.alone()) {
    for (unsigned worker = 0; worker < size(); worker++) task(argument, worker);
    return worth_.count(Worth::Clock::now() - began, Worth::Clock::duration(0));
  }
  task_ = task;
  argument_ = argument;
#if defined(__linux__)
  caller_processor_ = sched_getcpu();
#endif
  running_ = unsigned(threads_.size());
  uint64_t round;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    round = ++round_;
  }
  start_.notify_all();
  task(argument, 0);
  for (unsigned worker = 1; worker < size(); worker++) {
    if (!claim(worker, round)) continue;
    task(argument, worker);
    running_.fetch_sub(1);
  }
  const auto done = [&] { return running_.load() == 0; };
  const auto waiting = Worth::Clock::now();
  if (!spin(done)) {
    std::unique_lock<std::mutex> lock(mutex_);
    finish_.wait(lock, done);
  }
  worth_.count(waiting - began, Worth::Clock::now() - waiting);
}

Executor* new_executor(unsigned threads) { return new Executor(threads < 1 ? 1 : threads); }
void delete_executor(Executor* executor) { delete executor; }
unsigned executor_threads(const Executor* executor) { return executor->size(); }

}  // namespace local_entropy
