// Philox and the normals: known-answer vectors, and identical bits from every target.
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

#include "harness.h"
#include "problem.h"

namespace native_test {

namespace {

uint32_t bits(float x) {
  uint32_t word;
  std::memcpy(&word, &x, sizeof word);
  return word;
}

const Register vectors("gaussian: test/vectors/normals.txt on every target", [] {
  std::ifstream file(vectors_directory() + "/normals.txt");
  if (vectors_directory().empty()) return note("skipped: give --vectors DIRECTORY");
  check(bool(file), "cannot read normals.txt in " + vectors_directory());
  int lines = 0;
  for (std::string line; std::getline(file, line);) {
    uint64_t seed;
    uint32_t stream, update, index, position, expected;
    if (std::sscanf(line.c_str(), "%" SCNx64 " %u %u %u %u %x", &seed, &stream, &update, &index, &position,
                    &expected) != 6)
      continue;
    lines++;
    for (const Kernels* kernels : all_kernels()) {
      std::vector<float> out(position + 1);
      draw(kernels, seed, stream, update, index, out.size(), out.data());
      check(bits(out[position]) == expected, std::string(kernels->name) + ": " + line);
    }
  }
  check(lines > 100, "fewer than 100 vectors");
  note(std::to_string(lines) + " vectors");
});

const Register targets("gaussian: the same bits from every target, nothing past the end", [] {
  const std::vector<const Kernels*> all = all_kernels();
  for (size_t count = 0; count < 200; count++) {
    std::vector<float> first(count);
    draw(all[0], 0xfedcba9876543210ull, 17, 5, uint32_t(count), count, first.data());
    for (const Kernels* kernels : all) {
      std::vector<float> out(count + 32, -1234.5f);
      draw(kernels, 0xfedcba9876543210ull, 17, 5, uint32_t(count), count, out.data() + 16);
      check(count == 0 || std::memcmp(first.data(), out.data() + 16, count * sizeof(float)) == 0,
            std::string(kernels->name) + " differs, count " + std::to_string(count));
      for (size_t i = 0; i < 16; i++)
        check(out[i] == -1234.5f && out[16 + count + i] == -1234.5f, "written outside");
    }
  }
  std::vector<float> a((1 << 20) + 33), b(a.size());
  draw(all.back(), 7, 16, 0, 0, a.size(), a.data());
  for (const Kernels* kernels : all) {
    for (const unsigned threads : {1u, 2u, 3u}) {
      std::fill(b.begin(), b.end(), 0.0f);
      draw(kernels, 7, 16, 0, 0, b.size(), b.data(), threads);
      check(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0,
            std::string(kernels->name) + " differs, threads " + std::to_string(threads));
    }
  }
});

const Register dispatch("dispatch: the table asked for, and a sentence for a name that is not there", [] {
  std::string why;
  for (const std::string& name : available_kernels()) check(select_kernels(name, &why)->name == name, name);
  check(select_kernels("", &why)->name == available_kernels()[0], "the best is the default");
  check(select_kernels("avx1024", &why) == nullptr, "an unknown name");
  check(why.find("avx1024") != std::string::npos && why.find(available_kernels()[0]) != std::string::npos,
        why);
});

}  // namespace

}  // namespace native_test
