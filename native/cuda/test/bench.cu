// Times of the kernels, by the device's own clock; `cuda-test --bench`. Not a test.
#include <cstdio>

#include "../../test/harness.h"
#include "../gaussian.h"

namespace native_test {

using namespace local_entropy;

int bench(const std::string&) {
  constexpr size_t kCount = size_t(1) << 28;
  const Stream stream = new_stream();
  const DeviceArray<float> out(kCount);
  const auto fill = [&] { gaussian_fill(stream, {1, 16, 0, 0}, kCount, out.data()); };
  fill();
  const double best = device_milliseconds(stream, 10, fill);
  std::printf("gaussian to memory: %.1f billion a second\n", double(kCount) / best / 1e6);
  delete_stream(stream);
  return 0;
}

}  // namespace native_test
