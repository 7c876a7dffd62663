// The device as the rest of this folder sees it: memory, copies, launches, errors. Two implementations:
// CUDA's runtime (device.cu), and the host shim (shim/shim.{h,cc}), which runs blocks of threads as fibers
// when g++ compiles the same sources. A kernel is an ordinary __global__ function, started by `launch`.
//
// Dialect: shared arrays are `__shared__ T x[N]` inside a function, or dynamic_shared<T>(), one pool a
// block of threads; barriers and shuffles are CUDA's own names, with the mask of the whole warp (kWarp).
#pragma once
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#if defined(__CUDACC__)
#include <cuda_runtime.h>
#elif defined(LOCAL_ENTROPY_SHIM)
#include "../shim/shim.h"
#else
#error "A source that includes device.h is a .cu file, so that both builds compile it"
#endif

namespace local_entropy {

#if defined(__CUDACC__)
using Stream = cudaStream_t;
#else
using Stream = struct ShimStream*;
#endif

constexpr unsigned kWarp = 0xffffffffu;

// A failure of the device, in a sentence; the addon passes it on.
struct DeviceError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Device memory. `allocate` throws a DeviceError that says how much there is, where it is not enough; what
// was computed before stays as it is.
void* allocate(size_t bytes);
void release(void* memory) noexcept;

// All in order of the stream. `upload` has read `from` when it returns; `download` has written `to`.
void upload(Stream stream, void* to, const void* from, size_t bytes);
void download(Stream stream, void* to, const void* from, size_t bytes);
void copy(Stream stream, void* to, const void* from, size_t bytes);
void zero(Stream stream, void* to, size_t bytes);
void blank(Stream stream, void* to, size_t bytes);  // all bits: NaN
void wait(Stream stream);
Stream new_stream();
void delete_stream(Stream stream) noexcept;

// Keeps a host that enqueues from running far ahead of the device: `follow` returns when all but the last
// kAhead tasks between its calls are done.
class Pace {
 public:
  explicit Pace(Stream stream);
  ~Pace();
  Pace(const Pace&) = delete;
  Pace& operator=(const Pace&) = delete;
  void follow();

 private:
  static constexpr size_t kAhead = 3;
  Stream stream_;
  size_t calls_ = 0;
#if defined(__CUDACC__)
  cudaEvent_t events_[kAhead + 1];
#endif
};

// Launches, copies and fills that are recorded first and then started together (a CUDA graph), which spares
// short kernels the gaps between them. Nothing may wait, upload or download while one is recorded. The next
// recording of the same launches, with other arguments, takes over what the driver prepared for the last.
class Recording {
 public:
  explicit Recording(Stream stream) : stream_(stream) {}
  ~Recording();
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;
  void begin();          // what follows on the stream is recorded and not started
  void start();          // what was recorded
  void drop() noexcept;  // ends the recording, and nothing is started

 private:
  Stream stream_;
#if defined(__CUDACC__)
  cudaGraphExec_t prepared_ = nullptr;
#endif
};

// Least time of `repeats` runs of `work`, by events of the stream (the host's clock in the shim).
double device_milliseconds(Stream stream, int repeats, const std::function<void()>& work);

// Blocks and threads of a launch, and bytes of the dynamic pool of shared memory.
struct Launch {
  dim3 grid, block;
  size_t shared = 0;
};

#if defined(__CUDACC__)
// Throws a DeviceError that names the call where `status` is no success.
void check(cudaError_t status, const char* call);

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), const Launch& shape, Stream stream, Arguments... arguments) {
  constexpr size_t kWithoutAsking = 48 * 1024;
  if (shape.shared > kWithoutAsking) {
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(shape.shared)),
          "cudaFuncSetAttribute");
    // As many blocks of threads as fit, rather than more of the first cache.
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout,
                               cudaSharedmemCarveoutMaxShared),
          "cudaFuncSetAttribute");
  }
  kernel<<<shape.grid, shape.block, shape.shared, stream>>>(static_cast<Parameters>(arguments)...);
  check(cudaGetLastError(), "a launch");
}

template <class T>
__device__ inline T* dynamic_shared() {
  extern __shared__ __align__(16) unsigned char dynamic_pool[];
  return reinterpret_cast<T*>(dynamic_pool);
}
#else
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), const Launch& shape, Stream, Arguments... arguments) {
  run_or_record([=] {
    auto thread = [&] { kernel(static_cast<Parameters>(arguments)...); };
    run_kernel({shape.grid, shape.block, shape.shared}, thread);
  });
}
#endif

inline unsigned blocks_for(size_t items, size_t per_block) {
  return unsigned((items + per_block - 1) / per_block);
}

// The device's architecture ("sm_90"; "shim"), or "" with the reason in *why where there is none to use.
std::string device_name(std::string* why);

// Shared memory that a block of threads may have, dynamic and static together: asked once (48 KiB at least).
size_t shared_memory_per_block();
// Multiprocessors, for benchmarks that fill them. No kernel's number of blocks of threads depends on it.
unsigned multiprocessors();

}  // namespace local_entropy
