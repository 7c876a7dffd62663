// Philox4x32-10 (Salmon, Moraes, Dror, Shaw, SC 2011): see src/reference/random/philox.ts.
// Counter = (block, index, update, stream), key = the seed's two words.
#pragma once
#include "../machine/device.h"

namespace local_entropy {

struct Words {
  uint32_t at[4];
};

// On the device by its own instruction: the compiler adds zeros to the high halves of products of 64 bits.
__host__ __device__ inline uint64_t wide_product(uint32_t a, uint32_t b) {
#if defined(__CUDA_ARCH__)
  uint64_t product;
  asm("mul.wide.u32 %0, %1, %2;" : "=l"(product) : "r"(a), "r"(b));
  return product;
#else
  return uint64_t(a) * b;
#endif
}

// The key of each round. A kernel that gets them as an argument reads them where it uses them.
struct PhiloxKeys {
  uint32_t first[10], second[10];

  __host__ __device__ explicit PhiloxKeys(uint64_t seed) {
    uint32_t k0 = uint32_t(seed), k1 = uint32_t(seed >> 32);
#pragma unroll
    for (int round = 0; round < 10; round++, k0 += 0x9e3779b9u, k1 += 0xbb67ae85u) {
      first[round] = k0;
      second[round] = k1;
    }
  }
};

__host__ __device__ inline Words philox(const PhiloxKeys& keys, uint32_t block, uint32_t index,
                                        uint32_t update, uint32_t stream) {
  uint32_t c0 = block, c1 = index, c2 = update, c3 = stream;
#pragma unroll
  for (int round = 0; round < 10; round++) {
    const uint64_t product0 = wide_product(c0, 0xd2511f53u), product1 = wide_product(c2, 0xcd9e8d57u);
    c0 = uint32_t(product1 >> 32) ^ c1 ^ keys.first[round];
    c1 = uint32_t(product1);
    c2 = uint32_t(product0 >> 32) ^ c3 ^ keys.second[round];
    c3 = uint32_t(product0);
  }
  return {{c0, c1, c2, c3}};
}

}  // namespace local_entropy
