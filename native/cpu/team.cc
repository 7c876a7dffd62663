// Fork and join: see team.h.
#include "team.h"

#include <chrono>

#include "../backend.h"
#include "denormals.h"

namespace local_entropy {

namespace {

// 20 µs covers the gaps between the parts of an update; longer only burns a core that another may need.
constexpr std::chrono::microseconds kSpin(20);

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

template <class Ready>
bool spin(Ready ready) {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 16; i++) {
      if (ready()) return true;
      pause();
    }
  } while (std::chrono::steady_clock::now() < end);
  return ready();
}

}  // namespace

Team::Team(unsigned threads) {
  try {
    for (unsigned worker = 1; worker < threads; worker++)
      threads_.emplace_back([this, worker] { work(worker); });
  } catch (...) {  // the destructor does not run for an object that was never made
    join_all();
    throw;
  }
}

Team::~Team() { join_all(); }

void Team::join_all() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  start_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Team::work(unsigned worker) {
  const FlushDenormals flush;
  for (uint64_t seen = 0;;) {
    const auto ready = [&] { return round_.load() != seen || stop_.load(); };
    if (!spin(ready)) {
      std::unique_lock<std::mutex> lock(mutex_);
      start_.wait(lock, ready);
    }
    if (stop_) return;
    seen++;
    task_(argument_, worker);
    if (running_.fetch_sub(1) == 1) {
      // Taken so that the caller is either before its check of running_ or already waiting.
      { std::lock_guard<std::mutex> lock(mutex_); }
      finish_.notify_one();
    }
  }
}

void Team::run(void (*task)(void*, unsigned), void* argument) {
  if (threads_.empty()) return task(argument, 0);
  std::lock_guard<std::mutex> turn(turn_);
  task_ = task;
  argument_ = argument;
  running_ = unsigned(threads_.size());
  {
    std::lock_guard<std::mutex> lock(mutex_);
    round_++;
  }
  start_.notify_all();
  task(argument, 0);
  const auto done = [&] { return running_.load() == 0; };
  if (!spin(done)) {
    std::unique_lock<std::mutex> lock(mutex_);
    finish_.wait(lock, done);
  }
}

Team* new_team(unsigned threads) { return new Team(threads < 1 ? 1 : threads); }
void delete_team(Team* team) { delete team; }

}  // namespace local_entropy
