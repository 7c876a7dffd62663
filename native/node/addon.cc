// What JavaScript can call: src/backends/addon/addon.ts says the same list as an interface, addon/backend.ts
// calls it.
#include <napi.h>

#include "jobs.h"
#include "operations.h"
#include "predictor.h"
#include "session.h"

namespace local_entropy {

using Callback = Napi::Value (*)(const Napi::CallbackInfo&);

// A C++ failure as an error with a code; only Napi::Error may leave a callback. Those that come here are
// JavaScript's own: what a getter or a callback threw, or that its environment is being ended.
template <Callback callback>
Napi::Value guarded(const Napi::CallbackInfo& info) {
  try {
    return callback(info);
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw told(std::current_exception(), [&](const char* code, const char* message) {
      const Napi::Error error = Napi::Error::New(info.Env(), message);
      error.Value().Set("code", code);
      return error;
    });
  }
}

template <Callback callback>
void add(Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New<guarded<callback>>(exports.Env(), name));
}

Napi::Object exports_of(Napi::Env, Napi::Object exports) {
  add<instruction_sets>(exports, "instructionSets");
  add<open>(exports, "open");
  add<instruction_set>(exports, "instructionSet");
  add<threads>(exports, "threads");
  add<close>(exports, "close");
  add<cancel>(exports, "cancel");
  add<collect>(exports, "collect");

  add<start_operation>(exports, "start");
  add<answer_at_once>(exports, "answer");

  add<open_predictor>(exports, "openPredictor");
  add<predict_at_once>(exports, "predict");
  add<close_predictor>(exports, "closePredictor");

  add<open_session>(exports, "openSession");
  add<add_inputs>(exports, "addInputs");
  add<close_session>(exports, "closeSession");
  add<run>(exports, "run");
  add<outputs>(exports, "outputs");
  add<accuracy>(exports, "accuracy");
  add<predict_split>(exports, "predictSplit");
  add<read>(exports, "read");
  return exports;
}

NODE_API_MODULE(local_entropy, exports_of)

}  // namespace local_entropy
