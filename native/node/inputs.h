// Copies of what TypeScript hands over: the objects of src/backends/backend.ts as the structures of
// backend.h.
//
// TypeScript has checked every value; here only lengths are checked, since an array can be detached (then it
// has none). Everything is copied, so that nothing of JavaScript is touched once a call has returned.
#pragma once
#include <napi.h>

#include <string>
#include <vector>

#include "../backend.h"

namespace local_entropy {

constexpr size_t kAnyLength = SIZE_MAX;

// A typed array's entries as T, `expected` of them; `name` is for the error.
template <class T, class Array = std::vector<T>>
Array read_array(Napi::Value value, const char* name, size_t expected);

double read_number(Napi::Object object, const char* name);
uint64_t read_seed(Napi::Object input);  // of key: [low word, high word]
Network read_network(Napi::Object input);
Loss read_loss(Napi::Object input, const Network& network);
// Rows of `width` inputs, with a label each where there are any.
Examples read_examples(Napi::Object samples, size_t width);
Coupling read_coupling(Napi::Object input);
Estimator read_estimator(Napi::Object estimator);
Optimizer read_optimizer(Napi::Object input);
std::vector<Floats> read_moments(Napi::Object input, const Optimizer& optimizer, size_t parameters);

}  // namespace local_entropy
