// The estimators: against plain double precision, every target against each other, every number of threads to
// the bit, projected against direct, cancellation, and the guards around every answer.
#include <algorithm>
#include <cstring>

#include "harness.h"
#include "problem.h"

namespace native_test {

namespace {

using Kind = Coupling::Kind;

struct Named {
  std::string name;
  Estimator estimator;
};

std::vector<Named> estimators(bool projected) {
  const std::string form = projected ? " projected" : " direct";
  std::vector<Named> all{
      {"independent raw" + form, importance_sampling(projected, Kind::kIndependent, 41, false, false)},
      {"independent sampled" + form, importance_sampling(projected, Kind::kIndependent, 41, false, true)},
      {"independent centred" + form, importance_sampling(projected, Kind::kIndependent, 41, true, false)},
      {"antithetic" + form, importance_sampling(projected, Kind::kAntithetic, 42, false, false)},
      {"sgld" + form, sgld(projected, 37)},
      {"robbins-monro" + form, robbins_monro(projected, 5, 7)}};
  if (!projected) all.push_back({"sgd", sgd()});
  return all;
}

std::vector<Problem> problems() {
  std::vector<Problem> all;
  all.emplace_back(std::vector<uint32_t>{30, 19, 5}, Activation::kRelu, 7, true, 0.8);
  all.emplace_back(std::vector<uint32_t>{30, 19, 5}, Activation::kRelu, 7, true, 0.8, true);
  all.emplace_back(std::vector<uint32_t>{41, 33, 17, 3}, Activation::kTanh, 21, false, 0.1);
  all.emplace_back(std::vector<uint32_t>{37, 11}, Activation::kRelu, 13, false, 0.7);
  all.emplace_back(std::vector<uint32_t>{200, 16, 2}, Activation::kTanh, 150, true, 0.2);
  return all;
}

double largest(const std::vector<float>& v) {
  double most = 0;
  for (const float x : v) most = std::max(most, double(std::abs(x)));
  return most;
}

const Register gradients("sgd: gradient and loss against finite differences", [] {
  std::vector<Problem> all = problems();
  all.emplace_back(std::vector<uint32_t>{5, 3, 2}, Activation::kTanh, 300, false,
                   0.0);  // three blocks of rows
  for (const Problem& problem : all) {
    for (const Kernels* kernels : all_kernels()) {
      const Answer answer = ask(kernels, problem, sgd(), 2);
      check_near(answer.estimate.loss, problem.value(problem.x()), 1e-6,
                 std::string(kernels->name) + " loss");
      const std::vector<float> gradient = answer.inside(answer.gradient);
      const size_t n = gradient.size();
      for (size_t k = 0; k < 200; k++) {
        const size_t i = k < 100 ? n - 1 - k % n : (k * 7919) % n;
        std::vector<double> x = problem.x();
        const double h = 1e-6;
        x[i] += h;
        const double above = problem.value(x);
        x[i] -= 2 * h;
        check_near(gradient[i], (above - problem.value(x)) / (2 * h), 2e-7 + 1e-5 * largest(gradient),
                   std::string(kernels->name) + " gradient[" + std::to_string(i) + "]");
      }
      check(answer.guarded(), "written outside");
    }
  }
});

// Losses and the raw estimate from the normals, in double and by plain loops.
const Register sampled("importance-sampling: direct form against double precision", [] {
  for (Problem problem : problems()) {
    if (problem.examples.width > 100) continue;
    for (int form = 0; form < 4; form++) {
      const bool pair = form == 2, centred = form == 1;
      problem.loss.kind = form == 3 ? LossKind::kCostMatrix : LossKind::kCrossEntropy;
      problem.loss.costs.clear();
      problem.network.activation = form == 3 ? Activation::kStep : problem.network.activation;
      if (form == 3)
        for (size_t i = 0; i < problem.network.classes() * problem.network.classes(); i++)
          problem.loss.costs.push_back(i % (problem.network.classes() + 1) == 0 ? 0
                                                                                : 1 + 0.25f * float(i % 3));
      const Estimator estimator =
          importance_sampling(false, pair ? Kind::kAntithetic : Kind::kIndependent, 12, centred, false);
      const Kernels* kernels = select_kernels("", nullptr);
      const Answer answer = ask(kernels, problem, estimator, 2);
      const size_t n = problem.parameters.size();
      std::vector<double> f, w;
      std::vector<std::vector<double>> noise;
      for (size_t j = 0; j < 12; j++) {
        std::vector<double> z;
        for (size_t l = 1; l < problem.network.layers.size(); l++) {
          const LayerShape shape = problem.network.shape(l);
          std::vector<float> part(shape.rows * shape.columns);
          draw(kernels, problem.seed, 15 + uint32_t(l), problem.update, uint32_t(pair ? j / 2 : j),
               part.size(), part.data());
          for (const float v : part) z.push_back(pair && j % 2 ? -v : v);
        }
        std::vector<double> x = problem.x();
        for (size_t i = 0; i < n; i++) x[i] += std::sqrt(problem.tau) * z[i];
        f.push_back(problem.value(x));
        w.push_back(std::exp(-f.back() / 0.3f));
        noise.push_back(z);
      }
      double total = 0, squares = 0;
      for (const double v : w) total += v, squares += v * v;
      std::vector<float> expected(n);
      double spread = 0;
      for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (size_t j = 0; j < 12; j++)
          sum += (centred ? (w[j] - total / 12) * 12 / 11 : w[j]) / total * noise[j][i];
        expected[i] = float(-0.3f / std::sqrt(problem.tau) * sum);
        for (size_t j = 0; j < 12; j += pair ? 2 : 1) {
          const double c = (pair ? w[j] - w[j + 1] : centred ? w[j] - total / 12 : w[j]) / total;
          spread += c * noise[j][i] * c * noise[j][i];
        }
      }
      check_close(answer.inside(answer.losses), {f.begin(), f.end()}, 2e-6, 1e-6, "loss");
      check_close(answer.inside(answer.gradient), expected, 2e-5 * largest(expected), 0, "gradient");
      check_near(answer.estimate.effective_sample_size, total * total / squares, 1e-3,
                 "effective sample size");
      check_near(answer.estimate.largest_weight, *std::max_element(w.begin(), w.end()) / total, 1e-5,
                 "largest");
      check_near(answer.estimate.free_energy, -0.3 * std::log(total / 12), 1e-5, "free energy");
      check_near(answer.estimate.standard_error, 0.3f / std::sqrt(problem.tau) * std::sqrt(spread),
                 1e-4 * largest(expected) * std::sqrt(double(n)), "standard error");
    }
  }
});

const Register threads("every estimator: the same bits from 1, 2, 3 and 5 threads, guards untouched", [] {
  if (quick()) return note("not in a quick run");
  for (const Problem& problem : problems())
    for (const bool projected : {false, true})
      for (const Named& named : estimators(projected)) {
        if (projected && problem.rows.size() > problem.examples.width) continue;
        const Kernels* kernels = select_kernels("", nullptr);
        const Answer one = ask(kernels, problem, named.estimator, 1);
        check(one.done && one.guarded() && std::isfinite(largest(one.gradient)),
              named.name + " on one thread");
        for (const unsigned count : {2u, 3u, 5u}) {
          const Answer many = ask(kernels, problem, named.estimator, count);
          check(many.gradient == one.gradient && many.chain == one.chain && many.losses == one.losses,
                named.name + " differs on " + std::to_string(count) + " threads");
          check(many.estimate.loss == one.estimate.loss, named.name + ": loss differs");
        }
      }
});

const Register targets("every estimator: every target agrees with every other", [] {
  const std::vector<const Kernels*> all = all_kernels();
  if (all.size() < 2) note("only one target on this processor");
  if (quick() && all.size() < 2) return;
  for (const Problem& problem : problems())
    for (const bool projected : {false, true})
      for (const Named& named : estimators(projected)) {
        const Answer first = ask(all[0], problem, named.estimator);
        const std::vector<float> gradient = first.inside(first.gradient);
        for (const Kernels* kernels : all) {
          const Answer other = ask(kernels, problem, named.estimator);
          check_close(other.inside(other.gradient), gradient, 1e-4 * largest(gradient), 0,
                      named.name + " " + kernels->name);
          check_near(other.estimate.loss, first.estimate.loss, 1e-5, named.name + " loss");
        }
      }
});

// In the span of the rows both forms are the same chain. With the noise at scale zero they must agree whole.
const Register quiet("sgld, robbins-monro: projected is direct where there is no noise", [] {
  for (const Problem& problem : problems()) {
    if (problem.rows.size() > problem.examples.width) continue;
    for (int which = 0; which < 2; which++) {
      Estimator estimators[2];
      for (const bool projected : {false, true}) {
        Estimator& e = estimators[projected];
        e = which == 0 ? sgld(projected, 20) : robbins_monro(projected, 6, 3);
        std::fill(e.noise_scales.begin(), e.noise_scales.end(), 0);
      }
      Answer answers[2];
      for (int form = 0; form < 2; form++) {
        const size_t n = problem.parameters.size();
        answers[form].gradient.assign(n + 128, Answer::kPattern);
        answers[form].chain.assign(n + 128, Answer::kPattern);
        Estimate& e = answers[form].estimate;
        e.gradient = answers[form].gradient.data() + 64;
        e.chain = answers[form].chain.data() + 64;
        for (size_t i = 0; i < n; i++) e.chain[i] = problem.parameters[i] + 0.01f * float(i % 7);
        const Batch batch = problem.batch();
        const Question q{&problem.network, &problem.loss, problem.parameters.data(), &batch, 1, problem.seed,
                         problem.update,   problem.tau,   which == 0 ? 1.0 : 0.0};
        std::atomic<bool> flag{false};
        Executor* executor = new_executor(2);
        const Kernels* kernels = select_kernels("", nullptr);
        Workspace* workspace = kernels->new_workspace();
        check(kernels->estimate(estimators[form], q, {executor, &flag}, *workspace, &e), "done");
        kernels->delete_workspace(workspace);
        delete_executor(executor);
      }
      const std::vector<float> direct = answers[0].inside(answers[0].gradient);
      check_close(answers[1].inside(answers[1].gradient), direct, 5e-4 * largest(direct), 0,
                  which == 0 ? "sgld" : "robbins-monro");
      if (which == 0)
        check_close(answers[1].inside(answers[1].chain), answers[0].inside(answers[0].chain), 2e-5, 0,
                    "last");
      check_near(answers[1].estimate.loss, answers[0].estimate.loss, 1e-5, "loss");
    }
  }
});

const Register batches("sgld, robbins-monro: a batch for each transition", [] {
  const Problem problem({30, 19, 5}, Activation::kTanh, 9, true, 0.8);
  const std::vector<uint32_t> other{3, 1, 4, 11, 5, 9, 2, 6, 0};
  const Batch a = problem.batch(), b{&problem.examples, other.data(), other.size()};
  const Kernels* kernels = select_kernels("", nullptr);
  const std::vector<std::pair<Estimator, Estimator>> pairs{
      {sgld(false, 4, 3), sgld(false, 4)}, {robbins_monro(false, 3, 5, 3), robbins_monro(false, 3, 5)}};
  for (const auto& [several, one] : pairs) {
    const Answer same = ask(kernels, problem, several, 2, {a, a, a}),
                 whole = ask(kernels, problem, one, 2, {a});
    check(same.gradient == whole.gradient && same.chain == whole.chain,
          "equal batches differ from one batch");
    const Answer fresh = ask(kernels, problem, several, 2, {a, a, b});
    check(fresh.gradient != whole.gradient && fresh.done, "the last batch is not read");
  }
});

const Register cancel("every estimator: a cancelled call says so", [] {
  const Problem problem({30, 19, 5}, Activation::kRelu, 7, true, 0.8);
  for (const bool projected : {false, true})
    for (const Named& named : estimators(projected))
      for (const unsigned count : {1u, 3u}) {
        const Answer answer =
            ask(select_kernels("", nullptr), problem, named.estimator, count, {problem.batch()}, true);
        check(!answer.done && answer.guarded(), named.name);
      }
});

}  // namespace

}  // namespace native_test
