// The kernels for sse4.
#if defined(__x86_64__)
#include "sse4.h"

#include "../../kernels-inl.h"
#endif
