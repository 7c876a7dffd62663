// Every kernel, in order of use; a target includes this file inside its region and namespace. No file below
// includes a library header: kernels.h has them all.
// clang-format off
#include "linear/math-inl.h"
#include "random/philox-inl.h"
#include "linear/product-inl.h"
#include "random/gaussian-inl.h"
#include "network/rows-inl.h"
#include "network/columns-inl.h"
#include "network/dense-inl.h"
#include "update/step-inl.h"
#include "update/factored-inl.h"
#include "network/sgd-inl.h"
#include "linear/projection-inl.h"
#include "sampling/importance-sampling-inl.h"
#include "linear/transform-inl.h"
#include "sampling/walsh-inl.h"
#include "sampling/row-split-inl.h"
#include "sampling/walsh-estimate-inl.h"
#include "sampling/sample-estimate-inl.h"
#include "chains/sgld-inl.h"
#include "chains/robbins-monro-inl.h"
#include "update/update-inl.h"
// clang-format on
