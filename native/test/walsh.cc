// Coupled samples and the row split against their definitions in double precision: every sample's noise is
// written out (n numbers, no transform, no projection but Z = Q U) and every sum is a plain loop.
//
//   by rows: H_l = (1/BJ) sum_j sum_b hid_b eta_b (f_b - c_b)/(s^2 |hid_b|^2), c_b the row's loss at x, for
//   one Walsh block, independent samples and pairs alike (more blocks have slopes from each other; those are
//   held against the reference elsewhere); gradient = (s^2/tau) [H - (delta/s) mean rho Z]/mean w; from
//   losses alone -(delta s/tau) sum w Z/sum w; heat: H, or mean f Z/s.
#include <algorithm>
#include <cmath>

#include "harness.h"
#include "problem.h"

namespace native_test {

namespace {

using Kind = Coupling::Kind;
using Vector = std::vector<double>;

struct Case {
  std::string name;
  Problem problem;
  bool projected;
};

Problem with_costs(Problem problem, bool zero_one) {
  const size_t classes = problem.network.classes();
  problem.loss.kind = LossKind::kCostMatrix;
  for (size_t i = 0; i < classes * classes; i++)
    problem.loss.costs.push_back(zero_one ? float(i % (classes + 1) != 0) : float((i * 7) % 5));
  return problem;
}

// Lengths m of 2 to 512, tight and loose, by rows and not.
std::vector<Case> cases() {
  using A = Activation;
  std::vector<Case> all;
  all.push_back({"30-19-5", Problem({30, 19, 5}, A::kRelu, 7, true, 0.8), true});
  all.push_back({"30-27-5, tight", Problem({30, 27, 5}, A::kTanh, 7, false, 0.2), true});
  all.push_back({"30-28-5, loose, repeated", Problem({30, 28, 5}, A::kRelu, 9, true, 0.8, true), true});
  all.push_back({"9-2-2", Problem({9, 2, 2}, A::kTanh, 3, false, 0), true});
  all.push_back({"6-1-2, direct", Problem({6, 1, 2}, A::kTanh, 9, true, 0.3), false});
  all.push_back({"37-11", Problem({37, 11}, A::kRelu, 13, false, 0.7), true});
  all.push_back({"12-2, direct", Problem({12, 2}, A::kRelu, 20, true, 0.2), false});
  all.push_back({"20-61-3", Problem({20, 61, 3}, A::kRelu, 6, true, 0.5), true});
  all.push_back({"8-300-7, direct", Problem({8, 300, 7}, A::kRelu, 11, true, 0.2), false});
  all.push_back({"24-40-5, step", Problem({24, 40, 5}, A::kStep, 7, false, 0.1), true});
  all.push_back({"24-17-5, costs", with_costs(Problem({24, 17, 5}, A::kRelu, 7, true, 0.5), false), true});
  all.push_back(
      {"24-20-4, step, zero-one", with_costs(Problem({24, 20, 4}, A::kStep, 7, true, 0.5), true), false});
  Problem far({12, 20, 6}, A::kRelu, 5, true, 0.2);  // losses far beyond the range of exp
  for (float& x : far.parameters) x *= 60;
  all.push_back({"12-20-6, large", far, true});
  return all;
}

std::vector<Case> deeper_cases() {
  std::vector<Case> all;
  all.push_back({"24-18-7-5", Problem({24, 18, 7, 5}, Activation::kRelu, 8, true, 0.6, true), true});
  all.push_back({"9-8-7-6-3, direct", Problem({9, 8, 7, 6, 3}, Activation::kTanh, 150, true, 0.2), false});
  all.push_back({"37-11", Problem({37, 11}, Activation::kRelu, 13, false, 0.7), true});
  return all;
}

Estimator estimator(const Case& given, bool entropy, Kind kind, uint32_t samples, bool rowwise,
                    bool centred) {
  Estimator e = importance_sampling(given.projected, kind, samples, centred, false);
  e.kind = entropy ? Estimator::Kind::kImportanceSampling : Estimator::Kind::kEvolutionStrategies;
  e.rowwise = rowwise;
  return e;
}

// Z of sample j (n), from the normals of its unit.
Vector sample_noise(const Case& given, const Estimator& e, const Kernels* kernels, size_t j) {
  const Problem& p = given.problem;
  const std::vector<uint32_t>& d = p.network.layers;
  const bool walsh = e.coupling.kind == Kind::kWalsh, pair = e.coupling.kind == Kind::kAntithetic;
  const size_t m = transform_length(p.network, e.rowwise), g = j % m;
  const uint32_t unit = uint32_t(walsh ? j / (2 * m) : pair ? j / 2 : j);
  const double flip = walsh ? (j / m % 2 == 0 ? 1 : -1) : pair && j % 2 == 1 ? -1 : 1;
  const auto sign = [&](size_t h) { return walsh && __builtin_popcountll(g & h) % 2 == 1 ? -flip : flip; };
  Vector z;
  for (size_t l = 1; l < d.size(); l++) {
    const size_t rows = d[l - 1] + 1, drawn_rows = l == 1 && given.projected ? p.rows.size() : rows;
    std::vector<float> drawn(drawn_rows * d[l]);
    draw(kernels, p.seed, uint32_t(15 + l), p.update, unit, drawn.size(), drawn.data());
    Vector layer(rows * d[l]);
    if (l == 1 && given.projected) {
      const Matrix q = basis(p);
      for (size_t r = 0; r < drawn_rows; r++)
        for (size_t i = 0; i < rows; i++)
          for (size_t h = 0; h < d[l]; h++) layer[i * d[l] + h] += q[r][i] * drawn[r * d[l] + h];
    } else {
      layer.assign(drawn.begin(), drawn.end());
    }
    for (size_t i = 0; i < rows; i++)
      for (size_t c = 0; c < d[l]; c++) layer[i * d[l] + c] *= sign(l == 1 ? c : e.rowwise ? d[1] + c : i);
    z.insert(z.end(), layer.begin(), layer.end());
  }
  return z;
}

// Row r's loss at x + s Z; h, where not null, gets the row's share of H (n) times B.
double row_pass(const Problem& p, const Vector& z, double s, size_t r, double center, Vector* h) {
  Vector a;
  std::vector<Vector> inputs, noise;
  for (size_t i = 0; i < p.examples.width; i++) a.push_back(p.input(r, i));
  size_t at = 0;
  for (size_t l = 1; l < p.network.layers.size(); l++) {
    a.push_back(1);
    Vector eta(p.network.layers[l]), next(p.network.layers[l]);
    for (const double value : a)
      for (size_t c = 0; c < next.size(); c++, at++) {
        eta[c] += s * value * z[at];
        next[c] += value * p.parameters[at];
      }
    for (size_t c = 0; c < next.size(); c++)
      next[c] = l + 1 < p.network.layers.size() ? p.activate(next[c] + eta[c]) : next[c] + eta[c];
    inputs.push_back(a);
    noise.push_back(eta);
    a = next;
  }
  const double loss = p.row_loss(a, r);
  if (h == nullptr) return loss;
  at = 0;
  for (size_t l = 0; l < inputs.size(); l++) {
    double squares = 0;
    for (const double value : inputs[l]) squares += value * value;
    for (const double value : inputs[l])
      for (const double eta : noise[l]) (*h)[at++] += value * eta * (loss - center) / (s * s * squares);
  }
  return loss;
}

struct Expected {
  std::vector<double> losses;
  Vector gradient;
  double loss = 0, free_energy = 0, effective_sample_size = 0, largest_weight = 0, error = 0;
};

// The sum of a unit's samples' Z times their values, over units and samples.
Expected expect(const Case& given, const Estimator& e, const Kernels* kernels) {
  const Problem& p = given.problem;
  const size_t samples = sample_count(p, e), n = p.parameters.size(), rows = p.rows.size();
  const double s = std::sqrt(p.tau), delta = e.temperature, count = double(samples);
  const bool entropy = e.kind == Estimator::Kind::kImportanceSampling;
  const bool centred = e.coupling.kind == Kind::kIndependent && e.coupling.centred && !e.rowwise && !entropy;
  Vector center;
  for (size_t r = 0; r < rows; r++) center.push_back(row_pass(p, Vector(n), s, r, 0, nullptr));
  Expected out;
  std::vector<Vector> noise, first;
  for (size_t j = 0; j < samples; j++) {
    noise.push_back(sample_noise(given, e, kernels, j));
    first.push_back(Vector(e.rowwise ? n : 0));
    double f = 0;
    for (size_t r = 0; r < rows; r++)
      f += row_pass(p, noise[j], s, r, center[r], e.rowwise ? &first[j] : nullptr) / double(rows);
    out.losses.push_back(f);
    out.loss += f / count;
  }
  double weight = 0, squares = 0, top = 0;
  for (const double f : out.losses) top = std::max(top, -(f - out.loss) / delta);
  for (const double f : out.losses) {
    const double w = std::exp(-(f - out.loss) / delta - top);
    weight += w;
    squares += w * w;
    out.largest_weight = std::max(out.largest_weight, w);
  }
  out.free_energy = out.loss - delta * (top + std::log(weight / count));
  out.effective_sample_size = weight * weight / squares;
  out.largest_weight /= weight;

  // A unit's estimate is the mean of its samples' shares.
  const size_t per_unit = e.coupling.kind == Kind::kWalsh        ? 2 * transform_length(p.network, e.rowwise)
                          : e.coupling.kind == Kind::kAntithetic ? 2
                                                                 : 1;
  const size_t units = samples / per_unit;
  std::vector<Vector> estimates(units, Vector(n));
  out.gradient.assign(n, 0);
  for (size_t j = 0; j < samples; j++) {
    const double x = -(out.losses[j] - out.loss) / delta, lost = std::exp(-top) * count / weight;
    const double w = std::exp(x - top) * count / weight, rho = w - lost * (1 + x);
    const double of_noise =
        entropy     ? -delta * s / p.tau * (e.rowwise ? rho : w)
        : e.rowwise ? 0
                    : (out.losses[j] - (centred ? out.loss : 0)) / s * (centred ? count / (count - 1) : 1);
    const double of_first = (entropy ? s * s / p.tau * lost : 1) / double(rows);
    for (size_t i = 0; i < n; i++) {
      double share = of_noise * noise[j][i];
      if (e.rowwise) share += of_first * first[j][i];
      estimates[j / per_unit][i] += share / double(per_unit);
      out.gradient[i] += share / count;
    }
  }
  for (const Vector& estimate : estimates)
    for (size_t i = 0; i < n; i++) out.error += std::pow(estimate[i] - out.gradient[i], 2);
  out.error = units > 1 ? std::sqrt(out.error / double(units * (units - 1))) : kNone;
  return out;
}

void check_answer(const Answer& answer, const Expected& expected, bool entropy, const std::string& name) {
  const Estimate& e = answer.estimate;
  check(answer.done && answer.guarded(), name + ": done, guards");
  check(e.samples == expected.losses.size(), name + ": samples");
  if (entropy) {
    const std::vector<float> losses = answer.inside(answer.losses);
    for (size_t j = 0; j < losses.size(); j++)
      check_near(losses[j], expected.losses[j], 1e-6 * std::max(1.0, expected.losses[j]),
                 name + ": loss " + std::to_string(j));
    check_near(e.free_energy, expected.free_energy, 2e-6 * std::max(1.0, std::abs(expected.free_energy)),
               name + ": free energy");
    check_near(e.effective_sample_size / expected.effective_sample_size, 1, 1e-4, name + ": ESS");
    check_near(e.largest_weight / expected.largest_weight, 1, 1e-4, name + ": largest weight");
  }
  check_near(e.loss, expected.loss, 1e-6 * std::max(1.0, expected.loss), name + ": mean loss");
  if (std::isnan(expected.error))
    check(std::isnan(e.standard_error), name + ": one unit has no standard error");
  else
    check_near(e.standard_error, expected.error, 1e-4 * expected.error, name + ": standard error");
  double most = 0;
  for (const double v : expected.gradient) most = std::max(most, std::abs(v));
  check_close(answer.inside(answer.gradient), {expected.gradient.begin(), expected.gradient.end()},
              5e-5 * most, 0, name + ": gradient");
}

const Register blocks("walsh: losses and gradients against double precision, all layouts, on every target",
                      [] {
                        for (const Case& given : cases())
                          for (const bool rowwise : {true, false})
                            for (const bool entropy : {true, false}) {
                              const Estimator e =
                                  estimator(given, entropy, Kind::kWalsh, rowwise ? 1 : 3, rowwise, false);
                              const Expected expected = expect(given, e, select_kernels("", nullptr));
                              for (const Kernels* kernels : all_kernels())
                                check_answer(
                                    ask(kernels, given.problem, e, 2), expected, entropy,
                                    given.name + (rowwise ? " by rows " : " weights only ") + kernels->name);
                            }
                      });

// More blocks: their losses, whatever becomes of them.
const Register groups("walsh: losses of nine blocks by rows, in two groups", [] {
  const Case given = cases()[0];
  const Estimator e = estimator(given, true, Kind::kWalsh, 9, true, false);
  for (const Kernels* kernels : all_kernels()) {
    const std::vector<float> losses = [&] {
      const Answer answer = ask(kernels, given.problem, e);
      return answer.inside(answer.losses);
    }();
    for (size_t j = 0; j < losses.size(); j += 13) {
      Vector x = given.problem.x();
      const Vector z = sample_noise(given, e, kernels, j);
      for (size_t i = 0; i < x.size(); i++) x[i] += std::sqrt(given.problem.tau) * z[i];
      check_near(losses[j], given.problem.value(x), 1e-6, "loss " + std::to_string(j));
    }
  }
});

const Register headline("walsh: 784-200-10, twenty rows: losses against double precision", [] {
  const Case given{"784-200-10", Problem({784, 200, 10}, Activation::kRelu, 20, true, 0.8), true};
  const Estimator e = estimator(given, true, Kind::kWalsh, 2, true, false);
  for (const size_t j : {0, 77, 255, 300, 511, 700, 1023}) {
    Vector x = given.problem.x();
    const Vector z = sample_noise(given, e, select_kernels("", nullptr), j);
    for (size_t i = 0; i < x.size(); i++) x[i] += std::sqrt(given.problem.tau) * z[i];
    const double f = given.problem.value(x);
    for (const Kernels* kernels : all_kernels()) {
      const Answer answer = ask(kernels, given.problem, e);
      check_near(answer.inside(answer.losses)[j], f, 1e-6 * std::max(1.0, f), kernels->name);
    }
  }
});

const std::vector<std::pair<Kind, bool>> kSampled{
    {Kind::kIndependent, true}, {Kind::kIndependent, false}, {Kind::kAntithetic, false}};

const Register samples("row split, evolution strategies: samples and pairs at any depth, on every target",
                       [] {
                         for (const Case& given : deeper_cases())
                           for (const auto& [kind, centred] : kSampled)
                             for (const bool rowwise : {true, false})
                               for (const bool entropy : {true, false}) {
                                 if (quick() && given.problem.rows.size() > 100) continue;
                                 if (entropy && !rowwise)
                                   continue;  // plain importance sampling has tests of its own
                                 const Estimator e = estimator(given, entropy, kind, 42, rowwise, centred);
                                 const Expected expected = expect(given, e, select_kernels("", nullptr));
                                 for (const Kernels* kernels : all_kernels())
                                   check_answer(ask(kernels, given.problem, e, 2), expected, entropy,
                                                given.name + (rowwise ? " by rows " : " from losses ") +
                                                    kernels->name);
                               }
                       });

std::vector<std::pair<Case, Estimator>> questions() {
  std::vector<std::pair<Case, Estimator>> all;
  for (const bool entropy : {true, false})
    for (const bool rowwise : {true, false}) {
      for (const Case& given : cases())
        for (const uint32_t count : {1u, 2u, 9u})
          all.push_back({given, estimator(given, entropy, Kind::kWalsh, count, rowwise, false)});
      for (const Case& given : deeper_cases())
        for (const auto& [kind, centred] : kSampled)
          all.push_back({given, estimator(given, entropy, kind, 42, rowwise, centred)});
    }
  return all;
}

const Register threads("walsh, row split, evolution strategies: the same bits from 1, 2, 3 and 5 threads",
                       [] {
                         if (quick()) return note("not in a quick run");
                         for (const auto& [given, e] : questions())
                           for (const Kernels* kernels : all_kernels()) {
                             const Answer one = ask(kernels, given.problem, e);
                             for (const unsigned count : {2u, 3u, 5u}) {
                               const Answer other = ask(kernels, given.problem, e, count);
                               check(other.gradient == one.gradient && other.losses == one.losses &&
                                         other.estimate.loss == one.estimate.loss &&
                                         (other.estimate.standard_error == one.estimate.standard_error ||
                                          std::isnan(one.estimate.standard_error)),
                                     given.name + " " + kernels->name);
                               check(other.done && other.guarded(), given.name + ": guards");
                             }
                           }
                       });

const Register cancelled("walsh, row split, evolution strategies: a cancelled call says so", [] {
  for (const auto& [given, e] : questions()) {
    const Answer answer =
        ask(select_kernels("", nullptr), given.problem, e, 2, {given.problem.batch()}, true);
    check(!answer.done && answer.guarded(), given.name);
  }
});

}  // namespace

}  // namespace native_test
