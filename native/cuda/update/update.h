// One update: the estimator's gradient at x_k, its length, and the optimizer's step.
#pragma once
#include "../machine/question.h"
#include "step.h"

namespace local_entropy {

// The estimator named by `estimator.kind`; false if cancelled. Everything below enqueues.
bool estimate_on_device(const Estimator&, const DeviceQuestion&, DeviceContext&, DeviceFactored* factored,
                        DeviceEstimate*);

// The outputs of the estimator's samples and at x itself, where the question's loss says; false if cancelled.
bool outputs_on_device(const Estimator&, const DeviceQuestion&, DeviceContext&, DeviceEstimate*);

// The estimate at state.parameters (which the question points to), |gradient| into *norm, then the step;
// false if cancelled, and then the state is as it was.
bool update_on_device(const Estimator&, const Optimizer&, double rate, const DeviceQuestion&, DeviceContext&,
                      DeviceEstimate*, const DeviceState& state, double* norm);

}  // namespace local_entropy
