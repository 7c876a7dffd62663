// Products with the Hessian: against mixed differences of the loss in double precision, every target and
// number of threads, the guards around the answer, cancellation.
#include <algorithm>

#include "harness.h"
#include "problem.h"

namespace native_test {

namespace {

constexpr size_t kGuard = 64;
constexpr float kPattern = -4321.5f;

std::vector<float> vector_for(const Problem& problem) {
  Random random{problem.parameters.size()};
  std::vector<float> v(problem.parameters.size());
  for (float& value : v) value = float(2 * random.uniform() - 1);
  return v;
}

// The product, its guards checked and taken off; empty where it was cancelled.
std::vector<float> product_of(const Kernels* kernels, const Problem& problem, const std::vector<float>& v,
                              unsigned threads, bool cancelled = false) {
  Executor* executor = new_executor(threads);
  const std::atomic<bool> flag{cancelled};
  const size_t n = v.size();
  std::vector<float> out(n + 2 * kGuard, kPattern);
  const bool done = kernels->hessian_product(problem.network, problem.parameters.data(), v.data(),
                                             problem.batch(), {executor, &flag}, out.data() + kGuard);
  delete_executor(executor);
  for (size_t i = 0; i < kGuard; i++)
    check(out[i] == kPattern && out[n + kGuard + i] == kPattern, "a guard was written");
  if (!done) return {};
  return {out.begin() + kGuard, out.end() - kGuard};
}

double dot(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); i++) sum += double(a[i]) * b[i];
  return sum;
}

// e^T H v by differences with h = 1e-4: truncation h^2, rounding 1e-16/h^2.
double by_differences(const Problem& problem, const std::vector<float>& e, const std::vector<float>& v) {
  const double h = 1e-4;
  double total = 0;
  for (const double along : {h, -h})
    for (const double across : {h, -h}) {
      std::vector<double> x = problem.x();
      for (size_t i = 0; i < x.size(); i++) x[i] += along * v[i] + across * e[i];
      total += (along * across > 0 ? 1 : -1) * problem.value(x);
    }
  return total / (4 * h * h);
}

std::vector<Problem> problems() {
  std::vector<Problem> all;
  all.emplace_back(std::vector<uint32_t>{37, 11}, Activation::kRelu, 13, false, 0.7);
  all.emplace_back(std::vector<uint32_t>{30, 19, 5}, Activation::kTanh, 7, true, 0.8);
  all.emplace_back(std::vector<uint32_t>{23, 33, 17, 3}, Activation::kTanh, 21, false, 0.1);
  all.emplace_back(std::vector<uint32_t>{40, 16, 2}, Activation::kTanh, 150, true,
                   0.2);  // two blocks of rows
  if (!quick())
    all.emplace_back(std::vector<uint32_t>{9, 8, 4}, Activation::kTanh, 1100, true, 0.6);  // two parts
  return all;
}

const Register exact("hessian product: mixed differences of the loss", [] {
  for (const Problem& problem : problems()) {
    const std::vector<float> v = vector_for(problem);
    const size_t n = v.size();
    for (const Kernels* kernels : all_kernels()) {
      const std::vector<float> product = product_of(kernels, problem, v, 2);
      double most = 0;
      for (const float value : product) most = std::max(most, std::abs(double(value)));
      const std::string what =
          std::string(kernels->name) + ", " + std::to_string(problem.rows.size()) + " rows, ";
      check_near(dot(v, product), by_differences(problem, v, v), 1e-3 * std::abs(dot(v, product)) + 1e-5,
                 what + "along v");
      for (size_t k = 0; k < (quick() ? 5 : 40); k++) {
        std::vector<float> e(n, 0.0f);
        const size_t i = k * 7919 % n;
        e[i] = 1;
        check_near(product[i], by_differences(problem, e, v), 1e-4 * most + 1e-5, what + std::to_string(i));
      }
    }
  }
});

const Register relu("hessian product: of units that stay on or off, that of the linear network", [] {
  // A ReLU network with so large biases that all units are on: its Hessian is that of differences too.
  Problem problem({12, 9, 4}, Activation::kRelu, 6, true, 0.5);
  for (size_t h = 0; h < 9; h++) problem.parameters[12 * 9 + h] = h % 3 == 0 ? -20.0f : 20.0f;
  const std::vector<float> v = vector_for(problem);
  for (const Kernels* kernels : all_kernels()) {
    const std::vector<float> product = product_of(kernels, problem, v, 2);
    check_near(dot(v, product), by_differences(problem, v, v), 2e-3 * std::abs(dot(v, product)) + 1e-4,
               kernels->name);
    for (size_t h = 0; h < 9; h += 3) check(product[12 * 9 + h] == 0, "a unit that is off has a curvature");
  }
});

const Register threads("hessian product: the same bits on any number of threads", [] {
  for (const Problem& problem : problems()) {
    const std::vector<float> v = vector_for(problem);
    for (const Kernels* kernels : all_kernels()) {
      const std::vector<float> one = product_of(kernels, problem, v, 1);
      for (const unsigned count : {2u, 3u, 5u})
        check(product_of(kernels, problem, v, count) == one, std::string(kernels->name) + ": bits differ");
    }
  }
});

const Register stops("hessian product: cancelled", [] {
  const Problem problem({40, 16, 2}, Activation::kTanh, 150, true, 0.2);
  for (const Kernels* kernels : all_kernels())
    check(product_of(kernels, problem, vector_for(problem), 2, true).empty(), "it went on");
});

}  // namespace

}  // namespace native_test
