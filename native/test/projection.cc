// Projected against direct, given the same normals; and the complement.
#include <algorithm>
#include <cmath>

#include "harness.h"
#include "problem.h"

namespace native_test {

namespace {

Estimator sampling(bool complement) {
  return importance_sampling(true, Coupling::Kind::kIndependent, 23, false, complement);
}

// The estimate of the projected kernels from losses in double at x + s Q U: losses, and the gradient Q sum w
// U.
const Register lifted("importance-sampling: projected form against double precision with Z = Q U", [] {
  for (const bool repeated : {false, true}) {
    const Problem problem({26, 9, 4}, Activation::kTanh, 6, true, 0.5, repeated);
    const Kernels* kernels = select_kernels("", nullptr);
    const Answer answer = ask(kernels, problem, sampling(false), 2);
    const Matrix q = basis(problem);
    const size_t rows = 6, width = 27, columns = 9, tail = problem.parameters.size() - width * columns;
    std::vector<double> f, sum(problem.parameters.size());
    std::vector<std::vector<double>> noise;
    double total = 0;
    for (uint32_t j = 0; j < 23; j++) {
      std::vector<float> u(rows * columns), later(tail);
      draw(kernels, problem.seed, 16, problem.update, j, u.size(), u.data());
      draw(kernels, problem.seed, 17, problem.update, j, later.size(), later.data());
      std::vector<double> z(width * columns);
      for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < width; i++)
          for (size_t h = 0; h < columns; h++) z[i * columns + h] += q[r][i] * u[r * columns + h];
      z.insert(z.end(), later.begin(), later.end());
      std::vector<double> x = problem.x();
      for (size_t i = 0; i < x.size(); i++) x[i] += std::sqrt(problem.tau) * z[i];
      f.push_back(problem.value(x));
      const double w = std::exp(-f.back() / 0.3f);
      total += w;
      for (size_t i = 0; i < z.size(); i++) sum[i] += w * z[i];
    }
    check_close(answer.inside(answer.losses), {f.begin(), f.end()}, 2e-6, 1e-6, "loss");
    std::vector<float> expected;
    double most = 0;
    for (const double v : sum) expected.push_back(float(-0.3f / std::sqrt(problem.tau) * v / total));
    for (const float v : expected) most = std::max(most, double(std::abs(v)));
    check_close(answer.inside(answer.gradient), expected, 3e-5 * most, 0, "gradient");
  }
});

// Sampled minus marginalized is one draw outside the span: orthogonal to every row, of the length that is
// due.
const Register complement("projection: the complement's draw lies outside the span and has its scale", [] {
  const Problem problem({200, 33, 4}, Activation::kRelu, 8, true, 0.5);
  const Kernels* kernels = select_kernels("", nullptr);
  const Answer with = ask(kernels, problem, sampling(true)), without = ask(kernels, problem, sampling(false));
  const std::vector<float> a = with.inside(with.gradient), b = without.inside(without.gradient);
  const double scale = 0.3f / std::sqrt(problem.tau) / std::sqrt(with.estimate.effective_sample_size);
  double square = 0;
  for (size_t i = 0; i < 201 * 33; i++) square += std::pow((a[i] - b[i]) / scale, 2);
  // chi-square with (201 - 8) 33 degrees of freedom: 4.5 standard deviations, false alarm 7e-6 were it not
  // seeded
  const double freedom = (201 - 8) * 33;
  check_near(square, freedom, 4.5 * std::sqrt(2 * freedom), "squared length");
  for (const auto& row : basis(problem))
    for (size_t h = 0; h < 33; h++) {
      double dot = 0;
      for (size_t i = 0; i < 201; i++) dot += row[i] * (a[i * 33 + h] - b[i * 33 + h]) / scale;
      check_near(dot, 0, 1e-4, "within the span");
    }
  for (size_t i = 201 * 33; i < a.size(); i++) check(a[i] == b[i], "later layers differ");
});

// The complement of the projected chain has the law of the direct one: variance of the last iterate and of
// the average off the span, over all coordinates.
const Register chain("sgld: the complement's law is the direct chain's", [] {
  const Problem problem({300, 20, 3}, Activation::kRelu, 5, true, 0.5);
  const Kernels* kernels = select_kernels("", nullptr);
  const Matrix q = basis(problem);
  const Estimator direct = sgld(false, 25), projected = sgld(true, 25);
  double last[2], average[2];
  for (int form = 0; form < 2; form++) {
    const Answer answer = ask(kernels, problem, form == 0 ? direct : projected, 2);
    const std::vector<float> x = answer.inside(answer.chain), g = answer.inside(answer.gradient);
    last[form] = average[form] = 0;
    for (size_t h = 0; h < 20; h++) {
      std::vector<double> y(301), z(301);
      for (size_t i = 0; i < 301; i++) {
        y[i] = x[i * 20 + h] - problem.parameters[i * 20 + h];
        z[i] = -problem.tau * g[i * 20 + h];
      }
      for (auto* v : {&y, &z})
        for (const auto& row : q) {
          double dot = 0;
          for (size_t i = 0; i < 301; i++) dot += row[i] * (*v)[i];
          for (size_t i = 0; i < 301; i++) (*v)[i] -= dot * row[i];
        }
      for (size_t i = 0; i < 301; i++) {
        last[form] += y[i] * y[i];
        average[form] += z[i] * z[i];
      }
    }
  }
  // ratio of two chi-squares with 296 · 20 degrees each (nearly): standard deviation 2/sqrt(5920) = 0.026,
  // five of them: false alarm 6e-7 were it not seeded
  check_near(last[1] / last[0], 1, 0.13, "last iterate");
  check_near(average[1] / average[0], 1, 0.13, "average");
});

}  // namespace

}  // namespace native_test
