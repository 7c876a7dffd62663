// The threads of one backend, forked and joined: each worker runs the same task once, the caller as worker 0.
//
// Waiting spins for some microseconds, since parts of an update follow each other that fast, and then blocks:
// a barrier that only spins runs ten times slower as soon as another process takes a core. For the same
// reason the caller, done with its own share, does that of a worker that has not begun: the system may not
// let it for milliseconds. A worker that was stopped in the middle of its share has to be waited for; where
// that takes longer than the team saves, the caller works alone for a while (`Worth`), share by share, so
// that no sum changes.
#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace local_entropy {

// Whether the team is worth asking: by how many forks a millisecond it does and how many the caller does
// alone, which is tried only where the caller has waited long for its team. A team that loses rests, the
// longer the more often it lost, so that asking again costs little.
class Worth {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Worth(unsigned threads) : others_(int(threads) - 1) {}
  bool alone() const { return alone_; }
  // One fork is done, by the team or alone.
  void count(Clock::duration worked, Clock::duration waited);

 private:
  // Forks and the time that they took, older ones with less weight.
  struct Pace {
    double forks = 0, time = 0;
    void add(double more, double took) {
      forks = forks / 4 + more;
      time = time / 4 + took;
    }
    bool beats(const Pace& other) const { return forks * other.time > other.forks * time; }
  };

  static constexpr std::chrono::milliseconds kLeast{10};    // that are weighed together
  static constexpr int kFirstRest = 16, kLongestRest = 32;  // times what was weighed

  int others_;
  Clock::duration worked_{0}, waited_{0}, enough_{kLeast};
  unsigned forks_ = 0;
  int rest_ = kFirstRest;
  Pace team_, alone_pace_;
  bool alone_ = false;
};

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
  Worth worth_;
};

}  // namespace local_entropy
