#if defined(__aarch64__)
#include "../../cpu/machine/targets/neon.h"

#include "../math-cases-inl.h"
#endif
