// The threads of one backend, forked and joined: each worker runs the same task once, the caller as worker 0.
//
// Waiting spins for some microseconds, since parts of an update follow each other that fast, and then blocks:
// a barrier that only spins runs ten times slower as soon as another process takes a core. For the same
// reason the caller, done with its own share, does that of a worker that has not begun: the system may not
// let it for milliseconds.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace local_entropy {

class Executor {
 public:
  // Of fewer threads where the system refuses some.
  explicit Executor(unsigned threads);
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  unsigned size() const { return unsigned(threads_.size()) + 1; }

  // Calls task(argument, worker) for worker = 0 … size() - 1 and returns when all are done. Calls from
  // several threads take turns. The task must not throw.
  void run(void (*task)(void*, unsigned), void* argument);

 private:
  bool make(unsigned threads);
  void work(unsigned worker);
  bool claim(unsigned worker, uint64_t round);  // whether this thread is the one to do the share
  void join_all();

  std::vector<std::thread> threads_;
  std::mutex turn_, mutex_;
  std::condition_variable start_, finish_;
  std::atomic<uint64_t> round_{0};
  std::unique_ptr<std::atomic<uint64_t>[]> claims_;  // the last round whose share somebody took; one a worker
  std::atomic<unsigned> running_{0};
  std::atomic<bool> stop_{false};
  void (*task_)(void*, unsigned) = nullptr;
  void* argument_ = nullptr;
  int caller_processor_ = -1;
};

}  // namespace local_entropy
