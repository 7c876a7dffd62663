// The operations beneath a session, one job each.
#pragma once
#include <napi.h>

namespace local_entropy {

// (queue, scalars, arrays, done) → job: a flat job of any operation but `run`; src/backends/description.ts
// says which fields each one needs, and which results and arrays it answers. Normals fill `output` in place.
Napi::Value start_operation(const Napi::CallbackInfo& info);

// (instruction set, or "" for the best; scalars, arrays, outputs) → numbers: such a job at once, on the
// calling thread alone and without a queue; `outputs` are typed arrays by name, as for `collect`. For
// questions of microseconds, whose answers say whether the kernels compute what they should.
Napi::Value answer_at_once(const Napi::CallbackInfo& info);

}  // namespace local_entropy
