// The Walsh-Hadamard transform WHT(v)_g = sum_h s_gh v_h, s_gh = (-1)^popcount(g & h), of m values, m a power
// of two, in registers.
//
// A *team* of T threads (whole warps) works on one vector; a thread holds entries g = r T + t, r < R, of
// every vector of m = R T entries, so a transform is log2 R stages in registers, five of shuffles, and where
// T > 32 the rest through shared memory. m < 32: one entry a lane, the lanes past m hold zeros.
#pragma once
#include "../machine/block.h"
#include "../random/gaussian.h"

namespace local_entropy {

struct TransformShape {
  uint32_t m, registers, threads;  // R, T
};

// Up to 8 entries a thread a team is one warp, and the compiler knows all distances.
template <int R>
struct WalshTeam {
  static constexpr bool kWarp1 = R < 16;
  uint32_t thread, number;
  uint32_t wide, short_length;  // T where it is not a warp; m where it is below 32
  float* exchange;              // R floats a thread of the block of threads, where T > 32

  __device__ WalshTeam(const TransformShape& shape, float* exchange)
      : thread(threadIdx.x % (kWarp1 ? 32 : shape.threads)),
        number(threadIdx.x / (kWarp1 ? 32 : shape.threads)),
        wide(shape.threads),
        short_length(shape.m),
        exchange(exchange) {}
  __device__ uint32_t threads() const { return kWarp1 ? 32 : wide; }
  __device__ uint32_t length() const { return R == 1 ? short_length : R * threads(); }  // m
  __device__ uint32_t place(int r) const { return uint32_t(r) * threads() + thread; }
  // A vector's own entry at place(r); an offset that the compiler knows.
  template <class T>
  __device__ T& at(T* vector, int r) const {
    return (vector + thread)[size_t(r) * threads()];
  }
  // Whether a place is one of the m: always but in a transform shorter than a warp.
  __device__ bool inside(int r) const { return R > 1 || place(r) < short_length; }
};

// Every thread of a team gets the sum, in fixed order. All teams of the block of threads call together.
template <int R>
__device__ inline float team_sum(const WalshTeam<R>& team, float value) {
  value = warp_sum(value);
  if (team.threads() == 32) return value;
  __shared__ float of_warp[32];
  const uint32_t first = team.number * (team.threads() / 32);
  if (team.thread % 32 == 0) of_warp[first + team.thread / 32] = value;
  __syncthreads();
  value = 0;
  for (uint32_t w = 0; w < team.threads() / 32; w++) value += of_warp[first + w];
  __syncthreads();
  return value;
}

// x <- WHT(x). A stage of distance D is x_g <- x_{g^D} ± x_g, minus where g has the bit.
template <int R>
__device__ inline void walsh_transform(const WalshTeam<R>& team, float (&x)[R]) {
#pragma unroll
  for (uint32_t distance = 1; distance < 32; distance *= 2) {
    if (R == 1 && distance >= team.short_length) break;
    const float sign = team.thread & distance ? -1.0f : 1.0f;
#pragma unroll
    for (int r = 0; r < R; r++) x[r] = fmaf(sign, x[r], __shfl_xor_sync(kWarp, x[r], distance));
  }
  for (uint32_t distance = 32; distance < team.threads(); distance *= 2) {
    const float sign = team.thread & distance ? -1.0f : 1.0f;
    float* own = team.exchange + team.number * team.length();
#pragma unroll
    for (int r = 0; r < R; r++) own[team.place(r)] = x[r];
    __syncthreads();
#pragma unroll
    for (int r = 0; r < R; r++) x[r] = fmaf(sign, x[r], own[team.place(r) ^ distance]);
    __syncthreads();
  }
#pragma unroll
  for (int step = 1; step < R; step *= 2) {
#pragma unroll
    for (int r = 0; r < R; r++) {
      if (r & step) continue;
      const float low = x[r], high = x[r + step];
      x[r] = low + high;
      x[r + step] = low - high;
    }
  }
}

// The bits that flip a float's sign where s_{g,column} = -1, g the thread's places: one parity of the
// thread's own bits, and for each bit of r one of the column's.
template <int R>
__device__ inline void walsh_flips(const WalshTeam<R>& team, uint32_t column, uint32_t (&flips)[R]) {
  flips[0] = uint32_t(__popc(team.thread & column)) << 31;
#pragma unroll
  for (int bit = 1; bit < R; bit *= 2) {
    const uint32_t more = column & (uint32_t(bit) * team.threads()) ? 0x80000000u : 0;
#pragma unroll
    for (int r = 0; r < bit; r++) flips[bit + r] = flips[r] ^ more;
  }
}
__device__ inline float flipped(float x, uint32_t flip) { return from_bits(bits_of(x) ^ flip); }

}  // namespace local_entropy
