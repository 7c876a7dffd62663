// Every kernel, in order of use; a target includes this file inside its region and namespace. No file below
// includes a library header: kernels.h has them all.
// clang-format off
#include "math-inl.h"
#include "philox-inl.h"
#include "product-inl.h"
#include "gaussian-inl.h"
#include "rows-inl.h"
#include "columns-inl.h"
#include "dense-inl.h"
#include "step-inl.h"
#include "factored-inl.h"
#include "sgd-inl.h"
#include "projection-inl.h"
#include "importance-sampling-inl.h"
#include "transform-inl.h"
#include "walsh-inl.h"
#include "row-split-inl.h"
#include "walsh-estimate-inl.h"
#include "sample-estimate-inl.h"
#include "sgld-inl.h"
#include "robbins-monro-inl.h"
#include "update-inl.h"
// clang-format on
