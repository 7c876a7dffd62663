// The kernels for neon, which every 64-bit Arm processor has: no target region is needed.
#include "../../kernels.h"

#if defined(__aarch64__)
#include <arm_neon.h>

namespace local_entropy {
namespace neon {
// clang-format off
#include "neon.h"
#include "../../kernels-inl.h"
// clang-format on
}  // namespace neon
const Kernels kNeon = neon::kernel_table("neon");
}  // namespace local_entropy
#endif
