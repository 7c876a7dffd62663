// Sessions as JavaScript holds them. The calls of one session share the backend's queue, so they run one at a
// time and in order.
#pragma once
#include <napi.h>

namespace local_entropy {

// (queue, job, train, test or undefined, validation or undefined) → session; each a flat job {scalars,
// arrays}.
Napi::Value open_session(const Napi::CallbackInfo& info);
// (session, split, inputs): the next inputs of a split that was opened without.
Napi::Value add_inputs(const Napi::CallbackInfo& info);
Napi::Value close_session(const Napi::CallbackInfo& info);  // (session): freed after the job in hand

// (session, …, done) → job of the session's backend; src/backends/description.ts names what each answers.
Napi::Value run(const Napi::CallbackInfo& info);  // …scalars, arrays of a plan → done; values (count x 4)
Napi::Value outputs(const Napi::CallbackInfo& info);   // …as of run, of one update → output
Napi::Value accuracy(const Napi::CallbackInfo& info);  // …split (0 train, 1 test, 2 validation) → correct
Napi::Value predict_split(const Napi::CallbackInfo& info);  // …split → output (rows x outputs)
Napi::Value read(const Napi::CallbackInfo& info);           // → chainValid; parameters, moments, chain

}  // namespace local_entropy
