// What the kernels share and no instruction set touches: library headers, the team, the workspace, and the
// names of the tables.
#pragma once
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "../backend.h"
#include "machine/denormals.h"
#include "machine/executor.h"
#include "machine/workspace.h"

namespace local_entropy {

#if defined(__x86_64__)
extern const Kernels kSse4, kAvx2, kAvx512;
#elif defined(__aarch64__)
extern const Kernels kNeon;
#endif

}  // namespace local_entropy
