// Philox4x32-10 (Salmon, Moraes, Dror, Shaw, SC 2011), kLanes blocks at a time: see
// src/reference/random/philox.ts. Counter = (block, index, update, stream), key = the seed's two words.
//
// A product of 32 by 32 bits takes a lane of 64. So the even and the odd blocks go apart, each word in the
// low half of its lane, and meet again at the end: what stands in the high halves meanwhile is never read.
#pragma once
#include <cstdint>

#include "../machine/target.h"

BEGIN_TARGET

// The key of each round, in memory, from where a processor spreads a word over a vector at no cost.
struct PhiloxKey {
  uint32_t first[10], second[10];
  explicit PhiloxKey(uint64_t seed) {
    uint32_t k0 = uint32_t(seed), k1 = uint32_t(seed >> 32);
    for (int round = 0; round < 10; round++, k0 += 0x9e3779b9u, k1 += 0xbb67ae85u) {
      first[round] = k0;
      second[round] = k1;
    }
  }
};

struct PhiloxHalf {
  Word c0, c1, c2, c3;
};

inline void philox_round(uint32_t k0, uint32_t k1, PhiloxHalf* half) {
  const Word p0 = multiply_even(half->c0, 0xd2511f53u), p1 = multiply_even(half->c2, 0xcd9e8d57u);
  half->c0 = high_to_low(p1) ^ half->c1 ^ k0;
  half->c1 = p1;
  half->c2 = high_to_low(p0) ^ half->c3 ^ k1;
  half->c3 = p0;
}

// kChunks counters of kLanes blocks each; one after the other their rounds would wait for their products.
template <int kChunks>
inline void philox(const PhiloxKey& key, Word (*counters)[4]) {
  PhiloxHalf even[kChunks], odd[kChunks];
  for (int i = 0; i < kChunks; i++) {
    const Word* c = counters[i];
    even[i] = {c[0], c[1], c[2], c[3]};
    odd[i] = {high_to_low(c[0]), high_to_low(c[1]), high_to_low(c[2]), high_to_low(c[3])};
  }
#pragma GCC unroll 10
  for (int round = 0; round < 10; round++) {
#pragma GCC unroll 4
    for (int i = 0; i < kChunks; i++) {
      philox_round(key.first[round], key.second[round], &even[i]);
      philox_round(key.first[round], key.second[round], &odd[i]);
    }
  }
  for (int i = 0; i < kChunks; i++) {
    counters[i][0] = join_halves(even[i].c0, odd[i].c0);
    counters[i][1] = join_halves(even[i].c1, odd[i].c1);
    counters[i][2] = join_halves(even[i].c2, odd[i].c2);
    counters[i][3] = join_halves(even[i].c3, odd[i].c3);
  }
}

END_TARGET
