// Where an operation runs. Its functions *enqueue* on the context's stream and do not wait, unless they say
// so: what decides (weights, rank, norms) stays on the device.
#pragma once
#include <atomic>

#include "memory.h"

namespace local_entropy {

// Where and with what an operation runs. One stream; the arena was reset by the caller.
struct DeviceContext {
  Stream stream;
  DeviceArena* arena;
  const std::atomic<bool>* cancelled;
  bool waited = false;  // whether go_on was called

  // For hosts that enqueue for long: false if cancelled. Waits for what was enqueued before, so that the
  // host does not run seconds ahead; call it every few milliseconds of work.
  bool go_on() {
    waited = true;
    wait(stream);
    return going_on();
  }
  bool going_on() const { return !cancelled->load(std::memory_order_relaxed); }
};

}  // namespace local_entropy
