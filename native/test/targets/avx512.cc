#if defined(__x86_64__)
#include "../../cpu/machine/targets/avx512.h"

#include "../math-cases-inl.h"
#endif
