// One update: the estimator's gradient at x_k, its length, and the optimizer's step; and the device as the
// threads of one backend hold it.
#pragma once
#include "../kernels.h"
#include "step.h"

namespace local_entropy {

// A backend's stream, and memory for its operations. Made on the JavaScript thread, so that it opens nothing
// on the device before its job thread asks.
class Executor {
 public:
  Executor() = default;
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;
  ~Executor() {
    if (open_) delete_stream(stream_);
  }
  Stream stream() {
    if (!open_) stream_ = new_stream();
    open_ = true;
    return stream_;
  }

 private:
  bool open_ = false;
  Stream stream_ = nullptr;
};

// What a session keeps between updates.
class Workspace {
 public:
  DeviceArena arena;
};

// The estimator named by `estimator.kind`; false if cancelled. Everything below enqueues.
bool estimate_on_device(const Estimator&, const DeviceQuestion&, DeviceContext&, DeviceFactored* factored,
                        DeviceEstimate*);

// The estimate at state.parameters (which the question points to), |gradient| into *norm, then the step;
// false if cancelled, and then the state is as it was.
bool update_on_device(const Estimator&, const Optimizer&, double rate, const DeviceQuestion&, DeviceContext&,
                      DeviceEstimate*, const DeviceState& state, double* norm);

}  // namespace local_entropy
