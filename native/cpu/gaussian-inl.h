// Standard normals by Box-Muller in float32, bit-identical on every target and to src/reference/gaussian.ts,
// which explains the constants. Each operation is rounded once: no fma here, whatever the processor has.
//
// Sixteen blocks make a group: out[64 group + 32 pair + 16 (0 sine, 1 cosine) + lane], lane = block mod 16.

// sqrt(-2 ln u), u = round(round(word 2^-32) + 2^-33).
inline Float radius(Word word) {
  const Float u = from_words(word) * set(0x1p-32f) + set(0x1p-33f);
  const Int shifted = (Int)u - 0x3f3504f3;  // u = 2^e (1 + t), 1 + t in [sqrt 1/2, sqrt 2)
  const Float e = __builtin_convertvector(shifted >> 23, Float);
  const Float t = (Float)((shifted & 0x7fffff) + 0x3f3504f3) - set(1);
  Float p = set(float(0.06915147));
  p = p * t + set(float(-0.11789696));
  p = p * t + set(float(0.118730165));
  p = p * t + set(float(-0.1238437));
  p = p * t + set(float(0.14218655));
  p = p * t + set(float(-0.1666925));
  p = p * t + set(float(0.20002227));
  p = p * t + set(float(-0.24999987));
  p = p * t + set(float(0.3333331));
  const Float t2 = t * t;
  Float y = (p * t2) * t + e * set(float(-2.12194440e-4));
  y = y - set(0.5f) * t2;
  const Float ln = (t + y) + e * set(0.693359375f);
  return sqrt(set(-2) * ln);
}

// Sine and cosine of the angle 2 pi word 2^-32.
inline void sine_cosine(Word word, Float* sine, Float* cosine) {
  const Word q = (word + 0x20000000u) >> 30;
  const Float t = __builtin_convertvector((Int)(word - (q << 30)), Float) * set(0x1p-30f);
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
  const Int swap = (Int)(-(q & 1u));
  *sine = (Float)((Word)select(swap, c, s) ^ ((q & 2u) << 30));
  *cosine = (Float)((Word)select(swap, s, c) ^ (((q + 1u) & 2u) << 30));
}

// Group number `group` (64 normals) of a stream.
inline void gaussian_group(uint64_t seed, uint32_t stream, uint32_t update, uint32_t index, uint32_t group,
                           float* out) {
#pragma GCC unroll 4
  for (size_t lane = 0; lane < 16; lane += kLanes) {
    Word words[4] = {lane_numbers() + (16 * group + uint32_t(lane)), Word{} + index, Word{} + update,
                     Word{} + stream};
    philox(words, seed);
#pragma GCC unroll 2
    for (size_t pair = 0; pair < 2; pair++) {
      const Float r = radius(words[2 * pair]);
      Float sine, cosine;
      sine_cosine(words[2 * pair + 1], &sine, &cosine);
      store(out + 32 * pair + lane, r * sine);
      store(out + 32 * pair + 16 + lane, r * cosine);
    }
  }
}

// The first `count` normals of a stream; nothing past them is written.
inline void gaussian(uint64_t seed, uint32_t stream, uint32_t update, uint32_t index, size_t count,
                     float* out) {
  size_t group = 0;
  for (; 64 * (group + 1) <= count; group++)
    gaussian_group(seed, stream, update, index, uint32_t(group), out + 64 * group);
  if (64 * group == count) return;
  float rest[64];
  gaussian_group(seed, stream, update, index, uint32_t(group), rest);
  for (size_t i = 64 * group; i < count; i++) out[i] = rest[i - 64 * group];
}
