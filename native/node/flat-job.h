// What TypeScript hands over: a flat job (src/backends/description.ts), numbers by place and arrays by name,
// read into the structures of backend.h.
//
// TypeScript has checked every value; here what memory depends on is checked: kinds, and lengths, since an
// array can be detached (then it has none). Everything is copied, so that nothing of JavaScript is touched
// once a call has returned.
#pragma once
#include <napi.h>

#include <array>
#include <string>
#include <vector>

#include "../backend.h"

namespace local_entropy {

class FlatJob {
 public:
  FlatJob(Napi::Value scalars, Napi::Value arrays);
  explicit FlatJob(Napi::Value job);  // an object {scalars, arrays}

  double number(Scalar scalar) const { return scalars_[size_t(scalar)]; }
  uint64_t whole(Scalar scalar) const;  // an integer below 2^53
  uint32_t word(Scalar scalar) const;
  bool flag(Scalar scalar) const { return number(scalar) != 0; }
  OperationKind operation() const;

  bool has(const char* name) const;
  // A typed array's entries as T, `expected` of them.
  template <class T, class Array = std::vector<T>>
  Array array(const char* name, size_t expected) const;
  template <class T, class Array = std::vector<T>>
  Array array(const char* name) const {
    return array<T, Array>(name, length(name));
  }
  size_t length(const char* name) const;
  Napi::Float32Array floats_in_place(const char* name) const;

  uint64_t seed() const;
  Network network() const;
  Loss loss(const Network& network) const;
  // Rows of `width` inputs, with a label each where there are any. Without inputs there is room for them,
  // which append_inputs fills.
  Examples examples(size_t width) const;
  Estimator estimator() const;
  Optimizer optimizer() const;
  std::vector<Floats> moments(const Optimizer& optimizer, size_t parameters) const;

 private:
  template <class Kind>
  Kind kind(Scalar scalar, size_t count, const char* what) const;
  Coupling coupling() const;

  std::array<double, kScalars> scalars_;
  Napi::Object arrays_;
};

// Copies the next inputs of `rows`, which have room for no more than theirs.
void append_inputs(Examples& rows, Napi::Value inputs);

}  // namespace local_entropy
