// The noise of Walsh blocks, made twice: before their rows (y = s M U and s Z by classes, for a wave of
// blocks), and for the remainder, where each normal is used in the register that it was made in.
//
// Symbols: M = L or A, U (r x d1), Z ((d1 + 1) x C), s the perturbation's scale, m the transform's length,
// E_i = (1/2m) WHT(v+ - v-) of a block's values v.
#pragma once
#include "../machine/context.h"
#include "noise-layout.h"
#include "walsh.h"

namespace local_entropy {

struct WalshNoise {
  NoiseLayout layout;
  uint64_t seed;
  uint32_t update;
};

// Blocks first … first + count - 1. u (count x layout.count[0]): U; second (count x C x m, zeros past d1): s
// Z.
void draw_walsh_blocks(const WalshNoise& noise, const WalshShape& shape, double s, bool direct,
                       uint64_t first, uint32_t count, float* u, float* second, DeviceContext& context);

// y (count x rows x d1), in place of u: s L U. factor: s L (rows x rows).
void mix_walsh_blocks(const float* factor, uint32_t rows, uint32_t columns, uint32_t count, float* y,
                      DeviceContext& context);

// values (blocks x 2m) -> E of each block in the first m of its 2m places.
void walsh_sign_means(const WalshShape& shape, uint64_t blocks, float* values, DeviceContext& context);

// sum (layout.size()) <- sum over blocks first … first + count - 1 of U_i diag(E_i) and of Z_i with E_i in
// place of its signs; signs: E of block `first` (stride 2m).
void walsh_noise_mean(const WalshNoise& noise, const WalshShape& shape, uint64_t first, uint64_t count,
                      const float* signs, float* sum, DeviceContext& context);

}  // namespace local_entropy
