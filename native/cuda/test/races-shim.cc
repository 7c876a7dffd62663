// The checker of races (shim/races.cc), in both orders of threads: what it must tell, and what not.
#include "../../test/harness.h"
#include "../machine/device.h"

namespace native_test {

using namespace local_entropy;

namespace {

enum class Order { kNothing, kShuffle, kWarp, kBlock };

template <Order kOrder>
__device__ inline void put_in_order() {
  if (kOrder == Order::kShuffle) __shfl_xor_sync(kWarp, 0, 1);
  if (kOrder == Order::kWarp) __syncwarp();
  if (kOrder == Order::kBlock) __syncthreads();
}

// Each thread writes a word and reads that of the thread `apart` from it.
template <class T, Order kOrder>
__global__ void write_then_read(unsigned apart, T* out) {
  T* shared = dynamic_shared<T>();
  const unsigned t = threadIdx.x;
  shared[t] = T(t);
  put_in_order<kOrder>();
  out[blockIdx.x * blockDim.x + t] = shared[t ^ apart];
}

// Two threads of a warp read what a thread writes.
template <Order kOrder>
__global__ void read_then_write(unsigned writer, int* value, int* out) {
  __shared__ int shared;
  if (threadIdx.x == 0) shared = *value;
  __syncthreads();
  if (threadIdx.x < 2) out[threadIdx.x] = shared;
  put_in_order<kOrder>();
  if (threadIdx.x == writer) shared = 1;
}

// Blocks that write a word each, or one that all do, or read what the first writes.
__global__ void own_words(int* out) { out[blockIdx.x] = 1; }
__global__ void one_word(int* out) { *out = 1; }
__global__ void others_word(int* out) {
  if (blockIdx.x == 0)
    out[0] = 1;
  else
    out[blockIdx.x] = out[0];
}
__global__ void count(unsigned long long* out) { atomicAdd(out, 1ull); }

template <class Work>
void expect_races(bool any, const char* what, Work work) {
  for (const bool reverse : {false, true}) {
    shim_reverse = reverse;
    work();
    check((shim_take_races() > 0) == any, std::string(what) + (any ? ": not told" : ": told"));
  }
  shim_reverse = false;
}

const Register races("races: those within a warp, a block and a grid are told, and no others", [] {
  constexpr unsigned kThreads = 96;
  int out[2 * kThreads] = {}, value = 3;
  const auto write_read = [&](auto kernel, unsigned apart) {
    return [&, kernel, apart] { launch(kernel, {2, kThreads, kThreads * sizeof(int)}, nullptr, apart, out); };
  };
  expect_races(false, "own words", write_read(write_then_read<int, Order::kNothing>, 0));
  expect_races(true, "no barrier", write_read(write_then_read<int, Order::kNothing>, 1));
  expect_races(true, "a shuffle", write_read(write_then_read<int, Order::kShuffle>, 1));
  expect_races(false, "the warp's barrier", write_read(write_then_read<int, Order::kWarp>, 1));
  expect_races(true, "the warp's barrier, another warp", write_read(write_then_read<int, Order::kWarp>, 32));
  expect_races(false, "the block's barrier", write_read(write_then_read<int, Order::kBlock>, 32));
  int16_t halves[2 * kThreads];
  const auto write_read_half = [&](auto kernel, unsigned apart) {
    return [&, kernel, apart] {
      launch(kernel, {2, kThreads, kThreads * sizeof(int)}, nullptr, apart, halves);
    };
  };
  expect_races(false, "own halves", write_read_half(write_then_read<int16_t, Order::kNothing>, 0));
  expect_races(true, "halves, no barrier", write_read_half(write_then_read<int16_t, Order::kNothing>, 1));

  const auto read_write = [&](auto kernel, unsigned writer) {
    return [&, kernel, writer] { launch(kernel, {1, kThreads}, nullptr, writer, &value, out); };
  };
  for (const unsigned writer : {0u, 1u, 2u}) {
    expect_races(true, "a reader", read_write(read_then_write<Order::kNothing>, writer));
    expect_races(false, "a reader, the warp's barrier", read_write(read_then_write<Order::kWarp>, writer));
  }
  expect_races(true, "a reader of another warp", read_write(read_then_write<Order::kWarp>, 40));
  expect_races(false, "a reader, the block's barrier", read_write(read_then_write<Order::kBlock>, 40));

  const auto of_blocks = [&](auto kernel) { return [&, kernel] { launch(kernel, {3, 1}, nullptr, out); }; };
  expect_races(false, "blocks' own words", of_blocks(own_words));
  expect_races(true, "one word of all blocks", of_blocks(one_word));
  expect_races(true, "another block's word", of_blocks(others_word));
  unsigned long long counted = 0;
  expect_races(false, "atomics", [&] { launch(count, {3, 64}, nullptr, &counted); });
  check(counted == 2 * 3 * 64, "not counted");
});

}  // namespace

}  // namespace native_test
