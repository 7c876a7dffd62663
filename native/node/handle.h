// What JavaScript holds of the addon: an external that owns one value of C++, and frees it when it is
// collected or its environment ends.
//
// An environment that is being ended refuses calls of Node-API at any moment, so the value belongs to C++
// until the external is there. A tag says what kind of value it is: what JavaScript hands back may be a
// handle of another kind, another addon's external, or anything.
#pragma once
#include <napi.h>

#include <memory>
#include <string>

#include "failure.h"

namespace local_entropy {

// Of each kind of value: `kTag`, and `kName` for whom it is missing.
template <class T>
struct HandleKind;

template <class T>
Napi::Value make_handle(Napi::Env env, T value) {
  auto owned = std::make_unique<T>(std::move(value));
  const auto free = [](napi_env, void* value, void*) { delete static_cast<T*>(value); };
  napi_value handle;
  if (napi_create_external(env, owned.get(), free, nullptr, &handle) != napi_ok) throw Napi::Error::New(env);
  owned.release();
  if (napi_type_tag_object(env, handle, &HandleKind<T>::kTag) != napi_ok) throw Napi::Error::New(env);
  return {env, handle};
}

template <class T>
T& held_by(Napi::Value handle) {
  const napi_env env = handle.Env();
  bool ours = false;
  void* value = nullptr;
  if (!handle.IsExternal() ||
      napi_check_object_type_tag(env, handle, &HandleKind<T>::kTag, &ours) != napi_ok || !ours ||
      napi_get_value_external(env, handle, &value) != napi_ok)
    throw Failure("ARGUMENT", std::string("Expected the handle of a ") + HandleKind<T>::kName);
  return *static_cast<T*>(value);
}

}  // namespace local_entropy
