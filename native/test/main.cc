// native-test [--filter TEXT] … [--quick] [--vectors DIRECTORY] [--bench]: one line a test, then "N passed, N
// failed" (and ", N skipped"), and a non-zero exit where one failed. A test runs if its name has the text of
// one of the filters; --quick lets slow tests take fewer cases, or none.
// --bench prints times instead, of the lines that have the last filter's text.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>

#include "harness.h"

namespace native_test {

namespace {
int failures = 0;
std::string notes, vectors;
bool quickly = false;
}  // namespace

bool quick() { return quickly; }

std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

void check(bool good, const std::string& what) {
  if (good) return;
  if (failures++ < 10) notes += "\n    " + what;
}

void note(const std::string& text) { notes += " (" + text + ")"; }

void check_near(double a, double b, double bound, const std::string& what) {
  char text[256];
  std::snprintf(text, sizeof text, "%s: %.9g is not within %.3g of %.9g", what.c_str(), a, bound, b);
  check(std::abs(a - b) <= bound, text);  // false for NaN
}

void check_close(const std::vector<float>& a, const std::vector<float>& b, double absolute, double relative,
                 const std::string& what) {
  check(a.size() == b.size(), what + ": sizes differ");
  for (size_t i = 0; i < std::min(a.size(), b.size()); i++)
    check_near(a[i], b[i], absolute + relative * std::abs(b[i]), what + "[" + std::to_string(i) + "]");
}

std::string vectors_directory() { return vectors; }

}  // namespace native_test

int main(int count, char** arguments) {
  using namespace native_test;
  std::vector<std::string> filters;
  bool times = false;
  for (int i = 1; i < count; i++) {
    if (!std::strcmp(arguments[i], "--bench"))
      times = true;
    else if (!std::strcmp(arguments[i], "--filter") && i + 1 < count)
      filters.push_back(arguments[++i]);
    else if (!std::strcmp(arguments[i], "--quick"))
      quickly = true;
    else if (!std::strcmp(arguments[i], "--vectors") && i + 1 < count)
      vectors = arguments[++i];
    else
      return std::fprintf(stderr,
                          "Expected --filter TEXT, --quick, --vectors DIRECTORY or --bench but received %s\n",
                          arguments[i]),
             2;
  }
  if (filters.empty()) filters.push_back("");
  if (times) return bench(filters.back());
  int passed = 0, failed = 0;
  for (const Test& test : tests()) {
    const auto named = [&](const std::string& text) { return test.name.find(text) != std::string::npos; };
    if (std::none_of(filters.begin(), filters.end(), named)) continue;
    const auto start = std::chrono::steady_clock::now();
    failures = 0;
    notes.clear();
    try {
      test.body();
    } catch (const std::exception& error) {
      check(false, std::string("threw: ") + error.what());
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    if (seconds.count() >= 1) note(std::to_string(int(seconds.count() + 0.5)) + " s");
    std::printf("%s %s%s\n", failures ? "FAIL" : "ok  ", test.name.c_str(), notes.c_str());
    std::fflush(stdout);
    (failures ? failed : passed)++;
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed > 0 || passed == 0;
}
