// Shuffles and reductions: as CUDA defines them, whoever runs them.
#include <numeric>

#include "../../test/harness.h"
#include "../machine/block.h"
#include "../machine/memory.h"

namespace native_test {

using namespace local_entropy;

namespace {

// Under the host shim, which runs a block's threads one after another, from the first and from the last.
template <class Body>
void in_both_orders(Body body) {
#if defined(__CUDACC__)
  body(0);
  body(1);
#else
  for (const int reverse : {0, 1}) {
    shim_reverse = reverse;
    body(reverse);
  }
  shim_reverse = false;
#endif
}

__global__ void reduce(const float* in, float* sum, double* doubles, int* largest) {
  const unsigned t = threadIdx.x;
  sum[t] = block_sum(in[t]);
  doubles[t] = block_sum(double(in[t]) * 3);
  largest[t] = block_largest(int(t * 37 % blockDim.x));
}

const Register reductions("block: sums and maxima, the same bits in every thread and order", [] {
  for (unsigned threads : {32u, 64u, 256u, 1024u}) {
    std::vector<float> in(threads), sums[2];
    for (unsigned t = 0; t < threads; t++) in[t] = 1.0f / float(t + 3);
    const double expected = std::accumulate(in.begin(), in.end(), 0.0);
    in_both_orders([&](int order) {
      const DeviceArray<float> from(nullptr, in), sum_of(threads);
      const DeviceArray<double> doubles_of(threads);
      const DeviceArray<int> largest_of(threads);
      launch(reduce, {1, threads}, nullptr, from.data(), sum_of.data(), doubles_of.data(), largest_of.data());
      const std::vector<float> sum = sums[order] = sum_of.read(nullptr);
      const std::vector<double> doubles = doubles_of.read(nullptr);
      const std::vector<int> largest = largest_of.read(nullptr);
      for (unsigned t = 0; t < threads; t++) {
        check(sum[t] == sum[0] && doubles[t] == doubles[0], "threads differ");
        check(largest[t] == int(threads) - 1, "the largest");
      }
      check_near(sum[0], expected, 1e-6 * expected, "float32 sum");
      check_near(doubles[0], 3 * expected, 1e-12 * expected, "float64 sum");
    });
    check(sums[0] == sums[1], "the orders differ");
  }
});

__global__ void shuffles(unsigned* out) {
  const unsigned lane = threadIdx.x;
  out[lane] = __shfl_xor_sync(kWarp, lane * 10, 5);
  out[32 + lane] = __shfl_sync(kWarp, lane * 10, lane + 3, 8);
  out[64 + lane] = __shfl_down_sync(kWarp, lane * 10, 4);
  out[96 + lane] = __shfl_up_sync(kWarp, lane * 10, 4, 16);
  out[128 + lane] = __ballot_sync(kWarp, lane % 3 == 0);
}

const Register exchange("block: shuffles and votes as CUDA defines them", [] {
  in_both_orders([](int) {
    const DeviceArray<unsigned> out_of(160);
    launch(shuffles, {1, 32}, nullptr, out_of.data());
    const std::vector<unsigned> out = out_of.read(nullptr);
    for (unsigned lane = 0; lane < 32; lane++) {
      check(out[lane] == (lane ^ 5) * 10, "xor");
      check(out[32 + lane] == (lane / 8 * 8 + (lane + 3) % 8) * 10, "by lane");
      check(out[64 + lane] == (lane < 28 ? lane + 4 : lane) * 10, "down");
      check(out[96 + lane] == (lane % 16 >= 4 ? lane - 4 : lane) * 10, "up");
      check(out[128 + lane] == 0x49249249u, "ballot");
    }
  });
});

}  // namespace

}  // namespace native_test
