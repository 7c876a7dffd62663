// The tables of kernels, one for each target; its targets/*.cc fills it.
#pragma once
#include "../backend.h"

namespace local_entropy {

#if defined(__x86_64__)
namespace sse4 {
extern const Kernels kKernels;
}
namespace avx2 {
extern const Kernels kKernels;
}
namespace avx512 {
extern const Kernels kKernels;
}
#elif defined(__aarch64__)
namespace neon {
extern const Kernels kKernels;
}
#endif

}  // namespace local_entropy
