// Standard normals by Box-Muller in float32, bit-identical to every other backend;
// src/reference/random/gaussian.ts explains the constants. Each operation is rounded once: on the device by
// intrinsics that are never fused, on the host by plain operations, which this folder compiles with
// -ffp-contract=off. Powers of two change no rounding, so they stand where they cost nothing, and a product
// that is exact may be fused.
//
// A block of four normals takes 173 instructions of sm_90, 20 of them long multiplications.
//
// One Philox block makes four normals. Sixteen blocks make a group of 64:
//
//     position = 64 (block / 16) + 16 component + block mod 16,
//     component: 0 sine and 1 cosine of words 0 and 1; 2 sine and 3 cosine of words 2 and 3
#pragma once
#include "philox.h"

namespace local_entropy {

#if defined(__CUDA_ARCH__)
__device__ inline float times(float a, float b) { return __fmul_rn(a, b); }
__device__ inline float plus(float a, float b) { return __fadd_rn(a, b); }
__device__ inline float minus(float a, float b) { return __fsub_rn(a, b); }
// a b + c where a b is exact.
__device__ inline float exact_times_plus(float a, float b, float c) { return __fmaf_rn(a, b, c); }
// The square root of 0 or of what is neither huge nor tiny: what the compiler does for __fsqrt_rn but for its
// test for the others, which costs as much again.
__device__ inline float root(float a) {
  float r;
  asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(fmaxf(a, 0x1p-100f)));
  const float g = __fmul_rn(a, r);
  return __fmaf_rn(__fmaf_rn(-g, g, a), __fmul_rn(r, 0.5f), g);
}
__device__ inline uint32_t bits_of(float a) { return __float_as_uint(a); }
__device__ inline float from_bits(uint32_t a) { return __uint_as_float(a); }
#else
inline float times(float a, float b) { return a * b; }
inline float plus(float a, float b) { return a + b; }
inline float minus(float a, float b) { return a - b; }
inline float exact_times_plus(float a, float b, float c) { return a * b + c; }
inline float root(float a) { return std::sqrt(a); }
inline uint32_t bits_of(float a) {
  uint32_t bits;
  std::memcpy(&bits, &a, sizeof bits);
  return bits;
}
inline float from_bits(uint32_t bits) {
  float a;
  std::memcpy(&a, &bits, sizeof a);
  return a;
}
#endif

// sqrt(-2 ln u), u = round(round(word 2^-32) + 2^-33).
__host__ __device__ inline float radius(uint32_t word) {
  const float u = exact_times_plus(float(word), 0x1p-32f, 0x1p-33f);
  // u = 2^n (1 + t), 1 + t in [sqrt 1/2, sqrt 2); e = 2^23 n
  const uint32_t bits = bits_of(u), exponent = (bits - 0x3f3504f3u) & 0xff800000u;
  const float e = float(int32_t(exponent)), t = minus(from_bits(bits - exponent), 1.0f);
  float p = 2 * float(0.06915147);
  p = plus(times(p, t), 2 * float(-0.11789696));
  p = plus(times(p, t), 2 * float(0.118730165));
  p = plus(times(p, t), 2 * float(-0.1238437));
  p = plus(times(p, t), 2 * float(0.14218655));
  p = plus(times(p, t), 2 * float(-0.1666925));
  p = plus(times(p, t), 2 * float(0.20002227));
  p = plus(times(p, t), 2 * float(-0.24999987));
  p = plus(times(p, t), 2 * float(0.3333331));
  const float t2 = times(t, t);
  float y = plus(times(times(p, t2), t), times(e, 0x1p-22f * float(-2.12194440e-4)));
  y = exact_times_plus(2, t, minus(y, t2));
  return root(-exact_times_plus(e, 0x1p-22f * 0.693359375f, y));
}

// Sine and cosine of the angle 2 pi word 2^-32.
__host__ __device__ inline void sine_cosine(uint32_t word, float* sine, float* cosine) {
  // The nearest quarter turn is the top two bits of q; t, in quarter turns, is what the other bits say.
  const uint32_t q = word + 0x20000000u;
  const float t = times(float(int32_t(word << 2)), 0x1p-32f);
  const float t2 = times(t, t);
  float ps = float(-0.0046053096);
  ps = plus(times(ps, t2), float(0.079681575));
  ps = plus(times(ps, t2), float(-0.64596367));
  ps = plus(times(ps, t2), float(-4.371139e-8));
  const float s = plus(times(t, float(1.5707963705062866)), times(t, ps));
  float pc = float(0.00090376654);
  pc = plus(times(pc, t2), float(-0.020860165));
  pc = plus(times(pc, t2), float(0.25366923));
  pc = plus(times(pc, t2), float(-1.2337005));
  const float c = plus(1.0f, times(pc, t2));
  const bool swap = q & 0x40000000u;
  *sine = from_bits(bits_of(swap ? c : s) ^ (q & 0x80000000u));
  *cosine = from_bits(bits_of(swap ? s : c) ^ ((q + 0x40000000u) & 0x80000000u));
}

// Where in the random numbers a matrix of noise stands: all but the position.
struct Noise {
  uint64_t seed;
  uint32_t stream, update, index;
};

// The four normals of a block, by component.
struct FourNormals {
  float at[4];
};

__host__ __device__ inline FourNormals normals_of_words(const Words& words) {
  FourNormals out;
#pragma unroll
  for (int pair = 0; pair < 2; pair++) {
    const float r = radius(words.at[2 * pair]);
    float sine, cosine;
    sine_cosine(words.at[2 * pair + 1], &sine, &cosine);
    out.at[2 * pair] = times(r, sine);
    out.at[2 * pair + 1] = times(r, cosine);
  }
  return out;
}

__host__ __device__ inline FourNormals normals_of_block(const Noise& noise, uint32_t block) {
  const PhiloxKeys keys(noise.seed);
  return normals_of_words(philox(keys, block, noise.index, noise.update, noise.stream));
}

// Block and component of a position, and back.
__host__ __device__ inline uint32_t block_of(size_t position) {
  return uint32_t(position / 64 * 16 + position % 16);
}
__host__ __device__ inline uint32_t component_of(size_t position) { return uint32_t(position % 64 / 16); }
__host__ __device__ inline size_t position_of(uint32_t block, uint32_t component) {
  return size_t(block / 16) * 64 + component * 16 + block % 16;
}

// One normal; its three siblings are thrown away, so this costs about two and a half times its share.
__host__ __device__ inline float normal_at(const Noise& noise, size_t position) {
  const PhiloxKeys keys(noise.seed);
  const Words words = philox(keys, block_of(position), noise.index, noise.update, noise.stream);
  const uint32_t component = component_of(position);
  const bool second = component & 2u;
  float sine, cosine;
  sine_cosine(second ? words.at[3] : words.at[1], &sine, &cosine);
  return times(radius(second ? words.at[2] : words.at[0]), component & 1u ? cosine : sine);
}

// out (count) <- the first `count` normals; enqueued.
void gaussian_fill(Stream stream, const Noise& noise, size_t count, float* out);

}  // namespace local_entropy
