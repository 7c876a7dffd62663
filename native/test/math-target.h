// What math.cc asks of each target; targets/*.cc fill it.
#pragma once
#include <cstddef>
#include <cstdint>

namespace native_test {

struct MathTarget {
  const char* name;
  size_t lanes;
  void (*exp)(const float*, float*);
  void (*exp2)(const float*, float*);
  void (*log1p)(const float*, float*);
  void (*tanh)(const float*, float*);
  void (*quotient)(const float*, const float*, float*);
  uint32_t (*append_bytes)(const uint8_t*, uint32_t, uint32_t*, float*);
  uint32_t (*append_floats)(const float*, uint32_t, uint32_t*, float*);
  void (*philox)(const uint32_t*, uint64_t, uint32_t*);
  void (*walsh)(const float*, size_t, bool, size_t, float*, float*);
};

}  // namespace native_test

namespace local_entropy {

#if defined(__x86_64__)
namespace sse4 {
extern const native_test::MathTarget kMath;
}
namespace avx2 {
extern const native_test::MathTarget kMath;
}
namespace avx512 {
extern const native_test::MathTarget kMath;
}
#elif defined(__aarch64__)
namespace neon {
extern const native_test::MathTarget kMath;
}
#endif

}  // namespace local_entropy
