// The kernels for sse4. Every header is read before the region opens, so that no copy of a library template
// is compiled for a processor that may be absent and then picked by the linker for all.
#include "../../kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("sse4.2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("sse4.2")
#endif
namespace local_entropy {
namespace sse4 {
// clang-format off
#include "sse4.h"
#include "../../kernels-inl.h"
// clang-format on
}  // namespace sse4
const Kernels kSse4 = sse4::kernel_table("sse4");
}  // namespace local_entropy
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
