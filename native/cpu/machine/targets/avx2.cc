// The kernels for avx2. Every header is read before the region opens, so that no copy of a library template
// is compiled for a processor that may be absent and then picked by the linker for all.
#include "../../kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
namespace local_entropy {
namespace avx2 {
// clang-format off
#include "avx2.h"
#include "../../kernels-inl.h"
// clang-format on
}  // namespace avx2
const Kernels kAvx2 = avx2::kernel_table("avx2");
}  // namespace local_entropy
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
