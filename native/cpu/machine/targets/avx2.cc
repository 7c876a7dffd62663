// The kernels for avx2.
#if defined(__x86_64__)
#include "avx2.h"

#include "../../kernels-inl.h"
#endif
