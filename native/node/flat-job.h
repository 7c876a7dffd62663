// What TypeScript hands over: a flat job (src/backends/description.ts), numbers by place and arrays by name,
// read into the structures of backend.h.
//
// TypeScript has checked every value for what it means, and says what is wrong in the words of its options.
// Here whatever memory depends on is checked once more: kinds, counts, lengths, and numbers of rows and
// classes, in the copies, which nobody can change any more. So no job, however wrong, reads or writes where
// it must not. Everything is copied, so that nothing of JavaScript is touched once a call has returned; but
// normals are written in place, into an array that nobody else may have before the job is done.
#pragma once
#include <napi.h>

#include <array>
#include <string>
#include <vector>

#include "../backend.h"
#include "failure.h"

namespace local_entropy {

// A typed array; one that was detached has no entries.
struct View {
  napi_typedarray_type type;
  size_t length;
  void* data;

  size_t bytes() const;
};
View view_of(Napi::Value value, const char* name);

// A whole number from `least` to `most`.
uint64_t whole_number(Napi::Value value, const char* name, uint64_t least, uint64_t most);

class FlatJob {
 public:
  FlatJob(Napi::Value scalars, Napi::Value arrays);
  explicit FlatJob(Napi::Value job);  // an object {scalars, arrays}

  double number(Scalar scalar) const { return scalars_[size_t(scalar)]; }
  uint64_t whole(Scalar scalar) const;  // an integer below 2^53
  uint32_t word(Scalar scalar) const;
  uint32_t positive(Scalar scalar, const char* what) const;
  bool flag(Scalar scalar) const { return number(scalar) != 0; }
  OperationKind operation() const;

  bool has(const char* name) const;
  // A typed array's entries as T: `expected` of them, or as many as there are.
  template <class T, class Array = std::vector<T>>
  Array array(const char* name, size_t expected = kAny) const;
  // A Float32Array and where its entries lie.
  Napi::Object floats_in_place(const char* name, View* view) const;

  // A plan's row numbers: count x per_update, each one of the examples'.
  std::vector<uint32_t> rows(size_t count, size_t per_update, size_t examples) const;

  uint64_t seed() const;
  Network network() const;
  Loss loss(const Network& network) const;
  LossKind loss_kind() const;
  // What the loss reads of a row.
  Reads read_by_loss() const { return kReads[size_t(loss_kind())]; }
  // Rows of the network's inputs, each with what is read beside, and with labels where there are some. Where
  // inputs may follow and are not there, there is room for them, which append_inputs fills.
  Examples examples(const Network& network, Reads read, bool may_follow = false) const;
  // Of a loss that is given, those of an update's samples and of x, each of as many rows, `count` times.
  std::vector<float> row_losses(const Estimator& estimator, const Network& network, size_t rows,
                                size_t count) const;
  Estimator estimator(const Network& network) const;
  Optimizer optimizer() const;
  std::vector<Floats> moments(const Optimizer& optimizer, size_t parameters) const;

 private:
  static constexpr size_t kAny = SIZE_MAX;
  template <class Kind>
  Kind kind(Scalar scalar, size_t count, const char* what) const;
  Coupling coupling(const Network& network) const;

  std::array<double, kScalars> scalars_;
  Napi::Object arrays_;
};

// Rows of an update's samples and of x, of `rows` each; refuses an estimator that has no samples.
size_t sampled_rows(const Estimator& estimator, const Network& network, size_t rows);

// Copies the next inputs of `rows`, which have room for no more than theirs.
void append_inputs(Examples& rows, Napi::Value inputs);

}  // namespace local_entropy
