// The fused update against its two halves: the gradient formed whole by `estimate`, then the step by its
// formula; for every way that a minibatch can lie, every target, and every number of threads.
#include <cmath>

#include "harness.h"
#include "problem.h"

namespace native_test {

namespace {

struct State {
  std::vector<float> parameters, moments[2];
  double norm = 0;
  bool operator==(const State& other) const {
    return parameters == other.parameters && moments[0] == other.moments[0] &&
           moments[1] == other.moments[1] && norm == other.norm;
  }
};

constexpr size_t kGuard = 64;
constexpr uint64_t kIndex = 4;  // of the update, from 1
constexpr double kRate = 0.02;

Optimizer optimizer(Optimizer::Kind kind) {
  Optimizer o;
  o.kind = kind;
  o.weight_decay = 0.05f;
  return o;
}

// Parameters and moments, in frames of guards.
State begin(const Problem& problem) {
  State s;
  s.parameters.assign(kGuard, Answer::kPattern);
  s.parameters.insert(s.parameters.end(), problem.parameters.begin(), problem.parameters.end());
  for (size_t i = 0; i < kGuard; i++) s.parameters.push_back(Answer::kPattern);
  for (std::vector<float>& moments : s.moments) {
    moments.assign(s.parameters.size(), Answer::kPattern);
    for (size_t i = kGuard; i + kGuard < moments.size(); i++) moments[i] = 1e-3f * float(i % 5);
  }
  return s;
}

bool guarded(const State& s) {
  for (const std::vector<float>* v : {&s.parameters, &s.moments[0], &s.moments[1]})
    for (size_t i = 0; i < kGuard; i++)
      if ((*v)[i] != Answer::kPattern || (*v)[v->size() - 1 - i] != Answer::kPattern) return false;
  return true;
}

State fused(const Kernels* kernels, const Problem& problem, const Estimator& estimator, Optimizer::Kind kind,
            unsigned threads) {
  State s = begin(problem);
  std::vector<float> gradient(problem.parameters.size());
  float* moments[2] = {s.moments[0].data() + kGuard, s.moments[1].data() + kGuard};
  const Batch batch = problem.batch();
  const Question question{
      &problem.network, &problem.loss, s.parameters.data() + kGuard, &batch, 1, problem.seed,
      kIndex - 1,       problem.tau,   std::sqrt(problem.tau)};
  const std::atomic<bool> no{false};
  Executor* executor = new_executor(threads);
  Workspace* workspace = kernels->new_workspace();
  Estimate estimate{gradient.data()};
  check(kernels->update(estimator, optimizer(kind), kRate, question, {executor, &no}, *workspace, &estimate,
                        s.parameters.data() + kGuard, moments, &s.norm),
        "done");
  kernels->delete_workspace(workspace);
  delete_executor(executor);
  return s;
}

// The step's formula in double precision along a gradient that was formed whole; |gradient|.
double apart(const std::vector<float>& gradient, Optimizer::Kind kind, State* s) {
  double norm2 = 0;
  for (size_t i = 0; i < gradient.size(); i++) {
    const double g = gradient[i];
    float &x = s->parameters[kGuard + i], &m = s->moments[0][kGuard + i], &v = s->moments[1][kGuard + i];
    norm2 += g * g;
    if (kind == Optimizer::Kind::kGradientDescent) {
      x = float(x - kRate * g);
    } else if (kind == Optimizer::Kind::kMomentum) {
      m = float(double(0.9f) * m + g);
      x = float(x - kRate * m);
    } else {
      const double b1 = 0.9f, b2 = 0.999f, mean = b1 * m + (1 - b1) * g, square = b2 * v + (1 - b2) * g * g;
      x = float((1 - kRate * double(0.05f)) * x -
                kRate * mean / (1 - std::pow(b1, double(kIndex))) /
                    (std::sqrt(square / (1 - std::pow(b2, double(kIndex)))) + 1e-8));
      m = float(mean);
      v = float(square);
    }
  }
  return std::sqrt(norm2);
}

struct Named {
  const char* name;
  Estimator estimator;
};

std::vector<Named> estimators(const Problem& problem) {
  using Kind = Coupling::Kind;
  std::vector<Named> all{{"sgd", sgd()}};
  const bool projected = problem.rows.size() <= problem.examples.width;
  all.push_back({"robbins-monro", robbins_monro(projected, 3, 4)});
  all.push_back({"centred", importance_sampling(projected, Kind::kIndependent, 12, true, false)});
  all.push_back({"complement sampled", importance_sampling(projected, Kind::kIndependent, 12, false, true)});
  Estimator pairs = importance_sampling(projected, Kind::kAntithetic, 12, false, false);
  all.push_back({"antithetic", pairs});
  pairs.rowwise = true;
  all.push_back({"antithetic row split", pairs});
  if (problem.network.depth() > 2) return all;
  Estimator walsh = importance_sampling(projected, Kind::kWalsh, 2, false, false);
  all.push_back({"walsh", walsh});
  walsh.rowwise = true;
  all.push_back({"walsh row split", walsh});
  return all;
}

// Sparse and dense, bytes and floats, a repeated row, widths of whole vectors and not, wider than one panel,
// fewer inputs than pieces, one layer and three, more rows than inputs and than a block holds, inputs that no
// row has.
std::vector<Problem> problems() {
  std::vector<Problem> all;
  all.emplace_back(std::vector<uint32_t>{61, 19, 5}, Activation::kRelu, 7, true, 0.8);
  all.emplace_back(std::vector<uint32_t>{61, 32, 5}, Activation::kRelu, 7, true, 0.8, true);
  all.emplace_back(std::vector<uint32_t>{41, 33, 17, 3}, Activation::kTanh, 21, false, 0.1);
  all.emplace_back(std::vector<uint32_t>{37, 11}, Activation::kRelu, 13, false, 0.7);
  all.emplace_back(std::vector<uint32_t>{5, 3, 2}, Activation::kTanh, 4, true, 0.6);
  all.emplace_back(std::vector<uint32_t>{24, 257, 3}, Activation::kRelu, 9, true, 0.7);
  all.emplace_back(std::vector<uint32_t>{20, 6, 4}, Activation::kTanh, 140, false, 0.6);
  all.emplace_back(std::vector<uint32_t>{150, 300, 3}, Activation::kRelu, 3, true, 0.8);
  return all;
}

const Register halves("update: the fused step is the gradient and then the step, on every target", [] {
  for (const Problem& problem : problems())
    for (const Kernels* kernels : all_kernels())
      for (const Named& named : estimators(problem)) {
        Problem at = problem;
        at.update = kIndex - 1;
        const Answer answer = ask(kernels, at, named.estimator);
        const std::vector<float> gradient = answer.inside(answer.gradient);
        double largest = 0;
        for (const float g : gradient) largest = std::max(largest, double(std::abs(g)));
        for (const auto kind :
             {Optimizer::Kind::kGradientDescent, Optimizer::Kind::kMomentum, Optimizer::Kind::kAdam}) {
          if (quick() && kind != Optimizer::Kind::kAdam) continue;
          State expected = begin(problem);
          const double norm = apart(gradient, kind, &expected);
          const State s = fused(kernels, problem, named.estimator, kind, 2);
          const std::string what = std::string(kernels->name) + " " + named.name;
          check(guarded(s), what + ": written outside");
          check_near(s.norm, norm, 1e-5 * norm, what + ": norm");
          // Adam's step is bounded by its moments; the other two carry the gradient's rounding.
          const double bound = 2e-6 + (kind == Optimizer::Kind::kAdam ? 0 : kRate * 2e-6 * largest);
          check_close(s.parameters, expected.parameters, bound, 1e-6, what + ": parameters");
          check_close(s.moments[0], expected.moments[0], 1e-7 + 4e-6 * largest, 1e-6,
                      what + ": first moments");
          check_close(s.moments[1], expected.moments[1], 1e-7 + 1e-8 * largest * largest, 1e-6,
                      what + ": second moments");
        }
      }
});

const Register threads("update: the same bits from 1, 2, 3, 5 and 11 threads, and when asked again", [] {
  if (quick()) return note("not in a quick run");
  const Kernels* kernels = select_kernels("", nullptr);
  for (const Problem& problem : problems())
    for (const Named& named : estimators(problem)) {
      const State one = fused(kernels, problem, named.estimator, Optimizer::Kind::kAdam, 1);
      for (const unsigned count : {1u, 2u, 3u, 5u, 11u})
        check(one == fused(kernels, problem, named.estimator, Optimizer::Kind::kAdam, count),
              std::string(named.name) + " on " + std::to_string(count) + " threads");
    }
});

}  // namespace

}  // namespace native_test
