// A session and the optimizers: one run of several updates is the same as its updates one by one, a cancelled
// one leaves no trace, and a step is its formula.
#include <cmath>

#include "harness.h"
#include "problem.h"

namespace native_test {

namespace {

SessionSetup setup(const Problem& problem, const Estimator& estimator, Optimizer::Kind kind) {
  SessionSetup s{};
  s.network = problem.network;
  s.train = s.test = problem.examples;
  s.batch_size = uint32_t(problem.rows.size());
  s.estimator = estimator;
  s.optimizer.kind = kind;
  s.optimizer.weight_decay = 0.05f;
  s.seed = problem.seed;
  s.state.parameters.assign(problem.parameters.begin(), problem.parameters.end());
  s.state.moments.assign(s.optimizer.moments(), Floats(problem.parameters.size()));
  return s;
}

Plan plan(const Problem& problem, uint64_t first, uint32_t count) {
  Plan p;
  p.first = first;
  p.count = count;
  for (uint32_t k = 0; k < count; k++) {
    for (uint32_t r = 0; r < problem.rows.size(); r++)
      p.rows.push_back(uint32_t((r * 3 + (first + k) * 5) % problem.examples.count));
    p.tau.push_back(0.02 / double(1 + first + k));
    p.noise_scale.push_back(std::sqrt(p.tau.back()));
    p.rate.push_back(0.01);
  }
  return p;
}

const Register runs("session: six updates at once are six one by one; cancelled ones leave no trace", [] {
  const Problem problem({30, 19, 5}, Activation::kRelu, 7, true, 0.8);
  const Estimator estimators[] = {sgd(), sgld(true, 9), robbins_monro(true, 3, 4),
                                  importance_sampling(true, Coupling::Kind::kIndependent, 20, false, true),
                                  importance_sampling(true, Coupling::Kind::kAntithetic, 20, false, false)};
  for (const Estimator& estimator : estimators)
    for (const auto kind :
         {Optimizer::Kind::kGradientDescent, Optimizer::Kind::kMomentum, Optimizer::Kind::kAdam}) {
      Executor* one = new_executor(1);
      Executor* two = new_executor(2);
      const Kernels* kernels = select_kernels("", nullptr);
      Session whole(setup(problem, estimator, kind), kernels, two),
          parts(setup(problem, estimator, kind), kernels, one);
      const std::atomic<bool> no{false}, yes{true};
      std::vector<double> values(6 * kValues), single(kValues);
      check(whole.run(plan(problem, 0, 6), no, values.data()) == 6, "six done");
      for (uint32_t k = 0; k < 6; k++) {
        check(parts.run(plan(problem, k, 1), yes, single.data()) == 0, "cancelled");
        check(parts.run(plan(problem, k, 1), no, single.data()) == 1, "one done");
        check(single[0] == values[k * kValues] && single[1] == values[k * kValues + 1], "values differ");
        check(std::isfinite(single[0]) && single[1] > 0, "values");
      }
      check(whole.state().parameters == parts.state().parameters, "parameters differ");
      check(whole.state().parameters != setup(problem, estimator, kind).state.parameters, "nothing moved");
      check(whole.state().moments == parts.state().moments, "moments differ");
      check(whole.state().chain == parts.state().chain, "chains differ");
      check(whole.state().chain.empty() == (estimator.kind != Estimator::Kind::kSgld), "chain");
      uint64_t correct = 0;
      check(whole.accuracy(1, no, &correct) && correct <= setup(problem, estimator, kind).test.count,
            "accuracy");
      delete_executor(one);
      delete_executor(two);
    }
});

const Register steps("step: momentum and Adam by their formulas, on every target", [] {
  for (const Kernels* kernels : all_kernels())
    for (size_t n : {1, 3, 15, 16, 17, 64, 131}) {
      Executor* executor = new_executor(2);
      const std::atomic<bool> no{false};
      std::vector<float> g(n), x(n), m(n), v(n);
      for (size_t i = 0; i < n; i++) {
        g[i] = float(std::sin(double(i) + 1));
        x[i] = float(std::cos(double(i)));
        m[i] = 0.1f * x[i];
        v[i] = 0.01f + 0.1f * g[i] * g[i];
      }
      std::vector<float> x1 = x, m1 = m, v1 = v, x2 = x, m2 = m;
      Optimizer adam, momentum;
      adam.kind = Optimizer::Kind::kAdam;
      adam.weight_decay = 0.05f;
      momentum.kind = Optimizer::Kind::kMomentum;
      float* adam_moments[2] = {m1.data(), v1.data()};
      float* velocity[1] = {m2.data()};
      kernels->step(adam, 0.02, 3, n, g.data(), x1.data(), adam_moments, {executor, &no});
      kernels->step(momentum, 0.02, 3, n, g.data(), x2.data(), velocity, {executor, &no});
      for (size_t i = 0; i < n; i++) {
        const double mean = 0.9 * m[i] + 0.1 * g[i], square = 0.999 * v[i] + 0.001 * g[i] * g[i];
        const double m_hat = mean / (1 - std::pow(0.9, 3)), v_hat = square / (1 - std::pow(0.999, 3));
        check_near(x1[i], x[i] * (1 - 0.02 * 0.05) - 0.02 * m_hat / (std::sqrt(v_hat) + 1e-8), 1e-6, "Adam");
        check_near(x2[i], x[i] - 0.02 * (0.9 * m[i] + g[i]), 1e-6, "momentum");
        check_near(m2[i], 0.9 * m[i] + g[i], 1e-6, "velocity");
      }
      delete_executor(executor);
    }
});

const Register dense("dense: loss, predictions and accuracy over several blocks of rows, on every target",
                     [] {
                       for (const Kernels* kernels : all_kernels()) {
                         const Problem problem({10, 7, 3}, Activation::kStep, 300, false, 0.2);
                         Executor* executor = new_executor(3);
                         const std::atomic<bool> no{false};
                         double loss = 0;
                         uint64_t correct = 0, expected = 0;
                         std::vector<float> probabilities(300 * 3 + 16, -1);
                         std::vector<uint16_t> labels(300 + 16, 77);
                         const Context context{executor, &no};
                         check(kernels->dense_loss(problem.network, problem.loss, problem.parameters.data(),
                                                   problem.batch(), context, &loss) &&
                                   kernels->dense_accuracy(problem.network, problem.parameters.data(),
                                                           problem.batch(), context, &correct) &&
                                   kernels->dense_predict(problem.network, problem.loss.kind,
                                                          problem.parameters.data(), problem.batch(), context,
                                                          probabilities.data(), labels.data()),
                               "done");
                         check_near(loss, problem.value(problem.x()), 1e-6, "loss");
                         for (size_t r = 0; r < 300; r++) {
                           const std::vector<double> z = problem.logits(problem.x(), r);
                           double sum = 0;
                           size_t best = 0;
                           for (size_t c = 0; c < 3; c++) {
                             sum += std::exp(z[c]);
                             if (z[c] > z[best]) best = c;
                           }
                           for (size_t c = 0; c < 3; c++)
                             check_near(probabilities[3 * r + c], std::exp(z[c]) / sum, 1e-6, "probability");
                           check(labels[r] == best, "label");
                           expected += best == problem.examples.labels[problem.rows[r]];
                         }
                         check(correct == expected, "accuracy");
                         check(probabilities[900] == -1 && labels[300] == 77, "written past the end");
                         delete_executor(executor);
                       }
                     });

}  // namespace

}  // namespace native_test
