// The functions of math-inl.h, philox-inl.h and transform-inl.h for one target.
#pragma once
#include "../cpu/linear/math-inl.h"
#include "../cpu/linear/transform-inl.h"
#include "../cpu/random/philox-inl.h"
#include "math-target.h"

BEGIN_TARGET

inline void exp_lanes(const float* in, float* out) { store(out, exp(load(in))); }
inline void exp2_lanes(const float* in, float* out) { store(out, exp2(load(in))); }
inline void log1p_lanes(const float* in, float* out) { store(out, log1p(load(in))); }
inline void tanh_lanes(const float* in, float* out) { store(out, tanh(load(in))); }
inline void quotient_lanes(const float* a, const float* b, float* out) {
  store(out, quotient(load(a), load(b)));
}
// Lists kLanes inputs; how many, or kLanes + 1 where the target does it one by one.
template <class Input>
inline uint32_t append_lanes(const Input* inputs, uint32_t first, uint32_t* index, float* value) {
  if constexpr (kCompresses) return append_inputs(inputs, first, index, value);
  return kLanes + 1;
}
inline void philox_lanes(const uint32_t* counter, uint64_t seed, uint32_t* out) {
  Word words[kPhiloxChunks][4];
  for (auto& chunk : words)
    for (size_t i = 0; i < 4; i++) chunk[i] = Word{} + counter[i];
  philox<kPhiloxChunks>(PhiloxKey(seed), words);
  for (size_t i = 0; i < 4; i++) {
    for (const auto& chunk : words)
      for (size_t lane = 0; lane < kLanes; lane++)
        if (chunk[i][lane] != words[0][i][0]) return;
    out[i] = words[0][i][0];
  }
}
// m values and zeros up to a whole vector; from vector `used` on zero, and not read, where padded.
template <bool kPadded>
inline void walsh_values_of(const float* in, size_t m, size_t used, float* scratch, float* out) {
  const size_t vectors = (m + kLanes - 1) / kLanes;
  with_vectors(vectors, [&](auto count) {
    walsh<decltype(count)::value, kPadded>(
        vectors, used, scratch, [&](size_t v) { return load(in + v * kLanes); },
        [&](size_t v, Float x) { store(out + v * kLanes, x); });
  });
}
inline void walsh_values(const float* in, size_t m, bool padded, size_t used, float* scratch, float* out) {
  if (padded) return walsh_values_of<true>(in, m, used, scratch, out);
  walsh_values_of<false>(in, m, used, scratch, out);
}
const native_test::MathTarget kMath = {
    TARGET_NAME,         kLanes,       exp_lanes,      exp2_lanes,
    log1p_lanes,         tanh_lanes,   quotient_lanes, append_lanes<uint8_t>,
    append_lanes<float>, philox_lanes, walsh_values};

END_TARGET
