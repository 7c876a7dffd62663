// Sums and maxima over the threads of a warp or a block of threads, in an order that depends on the number of
// threads alone: butterflies within a warp, then the warps from the first to the last. Every thread gets the
// result, the same bits. All threads of the warp or the block of threads must call; it has whole warps.
#pragma once
#include "device.h"

namespace local_entropy {

struct Add {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
struct Larger {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return b > a ? b : a;
  }
};

template <class T, class Join>
__device__ inline T warp_join(T value, Join join) {
#pragma unroll
  for (unsigned distance = 16; distance > 0; distance /= 2)
    value = join(value, __shfl_xor_sync(kWarp, value, distance));
  return value;
}

template <class T, class Join>
__device__ inline T block_join(T value, Join join) {
  __shared__ T of_warp[32];
  const unsigned warps = blockDim.x / 32;
  value = warp_join(value, join);
  __syncthreads();  // of_warp may still be read from the call before
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = value;
  __syncthreads();
  value = of_warp[0];
  for (unsigned w = 1; w < warps; w++) value = join(value, of_warp[w]);
  return value;
}

template <class T>
__device__ inline T warp_sum(T value) {
  return warp_join(value, Add());
}
template <class T>
__device__ inline T block_sum(T value) {
  return block_join(value, Add());
}
template <class T>
__device__ inline T block_largest(T value) {
  return block_join(value, Larger());
}

}  // namespace local_entropy
