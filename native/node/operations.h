// The operations beneath a session, one job each: (queue, input, done) → job. Inputs are those of
// src/backends/backend.ts; `done` receives the numbers listed here, `collect` gives the arrays in this order.
//
// Symbols: B rows, n parameters, J samples.
#pragma once
#include <napi.h>

namespace local_entropy {

Napi::Value gaussian(const Napi::CallbackInfo& info);    // fills input.out (count)
Napi::Value dense_loss(const Napi::CallbackInfo& info);  // → numbers: loss
Napi::Value dense_predict(
    const Napi::CallbackInfo& info);  // → arrays: probabilities (B x classes), labels (B)
Napi::Value dense_correct(
    const Napi::CallbackInfo& info);  // → numbers: rows whose largest logit is the label's

// The input's `estimator` is a session's; its `batches` are samples, and its `start` is SGLD's first point.
// → numbers: loss, F, effective sample size, largest weight, standard error, samples
// → arrays: gradient (n), mean (n), each sample's loss (J, importance sampling), x^J (n, SGLD)
Napi::Value estimate(const Napi::CallbackInfo& info);

Napi::Value step(const Napi::CallbackInfo& info);  // → arrays: parameters (n), each of the moments (n)

}  // namespace local_entropy
