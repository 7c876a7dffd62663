// Philox and the normals as the kernels have them: published vectors, the reference's bits, the mapping of
// positions, and what is written to memory.
#include <cinttypes>
#include <cstdio>
#include <fstream>

#include "../../test/harness.h"
#include "../gaussian.h"
#include "../philox.h"

namespace native_test {

using namespace local_entropy;

namespace {

const Register words("cuda philox: test/vectors/philox.txt", [] {
  std::ifstream file(vectors_directory() + "/philox.txt");
  if (vectors_directory().empty()) return note("skipped: give --vectors DIRECTORY");
  check(bool(file), "cannot read philox.txt in " + vectors_directory());
  int lines = 0;
  for (std::string line; std::getline(file, line);) {
    uint32_t c[4], k[2], expected[4];
    if (std::sscanf(line.c_str(), "philox4x32 10 %x %x %x %x %x %x %x %x %x %x", c, c + 1, c + 2, c + 3, k,
                    k + 1, expected, expected + 1, expected + 2, expected + 3) != 10)
      continue;
    lines++;
    const Words got = philox(uint64_t(k[1]) << 32 | k[0], c[0], c[1], c[2], c[3]);
    for (int i = 0; i < 4; i++) check(got.at[i] == expected[i], line);
  }
  check(lines >= 3, "fewer than 3 vectors");
  note(std::to_string(lines) + " vectors");
});

// The counter's words stand as (block, index, update, stream) in the file of normals too.
const Register normals("cuda gaussian: test/vectors/normals.txt, by position and by block", [] {
  std::ifstream file(vectors_directory() + "/normals.txt");
  if (vectors_directory().empty()) return note("skipped: give --vectors DIRECTORY");
  int lines = 0;
  for (std::string line; std::getline(file, line);) {
    Noise noise;
    uint32_t position, expected;
    if (std::sscanf(line.c_str(), "%" SCNx64 " %u %u %u %u %x", &noise.seed, &noise.stream, &noise.update,
                    &noise.index, &position, &expected) != 6)
      continue;
    lines++;
    check(bits_of(normal_at(noise, position)) == expected, "normal_at: " + line);
    const uint32_t block = block_of(position), component = component_of(position);
    check(bits_of(normals_of_block(noise, block).at[component]) == expected, "normals_of_block: " + line);
    check(position_of(block, component) == position, "position_of: " + line);
  }
  check(lines > 100, "fewer than 100 vectors");
  note(std::to_string(lines) + " vectors");
});

const Register memory("cuda gaussian: written to memory, nothing past the end", [] {
  const Noise noise{0xfedcba9876543210ull, 17, 5, 9};
  for (size_t count : {0, 1, 15, 16, 17, 63, 64, 65, 1000, 5000, 16384, 16385}) {
    DeviceArray<float> out(count + 1);
    const float guard = -1234.5f;
    upload(nullptr, out.data() + count, &guard, sizeof guard);
    gaussian_fill(nullptr, noise, count, out.data());
    const std::vector<float> got = out.read(nullptr);
    for (size_t i = 0; i < count; i++)
      check(bits_of(got[i]) == bits_of(normal_at(noise, i)), "position " + std::to_string(i));
    check(got[count] == guard, "written past " + std::to_string(count));
  }
});

}  // namespace

}  // namespace native_test
