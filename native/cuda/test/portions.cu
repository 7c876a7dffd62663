// Work that does not fit into one portion (memory.h): more samples, blocks, transitions or rows than are
// taken at a time give what one portion gives, but for the order of sums.
#include <algorithm>
#include <cmath>

#include "../../test/harness.h"
#include "../../test/problem.h"
#include "../machine/memory.h"

namespace native_test {

using namespace local_entropy;

namespace {

// What `ask` answers where no more than `most` is taken at a time.
Answer in_portions(const Problem& problem, const Estimator& e, const Portions& most) {
  portions = most;
  Answer answer = ask(select_kernels("", nullptr), problem, e);
  portions = {};
  check(answer.done && answer.guarded(), "not done");
  return answer;
}

void check_same(const std::vector<float>& got, const std::vector<float>& expected, const std::string& what) {
  double most = 0;
  for (const float value : expected)
    if (value != Answer::kPattern) most = std::max(most, std::abs(double(value)));
  check_close(got, expected, 1e-5 * most, 0, what);
}

void check_portions(const Problem& problem, const Estimator& e, const std::string& name) {
  const Answer whole = in_portions(problem, e, {});
  for (const Portions& most : {Portions{1, 3}, Portions{5000, 8192}}) {
    if (quick() && most.floats > 1) continue;
    const Answer parts = in_portions(problem, e, most);
    const std::string what = name + ", " + std::to_string(most.floats) + " floats: ";
    check_same(parts.gradient, whole.gradient, what + "gradient");
    check_same(parts.losses, whole.losses, what + "losses");
    check_same(parts.chain, whole.chain, what + "chain");
    check_near(parts.estimate.loss, whole.estimate.loss, 1e-6 * whole.estimate.loss, what + "loss");
    const double error = whole.estimate.standard_error;
    if (error == error)
      check_near(parts.estimate.standard_error, error, 1e-4 * error, what + "standard error");
  }
}

const Register estimators("cuda portions: every estimator gives what it gives in one portion", [] {
  const Problem deep({14, 9, 6, 4}, Activation::kRelu, 7, true, 0.5),
      flat({14, 9, 4}, Activation::kTanh, 7, true, 0.5);
  for (const bool projected : {false, true}) {
    const std::string form = projected ? "projected " : "direct ";
    for (const Problem* problem : {&deep, &flat}) {
      const std::string name = form + (problem == &deep ? "deep " : "flat ");
      for (const auto kind : {Estimator::Kind::kImportanceSampling, Estimator::Kind::kEvolutionStrategies})
        for (const bool rowwise : {false, true})
          for (const auto coupling : {Coupling::Kind::kIndependent, Coupling::Kind::kAntithetic}) {
            Estimator e = importance_sampling(projected, coupling, 20, false, false);
            e.kind = kind;
            e.rowwise = rowwise;
            check_portions(*problem, e,
                           name + "samples, kind " + std::to_string(int(kind)) + (rowwise ? " by rows" : "") +
                               (coupling == Coupling::Kind::kAntithetic ? " in pairs" : ""));
          }
      check_portions(*problem, sgld(projected, 5), name + "sgld");
      check_portions(*problem, robbins_monro(projected, 3, 5), name + "robbins-monro");
    }
    for (const auto kind : {Estimator::Kind::kImportanceSampling, Estimator::Kind::kEvolutionStrategies})
      for (const bool rowwise : {false, true}) {
        Estimator e = importance_sampling(projected, Coupling::Kind::kWalsh, 20, false, false);
        e.kind = kind;
        e.rowwise = rowwise;
        check_portions(flat, e,
                       form + "walsh, kind " + std::to_string(int(kind)) + (rowwise ? " by rows" : ""));
      }
  }
});

struct Evaluation {
  double loss = 0;
  uint64_t correct = 0;
  std::vector<float> probabilities;
  std::vector<uint16_t> labels;
};

Evaluation evaluate(const Problem& problem) {
  const Kernels* kernels = select_kernels("", nullptr);
  Executor* executor = new_executor(1);
  std::atomic<bool> no{false};
  const Context context{executor, &no};
  const Network& network = problem.network;
  const float* x = problem.parameters.data();
  Evaluation all;
  all.probabilities.resize(problem.rows.size() * network.classes());
  all.labels.resize(problem.rows.size());
  check(kernels->dense_loss(network, problem.loss, x, problem.batch(), context, &all.loss) &&
            kernels->dense_accuracy(network, x, problem.batch(), context, &all.correct) &&
            kernels->dense_predict(network, problem.loss.kind, x, problem.batch(), context,
                                   all.probabilities.data(), all.labels.data()),
        "not done");
  delete_executor(executor);
  return all;
}

const Register products("cuda portions: products with the Hessian by some rows after the others", [] {
  const Problem problem({14, 9, 6, 4}, Activation::kTanh, 11, true, 0.5);
  const size_t n = problem.parameters.size();
  std::vector<float> v(n);
  for (size_t i = 0; i < n; i++) v[i] = float(std::sin(double(i)));
  const auto product = [&](const Portions& most) {
    std::vector<float> out(n);
    Executor* executor = new_executor(1);
    std::atomic<bool> no{false};
    portions = most;
    check(select_kernels("", nullptr)
              ->hessian_product(problem.network, problem.parameters.data(), v.data(), problem.batch(),
                                {executor, &no}, out.data()),
          "not done");
    portions = {};
    delete_executor(executor);
    return out;
  };
  const std::vector<float> whole = product({});
  check_same(product({size_t(1) << 26, 4}), whole, "four rows at a time");
  check_same(product({200, 8192}), whole, "two rows at a time");
});

const Register rows("cuda portions: loss, predictions and accuracy by some rows after the others", [] {
  const Problem problem({14, 9, 4}, Activation::kRelu, 11, true, 0.5);
  portions.rows = 4;
  const Evaluation parts = evaluate(problem);
  portions = {};
  const Evaluation whole = evaluate(problem);
  check_near(parts.loss, whole.loss, 1e-12 * whole.loss, "loss");
  check(parts.probabilities == whole.probabilities && parts.labels == whole.labels, "predictions");
  check(parts.correct == whole.correct, "accuracy");
});

}  // namespace

}  // namespace native_test
