// A network at parameters that stay here, for predictions of few rows: answered at once, on the calling
// thread.
#pragma once
#include <napi.h>

namespace local_entropy {

// (queue, scalars, arrays) → predictor: a flat job's network, loss and parameters, with the queue's kernels.
Napi::Value open_predictor(const Napi::CallbackInfo& info);
// (predictor, inputs, outputs, labels): rows of bytes or floats; the other two are written whole.
Napi::Value predict_at_once(const Napi::CallbackInfo& info);
Napi::Value close_predictor(const Napi::CallbackInfo& info);  // (predictor)

}  // namespace local_entropy
