// Vectors of 8 lanes: AVX2 with FMA. sse4.h explains the
// functions that every target has.
#pragma once
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#define TARGET avx2
#define TARGET_NAME "avx2"
#define TARGET_FEATURES "avx2,fma"
#include "../target.h"

BEGIN_TARGET

constexpr size_t kLanes = 8;
constexpr int kTileVectors = 2;  // 6 x 2 sums, 2 operands and a broadcast: 15 of 16 registers
constexpr int kLongTileVectors = 13;
constexpr int kPhiloxChunks = 2;
constexpr bool kCompresses = false;
constexpr bool kScales = false;
using Float = __m256;
typedef uint32_t Word __attribute__((vector_size(32)));
typedef int32_t Int __attribute__((vector_size(32)));

inline Float set(float x) { return _mm256_set1_ps(x); }
inline Float load(const float* p) { return _mm256_loadu_ps(p); }
inline void store(float* p, Float x) { _mm256_storeu_ps(p, x); }
inline __m256i first_lanes(size_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(int(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
inline Float load_first(const float* p, size_t n) { return _mm256_maskload_ps(p, first_lanes(n)); }
inline void store_first(float* p, size_t n, Float x) { _mm256_maskstore_ps(p, first_lanes(n), x); }
__attribute__((always_inline)) inline void pin(Float* x) { asm volatile("" : "+x"(*x)); }
inline Float fma(Float a, Float b, Float c) { return _mm256_fmadd_ps(a, b, c); }
inline Float min(Float a, Float b) { return _mm256_min_ps(a, b); }
inline Float max(Float a, Float b) { return _mm256_max_ps(a, b); }
inline Float sqrt(Float a) { return _mm256_sqrt_ps(a); }
inline Float quotient(Float a, Float b) {
  b = min(b, set(3e38f));  // infinity times its reciprocal would be NaN
  const Float r = _mm256_rcp_ps(b);
  return a * fma(r, fma(-b, r, set(1)), r);
}
inline Float nearest(Float a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
inline Float from_words(Word a) {  // exact halves, so that their sum is rounded once
  return __builtin_convertvector((Int)(a >> 16), Float) * set(65536) +
         __builtin_convertvector((Int)(a & 0xffff), Float);
}
inline float sum(Float a) {
  __m128 x = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  x = _mm_add_ps(x, _mm_movehl_ps(x, x));
  return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
}
inline float largest(Float a) {
  __m128 x = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  x = _mm_max_ps(x, _mm_movehl_ps(x, x));
  return _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)));
}
template <int kDistance>
inline Float swap_lanes(Float a) {
  if constexpr (kDistance == 1) return _mm256_permute_ps(a, 0xb1);
  if constexpr (kDistance == 2) return _mm256_permute_ps(a, 0x4e);
  return _mm256_permute2f128_ps(a, a, 1);
}
inline Word lane_numbers() { return Word{0, 1, 2, 3, 4, 5, 6, 7}; }
inline Word multiply_even(Word a, uint32_t by) {
  return (Word)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi32(int(by)));
}
inline Word high_to_low(Word a) { return (Word)_mm256_srli_epi64((__m256i)a, 32); }
inline Word join_halves(Word even, Word odd) {
  return (Word)_mm256_blend_epi32((__m256i)even, _mm256_slli_epi64((__m256i)odd, 32), 0xaa);
}

END_TARGET
