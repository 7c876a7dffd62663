// exp, 2^x, log(1 + x), tanh and quotients of every target in ulp of double precision, Philox's known-answer
// vectors, and the Walsh-Hadamard transform by its definition.
#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <fstream>

#include "harness.h"
#include "math-target.h"
#include "problem.h"

namespace native_test {

namespace {

std::vector<MathTarget> math_targets() {
  std::vector<MathTarget> found;
  for (const std::string& name : available_kernels()) {
#if defined(__x86_64__)
    if (name == "sse4") found.push_back(sse4::kMath);
    if (name == "avx2") found.push_back(avx2::kMath);
    if (name == "avx512") found.push_back(avx512::kMath);
#else
    found.push_back(neon::kMath);
#endif
  }
  return found;
}

// Worst error in ulp over 400,000 points of [from, to], spaced evenly, and as many by powers of two.
double worst_ulp(const MathTarget& target, void (*function)(const float*, float*), double (*exact)(double),
                 double from, double to) {
  double worst = 0;
  float in[16], out[16];
  const int points = 400000;
  for (int i = 0; i + 16 <= 2 * points; i += int(target.lanes)) {
    for (size_t lane = 0; lane < target.lanes; lane++) {
      const double t = double((i + int(lane)) % points) / points;
      in[lane] = float(i < points ? from + (to - from) * t : to * std::exp2(-40 * t));
    }
    function(in, out);
    for (size_t lane = 0; lane < target.lanes; lane++) {
      const double right = exact(double(in[lane]));
      const double ulp = std::ldexp(1.0, std::ilogb(right == 0 ? 1e-30 : right) - 23);
      const double error = std::abs(out[lane] - right) / ulp;
      worst = error <= worst ? worst : error;
    }
  }
  return worst;
}

const Register functions("math: exp, exp2, log1p and tanh within their bounds", [] {
  for (const MathTarget& target : math_targets()) {
    const double e = worst_ulp(target, target.exp, std::exp, -87, 87);
    const double e2 = worst_ulp(target, target.exp2, std::exp2, -125, 127);
    const double l = worst_ulp(target, target.log1p, std::log1p, 0, 1000);
    const double t = worst_ulp(target, target.tanh, std::tanh, -12, 12);
    char text[128];
    std::snprintf(text, sizeof text, "%s: exp %.2f, exp2 %.2f, log1p %.2f, tanh %.2f ulp", target.name, e, e2,
                  l, t);
    note(text);
    check(e <= 2 && e2 <= 3 && l <= 2 && t <= 3, text);
    float in[16], out[16];
    for (float& x : in) x = std::nanf("");
    for (const auto function : {target.exp, target.exp2, target.log1p, target.tanh}) {
      function(in, out);
      check(std::isnan(out[0]), "NaN is lost");
    }
    for (float& x : in) x = -std::numeric_limits<float>::infinity();
    target.exp(in, out);
    check(out[0] == 0, "exp of -infinity");
    for (float& x : in) x = -1e30f;
    target.exp2(in, out);
    check(out[0] >= 0 && out[0] <= std::exp2(-126.0f) * 1.000001f, "exp2 of little");
    for (float& x : in) x = 1e30f;
    target.exp2(in, out);
    check(out[0] >= std::exp2(126.9f), "exp2 of much");
  }
});

const Register quotients("math: a quotient within 3 ulp", [] {
  Random random{7};
  const auto any = [&] { return float((random.uniform() - 0.5) * std::exp2(60 * random.uniform() - 30)); };
  for (const MathTarget& target : math_targets()) {
    double worst = 0;
    for (int i = 0; i < 100000; i++) {
      float a[16], b[16], out[16];
      for (size_t lane = 0; lane < target.lanes; lane++) a[lane] = any(), b[lane] = std::abs(any());
      target.quotient(a, b, out);
      for (size_t lane = 0; lane < target.lanes; lane++) {
        const double right = double(a[lane]) / double(b[lane]);
        worst = std::max(worst, std::abs(out[lane] - right) / std::ldexp(1.0, std::ilogb(right) - 23));
      }
    }
    float a[16], b[16], out[16];
    for (size_t lane = 0; lane < target.lanes; lane++)
      a[lane] = 1, b[lane] = std::numeric_limits<float>::infinity();
    target.quotient(a, b, out);
    check(out[0] >= 0 && out[0] < 1e-37f, std::string(target.name) + ": 1/infinity");  // NaN is neither
    check(worst <= 3, std::string(target.name) + ": " + std::to_string(worst) + " ulp");
  }
});

// A list's numbers and values: every byte b as float(b)/255, in order, zeros left out.
const Register lists("rows: inputs that are not zero, listed whole vectors at a time", [] {
  for (const MathTarget& target : math_targets()) {
    const uint32_t lanes = uint32_t(target.lanes);
    for (uint32_t shift = 0; shift < 256; shift++) {
      uint8_t bytes[16];
      float floats[16], value[16], from_floats[16];
      uint32_t index[16], other[16], expected = 0;
      for (uint32_t i = 0; i < lanes; i++) {
        bytes[i] = uint8_t((shift + i) * (i % 5 != shift % 5));
        floats[i] = float(bytes[i]) / 255.0f;
      }
      const uint32_t count = target.append_bytes(bytes, 96, index, value);
      if (count > lanes) break;  // it lists them one by one
      check(target.append_floats(floats, 96, other, from_floats) == count, "as many of floats");
      for (uint32_t i = 0; i < lanes; i++) {
        if (bytes[i] == 0) continue;
        check(index[expected] == 96 + i && value[expected] == floats[i], "a byte");
        check(other[expected] == 96 + i && from_floats[expected] == floats[i], "a float");
        expected++;
      }
      check(count == expected, "how many");
    }
  }
});

const Register known("philox: test/vectors/philox.txt on every target", [] {
  if (vectors_directory().empty()) return note("skipped: give --vectors DIRECTORY");
  std::ifstream file(vectors_directory() + "/philox.txt");
  int lines = 0;
  for (std::string line; std::getline(file, line);) {
    uint32_t w[10];
    if (std::sscanf(line.c_str(), "philox4x32 10 %x %x %x %x %x %x %x %x %x %x", w, w + 1, w + 2, w + 3,
                    w + 4, w + 5, w + 6, w + 7, w + 8, w + 9) != 10)
      continue;
    lines++;
    for (const MathTarget& target : math_targets()) {
      uint32_t out[4] = {0, 0, 0, 0};
      target.philox(w, w[4] | uint64_t(w[5]) << 32, out);
      for (int i = 0; i < 4; i++) check(out[i] == w[6 + i], std::string(target.name) + ": " + line);
    }
  }
  check(lines >= 3, "fewer than 3 vectors");
});

// Integers whose sums float32 holds exactly; padded, with zeros that are not read.
const Register transforms("walsh: the transform of 1 to 8192 values by its definition, to the bit", [] {
  Random random{5};
  for (size_t m = 1; m <= 8192; m *= 2) {
    for (const MathTarget& target : math_targets()) {
      const size_t vectors = (m + target.lanes - 1) / target.lanes, half = (vectors + 1) / 2;
      for (const bool padded : {false, true}) {
        const size_t used = half + size_t(random.uniform() * double(vectors - half + 1)),
                     inputs = padded ? std::min(m, used * target.lanes) : m;
        std::vector<float> in(m), expected(m), scratch(m + 16), out(m + 16);
        for (float& x : in) x = float(int(random.uniform() * 201) - 100);
        for (size_t g = 0; g < m; g++) {
          double total = 0;
          for (size_t h = 0; h < inputs; h++)
            total += (__builtin_popcountll(g & h) % 2 == 0 ? 1 : -1) * in[h];
          expected[g] = float(total);
        }
        in.resize(m + 16);
        target.walsh(in.data(), m, padded, used, scratch.data(), out.data());
        check(std::equal(expected.begin(), expected.end(), out.begin()),
              std::string(target.name) + ", m = " + std::to_string(m) + (padded ? ", padded" : ""));
      }
    }
  }
});

}  // namespace

}  // namespace native_test
