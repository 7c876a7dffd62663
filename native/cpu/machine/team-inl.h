// Work shared out over the threads of a team.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstddef>

#include "executor.h"
#include "target.h"

BEGIN_TARGET

// Worker w's share of 0 … count - 1, its bounds multiples of `multiple`.
struct Share {
  size_t begin, end;
  Share(size_t count, size_t multiple, unsigned worker, unsigned workers) {
    const size_t parts = (count + multiple - 1) / multiple;
    begin = std::min(count, parts * worker / workers * multiple);
    end = std::min(count, parts * (worker + 1) / workers * multiple);
  }
};

// Runs task(worker) on every worker of the team.
template <class Task>
inline void fork(Executor* executor, Task task) {
  executor->run([](void* argument, unsigned worker) { (*static_cast<Task*>(argument))(worker); }, &task);
}

// Runs task(item, worker) for items 0 … count - 1, each as soon as a worker is free.
template <class Task>
inline void fork_items(Executor* executor, size_t count, Task task) {
  std::atomic<size_t> next{0};
  fork(executor, [&](unsigned worker) {
    for (size_t item; (item = next.fetch_add(1, std::memory_order_relaxed)) < count;) task(item, worker);
  });
}

END_TARGET
