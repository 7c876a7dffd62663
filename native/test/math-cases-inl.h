// The functions of math-inl.h and philox-inl.h for one target, included in its region and namespace.
inline void exp_lanes(const float* in, float* out) { store(out, exp(load(in))); }
inline void log1p_lanes(const float* in, float* out) { store(out, log1p(load(in))); }
inline void tanh_lanes(const float* in, float* out) { store(out, tanh(load(in))); }
inline void philox_lanes(const uint32_t* counter, uint64_t seed, uint32_t* out) {
  Word words[4] = {Word{} + counter[0], Word{} + counter[1], Word{} + counter[2], Word{} + counter[3]};
  philox(words, seed);
  for (size_t i = 0; i < 4; i++) {
    for (size_t lane = 1; lane < kLanes; lane++)
      if (words[i][lane] != words[i][0]) return;
    out[i] = words[i][0];
  }
}
inline MathTarget math_target(const char* name) {
  return {name, kLanes, exp_lanes, log1p_lanes, tanh_lanes, philox_lanes};
}
