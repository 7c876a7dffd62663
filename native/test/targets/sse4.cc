#if defined(__x86_64__)
#include "../../cpu/machine/targets/sse4.h"

#include "../math-cases-inl.h"
#endif
