// Memory that a session keeps between updates: a stack of 64-byte aligned arrays, emptied at the start of
// each operation and never returned until the end. Only the thread that runs the operation takes from it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace local_entropy {

class Workspace {
 public:
  void reset() {
    if (blocks_.size() > 1) {  // one block that would have held everything
      const size_t total = used_;
      blocks_.clear();
      add(total);
    }
    used_ = at_ = 0;
  }

  // `count` of T, uninitialized.
  template <class T>
  T* take(size_t count) {
    const size_t bytes = (count * sizeof(T) + 63) / 64 * 64 + 64;  // kernels may read one vector past the end
    if (blocks_.empty() || at_ + bytes > blocks_.back().size) {
      add(bytes > kBlock ? bytes : kBlock);
      at_ = 0;
    }
    char* taken = blocks_.back().start + at_;
    at_ += bytes;
    used_ += bytes;
    return reinterpret_cast<T*>(taken);
  }

  // `count` zeros.
  template <class T>
  T* zeros(size_t count) {
    T* zeros = take<T>(count);
    for (size_t i = 0; i < count; i++) zeros[i] = T(0);
    return zeros;
  }

  // `rows` of `stride` floats: zeros from `used` on, the rest uninitialized.
  float* padded(size_t rows, size_t used, size_t stride) {
    float* array = take<float>(rows * stride);
    for (size_t r = 0; r < rows; r++)
      for (size_t i = used; i < stride; i++) array[r * stride + i] = 0;
    return array;
  }

 private:
  static constexpr size_t kBlock = size_t(1) << 18;
  struct Block {
    std::unique_ptr<char[]> memory;
    char* start;
    size_t size;
  };

  void add(size_t bytes) {
    std::unique_ptr<char[]> memory(new char[bytes + 64]);
    char* start = memory.get() + (64 - reinterpret_cast<uintptr_t>(memory.get()) % 64) % 64;
    blocks_.push_back({std::move(memory), start, bytes});
  }

  std::vector<Block> blocks_;
  size_t at_ = 0, used_ = 0;
};

}  // namespace local_entropy
