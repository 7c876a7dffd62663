// Device memory with an owner, and how much of it work takes at a time.
#pragma once
#include <algorithm>
#include <utility>
#include <vector>

#include "device.h"

namespace local_entropy {

// What an update takes at a time, whatever the device, so that no sum depends on it. Tests take less.
struct Portions {
  size_t floats = size_t(1) << 26;  // of noise and what follows from it: a quarter of a gigabyte
  size_t rows = 8192;               // of a batch, where none needs another
};
inline Portions portions;

// Device memory that an update or operation works in: a stack of 256-byte aligned ranges, emptied by `reset`
// and never returned until the end. After the first update it has one chunk, so nothing is allocated any
// more.
class DeviceArena {
 public:
  DeviceArena() = default;
  DeviceArena(const DeviceArena&) = delete;
  DeviceArena& operator=(const DeviceArena&) = delete;
  ~DeviceArena() { clear(); }

  // Kernels under way may still use the ranges: those of later takers wait behind them in the stream.
  // Recorded ones that have not been started would lose them, so while there are any nothing may be freed.
  void reset(bool may_free = true) {
    const size_t total = std::max(used_, peak_);
    used_ = peak_ = at_ = 0;
    if (chunks_.size() < 2 || !may_free) return;
    clear();
    add(total);
  }

  // `count` of T, uninitialized.
  template <class T>
  T* take(size_t count) {
    const size_t bytes = (count * sizeof(T) + 255) / 256 * 256 + 256;
    if (chunks_.empty() || at_ + bytes > chunks_.back().size) {
      add(bytes > kChunk ? bytes : kChunk);
      at_ = 0;
    }
    char* range = chunks_.back().start + at_;
    at_ += bytes;
    used_ += bytes;
    return reinterpret_cast<T*>(range);
  }

  template <class T>
  T* zeros(Stream stream, size_t count) {
    T* range = take<T>(count);
    zero(stream, range, count * sizeof(T));
    return range;
  }

  size_t used() const { return used_; }  // bytes, since the last reset

  // What a loop takes in each of its rounds: `rewind` gives back all that was taken since its mark.
  struct Mark {
    size_t chunks, at, used;
  };
  Mark mark() const { return {chunks_.size(), at_, used_}; }
  void rewind(const Mark& mark) {
    peak_ = std::max(peak_, used_);
    used_ = mark.used;
    at_ = chunks_.size() == mark.chunks ? mark.at : 0;  // chunks added since hold nothing older
  }

 private:
  static constexpr size_t kChunk = size_t(1) << 22;
  struct Chunk {
    char* start;
    size_t size;
  };

  void add(size_t bytes) { chunks_.push_back({static_cast<char*>(allocate(bytes)), bytes}); }
  void clear() {
    for (const Chunk& chunk : chunks_) release(chunk.start);
    chunks_.clear();
  }

  std::vector<Chunk> chunks_;
  size_t at_ = 0, used_ = 0, peak_ = 0;
};

// An array on the device with one owner.
template <class T>
class DeviceArray {
 public:
  DeviceArray() = default;
  explicit DeviceArray(size_t count)
      : data_(static_cast<T*>(count ? allocate(count * sizeof(T)) : nullptr)), count_(count) {}
  template <class Allocator>
  DeviceArray(Stream stream, const std::vector<T, Allocator>& from) : DeviceArray(from.size()) {
    if (count_) upload(stream, data_, from.data(), count_ * sizeof(T));
  }
  DeviceArray(DeviceArray&& other) noexcept { swap(other); }
  DeviceArray& operator=(DeviceArray&& other) noexcept {
    swap(other);
    return *this;
  }
  ~DeviceArray() { release(data_); }

  void swap(DeviceArray& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
  }
  T* data() const { return data_; }
  size_t size() const { return count_; }
  bool empty() const { return count_ == 0; }
  template <class Array = std::vector<T>>
  Array read(Stream stream) const {
    Array to(count_);
    if (count_) download(stream, to.data(), data_, count_ * sizeof(T));
    return to;
  }

 private:
  T* data_ = nullptr;
  size_t count_ = 0;
};

}  // namespace local_entropy
