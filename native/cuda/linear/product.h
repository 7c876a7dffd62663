// Products of matrices by tiles in registers, many of one shape at a time:
//
//   C = out(start + A B), A (rows x depth), B (depth x columns), C (rows x columns)
//
// Every entry is a sum in order of k within fixed pieces of the depth, and of the pieces in order: the pieces
// depend on the shape alone, so the bits depend on nothing else.
#pragma once
#include "../machine/question.h"
#include "activation.h"

namespace local_entropy {

// A(i, k) = a[i row + k column]; row number `ones` is all ones: a column of ones of A^l, transposed.
struct StridedLeft {
  const float* a;
  size_t row, column, next = 0;
  size_t ones = SIZE_MAX;

  __device__ bool along_depth() const { return column == 1; }
  __device__ float at(size_t i, size_t k, size_t number) const {
    return i == ones ? 1.0f : a[number * next + i * row + k * column];
  }
};

// A^0 without its column of ones, or A^0 transposed with it. The same for every product.
struct InputsLeft {
  DeviceBatch batch;
  bool transposed;

  __device__ bool along_depth() const { return !transposed; }
  __device__ float at(size_t i, size_t k, size_t) const {
    if (!transposed) return input_at(batch, i, k);
    return i < batch.examples.width ? input_at(batch, k, i) : 1.0f;
  }
};

// What is done to an entry last.
enum class Finish : uint8_t { kNothing, kActivate, kSlope };

struct Product {
  size_t rows, columns, depth;
  const float* b;  // B(k, j) = b[k b_row + j b_column]
  size_t b_row, b_column;
  const float* start;  // row-major; null: 0
  size_t start_row;    // 0: one row for all
  float* c;
  size_t c_row;
  size_t count = 1, b_next = 0, start_next = 0, c_next = 0;  // products, and the steps from one to the next
  // kActivate: the activation; kSlope: times its slope where `activated` (as C) is its value.
  Finish finish = Finish::kNothing;
  Activation activation = Activation::kRelu;
  const float* activated = nullptr;
};

// Enqueue; partial sums come from the arena.
void product(DeviceContext& context, const StridedLeft& left, const Product& p);
void product(DeviceContext& context, const InputsLeft& left, const Product& p);

}  // namespace local_entropy
