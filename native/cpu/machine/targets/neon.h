// Vectors of 4 lanes: NEON of 64-bit Arm. sse4.h explains the functions that
// every target has.
#pragma once
#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#define TARGET neon
#define TARGET_NAME "neon"
#include "../target.h"

BEGIN_TARGET

constexpr size_t kLanes = 4;
constexpr int kTileVectors = 4;
constexpr int kLongTileVectors = 13;
constexpr int kPhiloxChunks = 2;
constexpr bool kCompresses = false;
constexpr bool kScales = false;
using Float = float32x4_t;
typedef uint32_t Word __attribute__((vector_size(16)));
typedef int32_t Int __attribute__((vector_size(16)));

inline Float set(float x) { return vdupq_n_f32(x); }
inline Float load(const float* p) { return vld1q_f32(p); }
inline void store(float* p, Float x) { vst1q_f32(p, x); }
inline Float load_first(const float* p, size_t n) {
  float lanes[4] = {0, 0, 0, 0};
  for (size_t i = 0; i < n; i++) lanes[i] = p[i];
  return vld1q_f32(lanes);
}
inline void store_first(float* p, size_t n, Float x) {
  float lanes[4];
  vst1q_f32(lanes, x);
  for (size_t i = 0; i < n; i++) p[i] = lanes[i];
}
__attribute__((always_inline)) inline void pin(Float* x) { asm volatile("" : "+w"(*x)); }
inline Float fma(Float a, Float b, Float c) { return vfmaq_f32(c, a, b); }
inline Float min(Float a, Float b) { return vminq_f32(a, b); }
inline Float max(Float a, Float b) { return vmaxq_f32(a, b); }
inline Float sqrt(Float a) { return vsqrtq_f32(a); }
inline Float quotient(Float a, Float b) { return a / b; }
inline Float nearest(Float a) { return vrndnq_f32(a); }
inline Float from_words(Word a) { return vcvtq_f32_u32((uint32x4_t)a); }
inline float sum(Float a) { return vaddvq_f32(a); }
inline float largest(Float a) { return vmaxvq_f32(a); }
template <int kDistance>
inline Float swap_lanes(Float a) {
  return kDistance == 1 ? vrev64q_f32(a) : vextq_f32(a, a, 2);
}
inline Word lane_numbers() { return Word{0, 1, 2, 3}; }
inline Word multiply_even(Word a, uint32_t by) {
  return (Word)vmull_u32(vmovn_u64((uint64x2_t)a), vdup_n_u32(by));
}
inline Word high_to_low(Word a) { return (Word)vshrq_n_u64((uint64x2_t)a, 32); }
inline Word join_halves(Word even, Word odd) {
  return (Word)vsliq_n_u64((uint64x2_t)even, (uint64x2_t)odd, 32);
}

END_TARGET
