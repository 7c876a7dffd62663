// What one backend computes with: a stream of its own.
#pragma once
#include "device.h"

namespace local_entropy {

// Made on the JavaScript thread, so that it opens nothing on the device before its job thread asks.
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

}  // namespace local_entropy
