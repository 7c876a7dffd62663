// The table of one target's kernels.
#pragma once
#include "kernels.h"
#include "machine/workspace.h"
#include "network/dense-inl.h"
#include "network/hessian-product-inl.h"
#include "random/gaussian-inl.h"
#include "update/update-inl.h"

BEGIN_TARGET

inline Workspace* new_workspace() { return new Workspace(); }
inline void delete_workspace(Workspace* workspace) { delete workspace; }

const Kernels kKernels = {TARGET_NAME,    gaussian,        dense_loss,     dense_predict,
                          dense_accuracy, hessian_product, sample_outputs, estimate,
                          step,           update,          new_workspace,  delete_workspace};

END_TARGET
