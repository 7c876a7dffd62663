// Vectors of 16 lanes: AVX-512 F, DQ, BW, VL. sse4.h
// explains the functions that every target has.
#pragma once
#if !defined(__clang__)
// GCC 12 warns of its own header's undefined vectors.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#define TARGET avx512
#define TARGET_NAME "avx512"
#define TARGET_FEATURES "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma"
#include "../target.h"

BEGIN_TARGET

constexpr size_t kLanes = 16;
constexpr int kTileVectors = 4;  // 6 x 4 sums, 4 operands and a broadcast: 29 of 32 registers
constexpr int kLongTileVectors = 13;
constexpr int kPhiloxChunks = 2;
constexpr bool kCompresses = true;
constexpr bool kScales = true;
using Float = __m512;
typedef uint32_t Word __attribute__((vector_size(64)));
typedef int32_t Int __attribute__((vector_size(64)));

inline Float set(float x) { return _mm512_set1_ps(x); }
inline Float load(const float* p) { return _mm512_loadu_ps(p); }
inline void store(float* p, Float x) { _mm512_storeu_ps(p, x); }
inline Float load_first(const float* p, size_t n) {
  return _mm512_maskz_loadu_ps(__mmask16((1u << n) - 1), p);
}
inline void store_first(float* p, size_t n, Float x) {
  _mm512_mask_storeu_ps(p, __mmask16((1u << n) - 1), x);
}
__attribute__((always_inline)) inline void pin(Float* x) { asm volatile("" : "+v"(*x)); }
inline Float fma(Float a, Float b, Float c) { return _mm512_fmadd_ps(a, b, c); }
inline Float min(Float a, Float b) { return _mm512_min_ps(a, b); }
inline Float max(Float a, Float b) { return _mm512_max_ps(a, b); }
inline Float sqrt(Float a) { return _mm512_sqrt_ps(a); }
inline Float quotient(Float a, Float b) {
  b = min(b, set(3e38f));  // infinity times its reciprocal would be NaN
  const Float r = _mm512_rcp14_ps(b);
  return a * fma(r, fma(-b, r, set(1)), r);
}
inline Float nearest(Float a) { return _mm512_roundscale_ps(a, 0); }
// y 2^n, n whole.
inline Float scale(Float y, Float n) { return _mm512_scalef_ps(y, n); }
inline Float from_words(Word a) { return _mm512_cvtepu32_ps((__m512i)a); }
inline float sum(Float a) { return _mm512_reduce_add_ps(a); }
inline float largest(Float a) { return _mm512_reduce_max_ps(a); }
template <int kDistance>
inline Float swap_lanes(Float a) {
  if constexpr (kDistance == 1) return _mm512_permute_ps(a, 0xb1);
  if constexpr (kDistance == 2) return _mm512_permute_ps(a, 0x4e);
  if constexpr (kDistance == 4) return _mm512_shuffle_f32x4(a, a, 0xb1);
  return _mm512_shuffle_f32x4(a, a, 0x4e);
}
inline Word lane_numbers() { return Word{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}; }
inline Word multiply_even(Word a, uint32_t by) {
  return (Word)_mm512_mul_epu32((__m512i)a, _mm512_set1_epi32(int(by)));
}
inline Word high_to_low(Word a) { return (Word)_mm512_srli_epi64((__m512i)a, 32); }
inline Word join_halves(Word even, Word odd) {
  return (Word)_mm512_mask_blend_epi32(0xaaaa, (__m512i)even, _mm512_slli_epi64((__m512i)odd, 32));
}
// Appends those of kLanes inputs that are not zero: their numbers from `first` on, and their values
// (byte/255: the quotient's error is made good by one step, checked for all bytes in native/test/math.cc).
// Writes whole vectors.
inline uint32_t append_some(Float values, uint32_t first, uint32_t* index, float* value) {
  const __mmask16 used = _mm512_cmp_ps_mask(values, _mm512_setzero_ps(), _CMP_NEQ_UQ);
  _mm512_storeu_si512(index, _mm512_maskz_compress_epi32(used, (__m512i)(lane_numbers() + first)));
  _mm512_storeu_ps(value, _mm512_maskz_compress_ps(used, values));
  uint32_t bits = used;
  asm("" : "+r"(bits));  // else GCC 12 may keep 16 bits in memory and count 32
  return uint32_t(__builtin_popcount(bits));
}
inline uint32_t append_inputs(const float* inputs, uint32_t first, uint32_t* index, float* value) {
  return append_some(load(inputs), first, index, value);
}
inline uint32_t append_inputs(const uint8_t* inputs, uint32_t first, uint32_t* index, float* value) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(inputs));
  const Float b = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes)), inverse = set(1.0f / 255), q = b * inverse;
  return append_some(fma(fma(set(-255), q, b), inverse, q), first, index, value);
}

END_TARGET
