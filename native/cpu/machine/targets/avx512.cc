// The kernels for avx512. Every header is read before the region opens, so that no copy of a library template
// is compiled for a processor that may be absent and then picked by the linker for all.
#include "../../kernels.h"

#if defined(__x86_64__)
#if !defined(__clang__)
// GCC 12 warns of its own header's undefined vectors.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")
#endif
namespace local_entropy {
namespace avx512 {
// clang-format off
#include "avx512.h"
#include "../../kernels-inl.h"
// clang-format on
}  // namespace avx512
const Kernels kAvx512 = avx512::kernel_table("avx512");
}  // namespace local_entropy
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
