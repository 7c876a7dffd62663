// Philox and the normals as the kernels have them: published vectors, the reference's bits, the mapping of
// positions, and what is written to memory.
#include <cinttypes>
#include <cstdio>
#include <fstream>

#include "../../test/harness.h"
#include "../machine/memory.h"
#include "../random/gaussian.h"
#include "../random/philox.h"

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
    const Words got = philox(PhiloxKeys(uint64_t(k[1]) << 32 | k[0]), c[0], c[1], c[2], c[3]);
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

// The parts of a normal as src/reference/random/gaussian.ts writes them, without what gaussian.h saves.
float plain_radius(uint32_t word) {
  const float u = float(word) * 0x1p-32f + 0x1p-33f;
  const int32_t shifted = int32_t(bits_of(u)) - 0x3f3504f3;
  const float e = float(shifted >> 23);
  const float t = from_bits(uint32_t((shifted & 0x7fffff) + 0x3f3504f3)) - 1;
  float p = float(0.06915147);
  for (double c :
       {-0.11789696, 0.118730165, -0.1238437, 0.14218655, -0.1666925, 0.20002227, -0.24999987, 0.3333331})
    p = p * t + float(c);
  const float t2 = t * t, y = ((p * t2) * t + e * float(-2.12194440e-4)) - 0.5f * t2;
  return std::sqrt(-2 * ((t + y) + e * 0.693359375f));
}

void plain_sine_cosine(uint32_t word, float* sine, float* cosine) {
  const uint32_t q = (word + 0x20000000u) >> 30;
  const float t = float(int32_t(word - (q << 30))) * 0x1p-30f, t2 = t * t;
  float ps = float(-0.0046053096), pc = float(0.00090376654);
  for (double c : {0.079681575, -0.64596367, -4.371139e-8}) ps = ps * t2 + float(c);
  for (double c : {-0.020860165, 0.25366923, -1.2337005}) pc = pc * t2 + float(c);
  const float s = t * float(1.5707963705062866) + t * ps, c = 1 + pc * t2;
  *sine = (q & 1 ? c : s) * (q & 2 ? -1.0f : 1.0f);
  *cosine = (q & 1 ? s : c) * ((q + 1) & 2 ? -1.0f : 1.0f);
}

// of (3 count): radius, sine and cosine of each word.
__global__ void parts_of_normals(const uint32_t* words, size_t count, float* of) {
  const size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= count) return;
  of[3 * i] = radius(words[i]);
  sine_cosine(words[i], of + 3 * i + 1, of + 3 * i + 2);
}

const Register parts("cuda gaussian: radius and angle of words from one end to the other, bit by bit", [] {
  std::vector<uint32_t> words;
  for (uint64_t w = 0; w < uint64_t(1) << 32; w += 65521) words.push_back(uint32_t(w));
  for (uint32_t w = 0; w < 1000; w++)  // u near 0 and 1, angles beside each eighth of a turn
    for (uint32_t eighth = 0; eighth < 8; eighth++) words.push_back((eighth << 29) + w - 500);
  const DeviceArray<uint32_t> given(nullptr, words);
  DeviceArray<float> of(3 * words.size());
  launch(parts_of_normals, {blocks_for(words.size(), 256), 256}, Stream(nullptr), given.data(), words.size(),
         of.data());
  const std::vector<float> got = of.read(nullptr);
  for (size_t i = 0; i < words.size(); i++) {
    float expected[3];
    expected[0] = plain_radius(words[i]);
    plain_sine_cosine(words[i], expected + 1, expected + 2);
    for (int k = 0; k < 3; k++)
      check(bits_of(got[3 * i + k]) == bits_of(expected[k]), "word " + std::to_string(words[i]));
  }
  note(std::to_string(words.size()) + " words");
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
