// The kernels for neon.
#if defined(__aarch64__)
#include "neon.h"

#include "../../kernels-inl.h"
#endif
