// The operations beneath a session, one job each.
#pragma once
#include <napi.h>

namespace local_entropy {

// (queue, scalars, arrays, done) → job: a flat job of any operation but `run`; src/backends/description.ts
// says which fields each one needs, and which results and arrays it answers. Normals fill `output` in place.
Napi::Value start_operation(const Napi::CallbackInfo& info);

}  // namespace local_entropy
