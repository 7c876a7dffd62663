// CUDA's words for g++: a kernel's blocks of threads run one after another on the calling thread, the threads
// of a block as fibers that change at barriers and shuffles. For tests and sanitizers, not for speed.
//
// One order of threads and blocks hides races (shim_reverse turns that of threads round), so shim/races.cc,
// where it is built in, judges each access as if there were none. Dynamic shared memory is filled with NaN
// before each block, and ends where it ends, so that a sanitizer sees what is read too early or too far.
#pragma once
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>

#define __host__
#define __device__
#define __global__
#define __forceinline__ inline
#define __shared__ static thread_local
#define __launch_bounds__(...)
#define __align__(n) alignas(n)

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

extern thread_local dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace local_entropy {

struct ShimLaunch {
  dim3 grid, block;
  size_t shared;
};

// Runs thread(data) for every thread of every block.
void run_kernel(const ShimLaunch& shape, void (*thread)(void*), void* data);

template <class Thread>
void run_kernel(const ShimLaunch& shape, Thread& thread) {
  run_kernel(
      shape, [](void* data) { (*static_cast<Thread*>(data))(); }, &thread);
}

// Runs `work` now, or when the recording under way is started (device.h).
void run_or_record(std::function<void()> work);

// The block's dynamic pool.
void* shim_dynamic_shared();
template <class T>
T* dynamic_shared() {
  return static_cast<T*>(shim_dynamic_shared());
}

// Waits for the block, or the warp: 8 bytes of a lane for its neighbours until their next exchange.
void shim_block_barrier();
void shim_warp_barrier();
void shim_give(uint64_t value);
uint64_t shim_taken(unsigned lane);  // of the caller's warp; the caller's own where there is no such lane
unsigned shim_lane();

// Where in a kernel the caller is, for the checker of races (shim/races.cc); null outside of kernels.
struct ShimPlace {
  uint64_t kernel;                                // its number since the program began
  uint32_t block, block_barriers, warp_barriers;  // the block's number in the grid, barriers passed
  uint16_t thread;                                // its number in the block
  uintptr_t stack_begin, stack_end, shared_begin, shared_end;  // the thread's stack, the block's pool
};
const ShimPlace* shim_place();

// How many places had races since the last call; they are forgotten. Only where the checker is built in.
size_t shim_take_races();

// The largest piece of memory that `allocate` gives, so that a test can run out of it.
extern std::atomic<size_t> shim_largest;

// Whether threads run from the last to the first.
extern thread_local bool shim_reverse;

template <class T>
T shim_shuffle(T value, unsigned lane) {
  static_assert(sizeof(T) <= 8, "a shuffle moves at most 8 bytes");
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  shim_give(bits);
  bits = shim_taken(lane);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace local_entropy

inline void __syncthreads() { local_entropy::shim_block_barrier(); }
inline void __syncwarp(unsigned = 0xffffffffu) { local_entropy::shim_warp_barrier(); }
template <class T>
T __shfl_xor_sync(unsigned, T value, unsigned mask, unsigned = 32) {
  return local_entropy::shim_shuffle(value, local_entropy::shim_lane() ^ mask);
}
template <class T>
T __shfl_sync(unsigned, T value, unsigned lane, unsigned width = 32) {
  const unsigned own = local_entropy::shim_lane();
  return local_entropy::shim_shuffle(value, own / width * width + lane % width);
}
template <class T>
T __shfl_down_sync(unsigned, T value, unsigned delta, unsigned width = 32) {
  const unsigned own = local_entropy::shim_lane();
  return local_entropy::shim_shuffle(value, own % width + delta < width ? own + delta : own);
}
template <class T>
T __shfl_up_sync(unsigned, T value, unsigned delta, unsigned width = 32) {
  const unsigned own = local_entropy::shim_lane();
  return local_entropy::shim_shuffle(value, own % width >= delta ? own - delta : own);
}
inline unsigned __ballot_sync(unsigned, bool vote) {
  unsigned votes = 0;
  local_entropy::shim_give(vote);
  for (unsigned lane = 0; lane < 32; lane++)
    votes |= unsigned(local_entropy::shim_taken(lane) & 1) << lane;  // a missing lane repeats the caller's
  return votes;
}

template <class T>
T atomicAdd(T* at, T value) {
  return __atomic_fetch_add(at, value, __ATOMIC_RELAXED);
}

template <class T>
T __ldg(const T* at) {
  return *at;
}
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fdividef(float a, float b) { return a / b; }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float rsqrtf(float x) { return 1 / std::sqrt(x); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(unsigned(x)); }
inline int __ffs(int x) { return __builtin_ffs(x); }
struct float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
