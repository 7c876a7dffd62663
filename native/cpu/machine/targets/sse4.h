// Vectors of 4 lanes: SSE4.2 (x86-64-v2).
//
// What every target gives: types Float, Word (unsigned) and Int of kLanes lanes each, which take the
// operators of C; set, load and store (unaligned), load_first and store_first (the first n < kLanes lanes;
// the others read as 0 and are not touched), pin (x is worked out here, no later), fma (rounded
// once where the processor can), min, max, sqrt,
// quotient (a/b to 3 ulp where that is faster; b > 0 but for denormals; its last bits are the processor's),
// nearest (ties to even), from_words (correctly rounded), sum, largest, swap_lanes, lane_numbers (0, 1, …)
// and, for Philox, multiply_even (the 64-bit products of the even lanes),
// high_to_low and join_halves of 64-bit lanes, and how many counters it does at a time. kCompresses: whether
// it has append_inputs, kScales: scale (as well).
#pragma once
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#define TARGET sse4
#define TARGET_NAME "sse4"
#define TARGET_FEATURES "sse4.2"
#include "../target.h"

BEGIN_TARGET

constexpr size_t kLanes = 4;
constexpr int kTileVectors = 2;
constexpr int kLongTileVectors = 12;
constexpr int kPhiloxChunks = 2;
constexpr bool kCompresses = false;
constexpr bool kScales = false;
using Float = __m128;
typedef uint32_t Word __attribute__((vector_size(16)));
typedef int32_t Int __attribute__((vector_size(16)));

inline Float set(float x) { return _mm_set1_ps(x); }
inline Float load(const float* p) { return _mm_loadu_ps(p); }
inline void store(float* p, Float x) { _mm_storeu_ps(p, x); }
inline Float load_first(const float* p, size_t n) {
  alignas(16) float lanes[4] = {0, 0, 0, 0};
  for (size_t i = 0; i < n; i++) lanes[i] = p[i];
  return _mm_load_ps(lanes);
}
inline void store_first(float* p, size_t n, Float x) {
  alignas(16) float lanes[4];
  _mm_store_ps(lanes, x);
  for (size_t i = 0; i < n; i++) p[i] = lanes[i];
}
__attribute__((always_inline)) inline void pin(Float* x) { asm volatile("" : "+x"(*x)); }
inline Float fma(Float a, Float b, Float c) { return _mm_add_ps(_mm_mul_ps(a, b), c); }
inline Float min(Float a, Float b) { return _mm_min_ps(a, b); }
inline Float max(Float a, Float b) { return _mm_max_ps(a, b); }
inline Float sqrt(Float a) { return _mm_sqrt_ps(a); }
inline Float quotient(Float a, Float b) { return a / b; }
inline Float nearest(Float a) { return _mm_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
inline Float from_words(Word a) {  // exact halves, so that their sum is rounded once
  return __builtin_convertvector((Int)(a >> 16), Float) * set(65536) +
         __builtin_convertvector((Int)(a & 0xffff), Float);
}
inline float sum(Float a) {
  const __m128 x = _mm_add_ps(a, _mm_movehl_ps(a, a));
  return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
}
inline float largest(Float a) {
  const __m128 x = _mm_max_ps(a, _mm_movehl_ps(a, a));
  return _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)));
}
// Lane i takes lane i ^ kDistance.
template <int kDistance>
inline Float swap_lanes(Float a) {
  return kDistance == 1 ? _mm_shuffle_ps(a, a, 0xb1) : _mm_shuffle_ps(a, a, 0x4e);
}
inline Word lane_numbers() { return Word{0, 1, 2, 3}; }
inline Word multiply_even(Word a, uint32_t by) {
  return (Word)_mm_mul_epu32((__m128i)a, _mm_set1_epi32(int(by)));
}
inline Word high_to_low(Word a) { return (Word)_mm_srli_epi64((__m128i)a, 32); }
inline Word join_halves(Word even, Word odd) {
  return (Word)_mm_blend_epi16((__m128i)even, _mm_slli_epi64((__m128i)odd, 32), 0xcc);
}

END_TARGET
