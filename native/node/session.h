// Sessions as JavaScript holds them. The calls of one session share the backend's queue, so they run one at a
// time and in order.
#pragma once
#include <napi.h>

namespace local_entropy {

Napi::Value open_session(const Napi::CallbackInfo& info);   // (queue, setup) → session
Napi::Value close_session(const Napi::CallbackInfo& info);  // (session): freed after the job in hand

// (queue, session, …, done) → job
Napi::Value run(const Napi::CallbackInfo& info);  // …plan  → numbers: done; arrays: values (done x 4)
Napi::Value accuracy(
    const Napi::CallbackInfo& info);  // …split (0 train, 1 test, 2 validation) → numbers: fraction
// → numbers: has a chain (0 or 1), moments; arrays: parameters (n), chain (n or none), each of the moments
// (n)
Napi::Value read(const Napi::CallbackInfo& info);

}  // namespace local_entropy
