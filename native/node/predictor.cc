// Nothing is copied but the rows, into room that is kept: a question of one row takes microseconds, of which
// an array's copy or a thread's waking would be most.
#include "predictor.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "flat-job.h"
#include "jobs.h"

namespace local_entropy {

struct Predictor {
  Network network;
  LossKind kind;
  std::vector<float> parameters;
  const Kernels* kernels;
  std::unique_ptr<Executor, void (*)(Executor*)> executor{new_executor(1), delete_executor};
  Examples examples;  // rows of the question before

  Predictor(const FlatJob& from, const Kernels* kernels)
      : network(from.network()),
        kind(from.loss_kind()),
        parameters(from.array<float>("parameters", network.parameters())),
        kernels(kernels) {
    examples.width = network.layers[0];
  }
};

template <>
struct HandleKind<std::shared_ptr<Predictor>> {
  static constexpr const char* kName = "predictor";
  static constexpr napi_type_tag kTag{0x1d0c8f5b7e6a4923, 0xb51f7c2a90e843d6};
};

// An array of this type and length that is written in place.
template <class T>
static T* room(Napi::Value value, const char* name, napi_typedarray_type type, size_t length) {
  const View view = view_of(value, name);
  if (view.type != type)
    throw Failure("ARRAY_TYPE", std::string("Expected an array of another type for ") + name);
  if (view.length != length)
    throw Failure("ARRAY_LENGTH", "Expected " + std::to_string(length) + " entries for " + name +
                                      " but received " + std::to_string(view.length));
  return static_cast<T*>(view.data);
}

Napi::Value open_predictor(const Napi::CallbackInfo& info) {
  const auto queue = held_by<std::shared_ptr<JobQueue>>(info[0]);
  if (queue->closed()) throw Failure("CLOSED", "The backend is closed; open a new one");
  return make_handle(info.Env(), std::make_shared<Predictor>(FlatJob(info[1], info[2]), &queue->kernels()));
}

Napi::Value predict_at_once(const Napi::CallbackInfo& info) {
  const auto predictor = held_by<std::shared_ptr<Predictor>>(info[0]);
  if (predictor == nullptr) throw Failure("CLOSED", "The model is closed; open a new one");
  auto& [network, kind, parameters, kernels, executor, examples] = *predictor;
  const View inputs = view_of(info[1], "inputs");
  const bool bytes = inputs.type == napi_uint8_array;
  if (!bytes && inputs.type != napi_float32_array)
    throw Failure("ARRAY_TYPE", "Expected a Uint8Array or Float32Array for inputs");
  if (inputs.length == 0 || inputs.length % examples.width != 0)
    throw Failure("ARRAY_LENGTH", "Expected rows of " + std::to_string(examples.width) +
                                      " entries for inputs but received " + std::to_string(inputs.length));
  examples.count = inputs.length / examples.width;
  float* outputs = room<float>(info[2], "outputs", napi_float32_array, examples.count * network.classes());
  uint16_t* labels = room<uint16_t>(info[3], "labels", napi_uint16_array, examples.count);
  examples.bytes.clear();
  examples.floats.clear();
  if (bytes) {
    const auto* from = static_cast<const uint8_t*>(inputs.data);
    examples.bytes.assign(from, from + inputs.length);
  } else {
    const auto* from = static_cast<const float*>(inputs.data);
    examples.floats.assign(from, from + inputs.length);
  }
  const std::atomic<bool> cancelled{false};
  kernels->dense_predict(network, kind, parameters.data(), {&examples, nullptr, examples.count},
                         {executor.get(), &cancelled}, outputs, labels);
  return info.Env().Undefined();
}

Napi::Value close_predictor(const Napi::CallbackInfo& info) {
  held_by<std::shared_ptr<Predictor>>(info[0]).reset();
  return info.Env().Undefined();
}

}  // namespace local_entropy
