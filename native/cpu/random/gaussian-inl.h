// Standard normals by Box-Muller in float32, bit-identical on every target and to
// src/reference/random/gaussian.ts, which explains the constants. Each operation is rounded once: fma only
// where the product is exact, and powers of two, which change no rounding, where they cost nothing.
//
// Sixteen blocks make a group: out[64 group + 32 pair + 16 (0 sine, 1 cosine) + lane], lane = block mod 16.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "../../backend.h"
#include "../machine/lanes-inl.h"
#include "../machine/team-inl.h"
#include "philox-inl.h"

BEGIN_TARGET

// sqrt(-2 ln u), u = round(round(word 2^-32) + 2^-33).
inline Float radius(Word word) {
  const Float u = fma(from_words(word), set(0x1p-32f), set(0x1p-33f));
  // u = 2^n (1 + t), 1 + t in [sqrt 1/2, sqrt 2); e = 2^23 n
  const Int exponent = ((Int)u - 0x3f3504f3) & int32_t(0xff800000);
  const Float e = __builtin_convertvector(exponent, Float), t = (Float)((Int)u - exponent) - set(1);
  Float p = set(2 * float(0.06915147));
  p = p * t + set(2 * float(-0.11789696));
  p = p * t + set(2 * float(0.118730165));
  p = p * t + set(2 * float(-0.1238437));
  p = p * t + set(2 * float(0.14218655));
  p = p * t + set(2 * float(-0.1666925));
  p = p * t + set(2 * float(0.20002227));
  p = p * t + set(2 * float(-0.24999987));
  p = p * t + set(2 * float(0.3333331));
  const Float t2 = t * t;
  Float y = (p * t2) * t + e * set(0x1p-22f * float(-2.12194440e-4));
  y = fma(set(2), t, y - t2);
  return sqrt(-fma(e, set(0x1p-22f * 0.693359375f), y));
}

// Sine and cosine of the angle 2 pi word 2^-32.
inline void sine_cosine(Word word, Float* sine, Float* cosine) {
  // The nearest quarter turn is the top two bits of q; t, in quarter turns, is what the other bits say.
  const Word q = word + 0x20000000u;
  const Float t = __builtin_convertvector((Int)(word << 2), Float) * set(0x1p-32f);
  const Float t2 = t * t;
  Float ps = set(float(-0.0046053096));
  ps = ps * t2 + set(float(0.079681575));
  ps = ps * t2 + set(float(-0.64596367));
  ps = ps * t2 + set(float(-4.371139e-8));
  const Float s = t * set(float(1.5707963705062866)) + t * ps;
  Float pc = set(float(0.00090376654));
  pc = pc * t2 + set(float(-0.020860165));
  pc = pc * t2 + set(float(0.25366923));
  pc = pc * t2 + set(float(-1.2337005));
  const Float c = set(1) + pc * t2;
  const Int swap = (Int)(q << 1) >> 31;
  *sine = (Float)((Word)select(swap, c, s) ^ (q & 0x80000000u));
  *cosine = (Float)((Word)select(swap, s, c) ^ ((q + 0x40000000u) & 0x80000000u));
}

// Groups `group` … group + kGroups - 1 (64 normals each) of a stream.
template <int kGroups>
inline void gaussian_groups(const PhiloxKey& key, uint32_t stream, uint32_t update, uint32_t index,
                            uint32_t group, float* out) {
#pragma GCC unroll 4
  for (size_t lane = 0; lane < 16; lane += kLanes) {
    Word words[kGroups][4];
    for (int g = 0; g < kGroups; g++) {
      words[g][0] = lane_numbers() + (16 * (group + uint32_t(g)) + uint32_t(lane));
      words[g][1] = Word{} + index;
      words[g][2] = Word{} + update;
      words[g][3] = Word{} + stream;
    }
    philox<kGroups>(key, words);
#pragma GCC unroll 2
    for (int g = 0; g < kGroups; g++) {
#pragma GCC unroll 2
      for (size_t pair = 0; pair < 2; pair++) {
        const Float r = radius(words[g][2 * pair]);
        Float sine, cosine;
        sine_cosine(words[g][2 * pair + 1], &sine, &cosine);
        float* to = out + 64 * g + 32 * pair + lane;
        store(to, r * sine);
        store(to + 16, r * cosine);
      }
    }
  }
}

// Whole groups first … first + count - 1 of a stream (64 count).
inline void gaussian_fill(const PhiloxKey& key, uint32_t stream, uint32_t update, uint32_t index,
                          uint32_t first, uint32_t count, float* out) {
  uint32_t group = 0;
  for (; group + kPhiloxChunks <= count; group += kPhiloxChunks)
    gaussian_groups<kPhiloxChunks>(key, stream, update, index, first + group, out + 64 * group);
  for (; group < count; group++)
    gaussian_groups<1>(key, stream, update, index, first + group, out + 64 * group);
}

// The first `count` normals of a stream; nothing past them is written.
inline bool gaussian(uint64_t seed, uint32_t stream, uint32_t update, uint32_t index, size_t count,
                     const Context& context, float* out) {
  constexpr size_t kPart = 512;  // groups that a worker takes at a time
  const PhiloxKey key(seed);
  const size_t whole = count / 64, parts = (whole + kPart - 1) / kPart;
  const auto fill = [&](size_t part, unsigned) {
    if (context.cancelled->load(std::memory_order_relaxed)) return;
    const size_t first = part * kPart;
    gaussian_fill(key, stream, update, index, uint32_t(first), uint32_t(std::min(kPart, whole - first)),
                  out + 64 * first);
  };
  if (parts == 1)  // a fork costs as much
    fill(0, 0);
  else
    fork_items(context.executor, parts, fill);
  if (64 * whole != count) {
    float rest[64];
    gaussian_fill(key, stream, update, index, uint32_t(whole), 1, rest);
    for (size_t i = 64 * whole; i < count; i++) out[i] = rest[i - 64 * whole];
  }
  return !context.cancelled->load();
}

END_TARGET
