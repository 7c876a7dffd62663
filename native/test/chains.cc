// The chains with their noise, against plain double precision with gradients by central differences. Direct:
// noise Z; projected: Z = Q U, which in the span is the same chain.
#include <algorithm>
#include <cmath>

#include "harness.h"
#include "problem.h"

namespace native_test {

namespace {

std::vector<double> slope(const Problem& problem, std::vector<double> x) {
  std::vector<double> g(x.size());
  for (size_t i = 0; i < x.size(); i++) {
    const double at = x[i], h = 1e-5;
    x[i] = at + h;
    g[i] = problem.value(x);
    x[i] = at - h;
    g[i] = (g[i] - problem.value(x)) / (2 * h);
    x[i] = at;
  }
  return g;
}

std::vector<double> noise(const Problem& problem, bool projected, uint32_t index) {
  const Kernels* kernels = select_kernels("", nullptr);
  std::vector<double> z;
  for (size_t l = 1; l < problem.network.layers.size(); l++) {
    const LayerShape shape = problem.network.shape(l);
    const bool span = l == 1 && projected;
    std::vector<float> part((span ? problem.rows.size() : shape.rows) * shape.columns);
    draw(kernels, problem.seed, 15 + uint32_t(l), problem.update, index, part.size(), part.data());
    if (!span) {
      z.insert(z.end(), part.begin(), part.end());
      continue;
    }
    z.resize(shape.rows * shape.columns);
    const Matrix q = basis(problem);
    for (size_t r = 0; r < q.size(); r++)
      for (size_t i = 0; i < shape.rows; i++)
        for (size_t h = 0; h < shape.columns; h++)
          z[i * shape.columns + h] += q[r][i] * part[r * shape.columns + h];
  }
  return z;
}

// The first layer of v within the span of the rows, the other layers as they are.
std::vector<float> in_span(const Problem& problem, std::vector<double> v) {
  const LayerShape shape = problem.network.shape(1);
  std::vector<double> inside(shape.rows * shape.columns);
  for (const auto& row : basis(problem))
    for (size_t h = 0; h < shape.columns; h++) {
      double dot = 0;
      for (size_t i = 0; i < shape.rows; i++) dot += row[i] * v[i * shape.columns + h];
      for (size_t i = 0; i < shape.rows; i++) inside[i * shape.columns + h] += dot * row[i];
    }
  std::copy(inside.begin(), inside.end(), v.begin());
  return {v.begin(), v.end()};
}

Problem small(bool repeated) { return Problem({12, 5, 3}, Activation::kTanh, 4, false, 0.3, repeated); }

double most(const std::vector<float>& v) {
  double most = 0;
  for (const float x : v) most = std::max(most, double(std::abs(x)));
  return most;
}

const Register langevin("sgld: both forms against double precision, noise included", [] {
  for (const bool repeated : {false, true})
    for (const bool projected : {false, true}) {
      const Problem problem = small(repeated);
      const Estimator e = sgld(projected, 21);
      const Answer answer = ask(select_kernels("", nullptr), problem, e, 2);
      const std::vector<double> center = problem.x();
      std::vector<double> x = center, sum(x.size());
      double weight = e.step_sizes[0], loss = 0;
      for (size_t i = 0; i < x.size(); i++) {
        x[i] += 0.01 * double(i % 7);  // as ask() starts the chain
        sum[i] = e.step_sizes[0] * (x[i] - center[i]);
      }
      for (uint32_t j = 0; j < 20; j++) {
        loss += problem.value(x) / 20;
        const std::vector<double> g = slope(problem, x), z = noise(problem, projected, j);
        weight += e.step_sizes[j + 1];
        for (size_t i = 0; i < x.size(); i++) {
          x[i] += -e.step_sizes[j] / 2 * (g[i] + (x[i] - center[i]) / problem.tau) + e.noise_scales[j] * z[i];
          sum[i] += e.step_sizes[j + 1] * (x[i] - center[i]);
        }
      }
      std::vector<double> last, moved, gradient;
      const std::vector<float> chain = answer.inside(answer.chain), estimate = answer.inside(answer.gradient);
      for (size_t i = 0; i < x.size(); i++) {
        last.push_back(chain[i] - center[i]);
        moved.push_back(x[i] - center[i]);
        sum[i] /= -weight * problem.tau;
      }
      const std::vector<float> expected = in_span(problem, sum);
      const std::string form = projected ? "projected" : "direct";
      check_close(in_span(problem, {estimate.begin(), estimate.end()}), expected, 2e-5 * most(expected), 0,
                  form + " gradient");
      check_close(in_span(problem, last), in_span(problem, moved), 2e-6, 0, form + " last");
      check_near(answer.estimate.loss, loss, 2e-6, form + " loss");
      if (projected) continue;
      check_close(estimate, {sum.begin(), sum.end()}, 2e-5 * most(expected), 0, "direct gradient, whole");
    }
});

const Register heat("robbins-monro: both forms against double precision, noise included", [] {
  for (const bool repeated : {false, true})
    for (const bool projected : {false, true}) {
      const Problem problem = small(repeated);
      const Estimator e = robbins_monro(projected, 4, 5);
      const Answer answer = ask(select_kernels("", nullptr), problem, e, 2);
      const std::vector<double> center = problem.x();
      std::vector<double> x = center;
      double loss = 0;
      for (uint32_t j = 0; j < 4; j++) {
        std::vector<double> mean(x.size());
        for (uint32_t m = 0; m < 5; m++) {
          const std::vector<double> z = noise(problem, projected, j * 5 + m);
          std::vector<double> y = x;
          for (size_t i = 0; i < y.size(); i++) y[i] += std::sqrt(problem.tau) * z[i];
          loss += problem.value(y) / 20;
          const std::vector<double> g = slope(problem, y);
          for (size_t i = 0; i < y.size(); i++) mean[i] += g[i] / 5;
        }
        for (size_t i = 0; i < x.size(); i++)
          x[i] -= e.step_sizes[j] * (x[i] - center[i] + problem.tau * mean[i]);
      }
      std::vector<float> expected;
      for (size_t i = 0; i < x.size(); i++) expected.push_back(float((center[i] - x[i]) / problem.tau));
      const std::string form = projected ? "projected" : "direct";
      check_close(answer.inside(answer.gradient), expected, 2e-5 * most(expected), 0, form + " gradient");
      check_near(answer.estimate.loss, loss, 2e-6, form + " loss");
    }
});

}  // namespace

}  // namespace native_test
