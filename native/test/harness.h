// A test is a named function that fails by calling `check`; main.cc runs them and counts.
#pragma once
#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "../backend.h"

namespace native_test {

struct Test {
  std::string name;
  std::function<void()> body;
};

std::vector<Test>& tests();

struct Register {
  Register(const std::string& name, std::function<void()> body) {
    tests().push_back({name, std::move(body)});
  }
};

bool quick();  // whether few cases will do, one of each kernel at least: of --quick

// Notes a failure of the running test; the first ten are printed.
void check(bool good, const std::string& what);
// |a - b| <= absolute + relative |b|, index by index.
void check_close(const std::vector<float>& a, const std::vector<float>& b, double absolute, double relative,
                 const std::string& what);
void check_near(double a, double b, double bound, const std::string& what);
// Printed after the test's line.
void note(const std::string& text);

// kernels->gaussian on a team of its own.
inline void draw(const local_entropy::Kernels* kernels, uint64_t seed, uint32_t stream, uint32_t update,
                 uint32_t index, size_t count, float* out, unsigned threads = 1) {
  const std::atomic<bool> never{false};
  local_entropy::Executor* executor = local_entropy::new_executor(threads);
  check(kernels->gaussian(seed, stream, update, index, count, {executor, &never}, out), "cancelled");
  local_entropy::delete_executor(executor);
}

std::string vectors_directory();       // of --vectors, or empty
int bench(const std::string& filter);  // the lines that have the filter's text

}  // namespace native_test
