// The device as the rest of this folder sees it: memory, copies, launches, errors. Two implementations:
// CUDA's runtime (device.cu), and the host shim (shim.{h,cc}), which runs a kernel's blocks as fibers when
// g++ compiles the same sources. A kernel is an ordinary __global__ function, started by `launch`.
//
// Dialect: shared arrays are `__shared__ T x[N]` inside a function, or dynamic_shared<T>(), one pool a
// block; barriers and shuffles are CUDA's own names, with the mask of the whole warp (kWarp).
#pragma once
#include <algorithm>
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
// kAhead pieces of work between its calls are done.
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
    // As many blocks as fit, rather than more of the first cache.
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

// The device's architecture ("sm_90"; "shim"), or "" with the reason in *why where there is none to use.
std::string device_name(std::string* why);

// Shared memory that a block may have, dynamic and static together: asked once (48 KiB at least).
size_t shared_memory_per_block();
// Multiprocessors, for benchmarks that fill them. No kernel's number of blocks depends on it.
unsigned multiprocessors();

// What an update takes at a time, whatever the device, so that no sum depends on it. Tests take less.
struct Pieces {
  size_t floats = size_t(1) << 26;  // of noise and what follows from it: a quarter of a gigabyte
  size_t rows = 8192;               // of a batch, where none needs another
};
inline Pieces pieces;

inline unsigned blocks_for(size_t items, size_t per_block) {
  return unsigned((items + per_block - 1) / per_block);
}

// Device memory that an update or operation works in: a stack of 256-byte aligned pieces, emptied by `reset`
// and never returned until the end. After the first update it has one block, so nothing is allocated any
// more.
class DeviceArena {
 public:
  DeviceArena() = default;
  DeviceArena(const DeviceArena&) = delete;
  DeviceArena& operator=(const DeviceArena&) = delete;
  ~DeviceArena() { clear(); }

  // Kernels under way may still use the pieces: those of later takers wait behind them in the stream.
  // Recorded ones that have not been started would lose them, so while there are any nothing may be freed.
  void reset(bool may_free = true) {
    const size_t total = std::max(used_, peak_);
    used_ = peak_ = at_ = 0;
    if (blocks_.size() < 2 || !may_free) return;
    clear();
    add(total);
  }

  // `count` of T, uninitialized.
  template <class T>
  T* take(size_t count) {
    const size_t bytes = (count * sizeof(T) + 255) / 256 * 256 + 256;
    if (blocks_.empty() || at_ + bytes > blocks_.back().size) {
      add(bytes > kBlock ? bytes : kBlock);
      at_ = 0;
    }
    char* piece = blocks_.back().start + at_;
    at_ += bytes;
    used_ += bytes;
    return reinterpret_cast<T*>(piece);
  }

  template <class T>
  T* zeros(Stream stream, size_t count) {
    T* piece = take<T>(count);
    zero(stream, piece, count * sizeof(T));
    return piece;
  }

  size_t used() const { return used_; }  // bytes, since the last reset

  // What a loop takes in each of its rounds: `rewind` gives back all that was taken since its mark.
  struct Mark {
    size_t blocks, at, used;
  };
  Mark mark() const { return {blocks_.size(), at_, used_}; }
  void rewind(const Mark& mark) {
    peak_ = std::max(peak_, used_);
    used_ = mark.used;
    at_ = blocks_.size() == mark.blocks ? mark.at : 0;  // blocks added since hold nothing older
  }

 private:
  static constexpr size_t kBlock = size_t(1) << 22;
  struct Block {
    char* start;
    size_t size;
  };

  void add(size_t bytes) { blocks_.push_back({static_cast<char*>(allocate(bytes)), bytes}); }
  void clear() {
    for (const Block& block : blocks_) release(block.start);
    blocks_.clear();
  }

  std::vector<Block> blocks_;
  size_t at_ = 0, used_ = 0, peak_ = 0;
};

// An array on the device with one owner.
template <class T>
class DeviceArray {
 public:
  DeviceArray() = default;
  explicit DeviceArray(size_t count)
      : data_(static_cast<T*>(count ? allocate(count * sizeof(T)) : nullptr)), count_(count) {}
  template <class Allocator>
  DeviceArray(Stream stream, const std::vector<T, Allocator>& from) : DeviceArray(from.size()) {
    if (count_) upload(stream, data_, from.data(), count_ * sizeof(T));
  }
  DeviceArray(DeviceArray&& other) noexcept { swap(other); }
  DeviceArray& operator=(DeviceArray&& other) noexcept {
    swap(other);
    return *this;
  }
  ~DeviceArray() { release(data_); }

  void swap(DeviceArray& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
  }
  T* data() const { return data_; }
  size_t size() const { return count_; }
  bool empty() const { return count_ == 0; }
  template <class Array = std::vector<T>>
  Array read(Stream stream) const {
    Array to(count_);
    if (count_) download(stream, to.data(), data_, count_ * sizeof(T));
    return to;
  }

 private:
  T* data_ = nullptr;
  size_t count_ = 0;
};

}  // namespace local_entropy
