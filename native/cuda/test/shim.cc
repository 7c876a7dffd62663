// The host shim itself, in both orders of threads: barriers, and that a missing one is seen.
#include <numeric>

#include "../../test/harness.h"
#include "../machine/device.h"

namespace native_test {

using namespace local_entropy;

namespace {

template <class Body>
void in_both_orders(Body body) {
  for (const bool reverse : {false, true}) {
    shim_reverse = reverse;
    body();
  }
  shim_reverse = false;
}

// out[t] = value of the thread across the block; without its barrier it must be wrong in one order at least.
template <bool kBarrier>
__global__ void across(const int* in, int* out) {
  int* shared = dynamic_shared<int>();
  const unsigned t = threadIdx.x;
  shared[t] = in[blockIdx.x * blockDim.x + t];
  if (kBarrier) __syncthreads();
  out[blockIdx.x * blockDim.x + t] = shared[blockDim.x - 1 - t];
}

template <bool kBarrier>
int wrong_across() {
  constexpr unsigned kBlocks = 3, kThreads = 70;
  std::vector<int> in(kBlocks * kThreads), out(in.size());
  std::iota(in.begin(), in.end(), 1);
  launch(across<kBarrier>, {kBlocks, kThreads, kThreads * sizeof(int)}, nullptr, in.data(), out.data());
  int wrong = 0;
  for (unsigned b = 0; b < kBlocks; b++)
    for (unsigned t = 0; t < kThreads; t++)
      wrong += out[b * kThreads + t] != in[b * kThreads + kThreads - 1 - t];
  return wrong;
}

const Register barriers("shim: barriers order shared memory, and a missing one is seen", [] {
  in_both_orders([] {
    check(wrong_across<true>() == 0, "with the barrier");
    check(wrong_across<false>() > 0, "without it nothing was wrong");
  });
});

__global__ void diverge() {
  if (threadIdx.x < 7)
    __syncthreads();
  else
    __syncwarp();
}

const Register divergence("shim: threads at different barriers are an error", [] {
  std::string what;
  try {
    launch(diverge, {1, 64}, nullptr);
  } catch (const DeviceError& error) {
    what = error.what();
  }
  check(what.find("different barriers") != std::string::npos, "nothing was thrown");
});

__global__ void nothing() {}

const Register launches("shim: a launch that no device takes is an error", [] {
  launch(nothing, {dim3(1, 65535), 1, shared_memory_per_block()}, nullptr);
  for (const Launch& shape : {Launch{dim3(1, 65536), 1}, Launch{dim3(1, 1, 65536), 1}, Launch{0, 32},
                              Launch{1, 1025}, Launch{1, 0}, Launch{1, 1, shared_memory_per_block() + 1}}) {
    std::string what;
    try {
      launch(nothing, shape, nullptr);
    } catch (const DeviceError& error) {
      what = error.what();
    }
    check(what.find("No device can launch") != std::string::npos, "nothing was thrown");
  }
});

__global__ void add_one(int* value) { *value += 1; }

const Register recordings("shim: a recording runs when it is started, or never, and nothing waits in it", [] {
  int value = 0;
  Recording recording(nullptr);
  for (const int expected : {2, 4}) {
    recording.begin();
    for (int i = 0; i < 2; i++) launch(add_one, {1, 1}, nullptr, &value);
    check(value == expected - 2, "begun before the start");
    recording.start();
    check(value == expected, "not run");
  }
  recording.begin();
  launch(add_one, {1, 1}, nullptr, &value);
  bool thrown = false;
  try {
    wait(nullptr);
  } catch (const DeviceError&) {
    thrown = true;
  }
  recording.drop();
  check(thrown && value == 4, "waited, or run although dropped");
});

}  // namespace

}  // namespace native_test
