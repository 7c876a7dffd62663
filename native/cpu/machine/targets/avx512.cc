// The kernels for avx512.
#if defined(__x86_64__)
#include "avx512.h"

#include "../../kernels-inl.h"
#endif
