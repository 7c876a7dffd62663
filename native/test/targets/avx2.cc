#if defined(__x86_64__)
#include "../../cpu/machine/targets/avx2.h"

#include "../math-cases-inl.h"
#endif
