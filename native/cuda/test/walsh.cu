// Walsh transforms of every length against their definition; the row split of several blocks, with the slopes
// that they take from each other, against its formulas in double precision; and the same bits whichever
// thread comes first.
#include <algorithm>
#include <cmath>
#include <tuple>

#include "../../test/harness.h"
#include "../../test/problem.h"
#include "../linear/transform.h"
#include "../sampling/row-split-walsh.h"
#include "../update/update.h"

namespace native_test {

using namespace local_entropy;

namespace {

double sign_of(size_t g, size_t h) { return __builtin_popcountll(g & h) % 2 ? -1 : 1; }

// values (m a team) <- WHT; flips (m a team): where s_{g,column} = -1.
template <int R>
__global__ void transform(WalshShape shape, uint32_t column, float* values, uint32_t* flips) {
  const WalshTeam<R> team(shape, dynamic_shared<float>());
  float x[R];
  uint32_t bits[R];
  walsh_flips(team, column, bits);
  const size_t first = size_t(team.number) * team.length();
#pragma unroll
  for (int r = 0; r < R; r++) x[r] = team.inside(r) ? team.at(values + first, r) : 0;
  walsh_transform(team, x);
#pragma unroll
  for (int r = 0; r < R; r++) {
    if (!team.inside(r)) continue;
    team.at(values + first, r) = x[r];
    team.at(flips + first, r) = bits[r];
  }
}

template <int R>
void check_transform(uint32_t m, uint32_t threads) {
  const Stream stream = new_stream();
  WalshShape shape{};
  shape.m = m;
  shape.registers = R;
  shape.threads = threads;
  const uint32_t teams = 256 / threads, column = m / 2 + m / 3;
  Random random{m};
  std::vector<float> values(size_t(teams) * m);
  for (float& x : values) x = float(2 * random.uniform() - 1);
  const DeviceArray<float> on(stream, values);
  const DeviceArray<uint32_t> flips(values.size());
  launch(transform<R>, {1, 256, R * 256 * sizeof(float)}, stream, shape, column, on.data(), flips.data());
  const std::vector<float> got = on.read(stream);
  const std::vector<uint32_t> bits = flips.read(stream);
  for (size_t team = 0; team<teams; team += teams> 1 ? teams - 1 : 1)
    for (size_t g = 0; g<m; g += m> 64 ? 13 : 1) {
      double sum = 0;
      for (size_t h = 0; h < m; h++) sum += sign_of(g, h) * values[team * m + h];
      check_near(got[team * m + g], sum, 1e-6 * std::sqrt(double(m)) * std::log2(m + 1.0),
                 "m = " + std::to_string(m));
      check((bits[team * m + g] != 0) == (sign_of(g, column) < 0), "sign, m = " + std::to_string(m));
    }
  delete_stream(stream);
}

const Register transforms("cuda walsh: the transform of every length", [] {
  for (uint32_t m = 1; m <= 32; m *= 2) check_transform<1>(m, 32);
  check_transform<2>(64, 32);
  check_transform<4>(128, 32);
  check_transform<8>(256, 32);
  for (uint32_t m = 512; m <= 4096; m *= 2) check_transform<16>(m, m / 16);
});

using Vector = std::vector<double>;

// One row under one block, by its definition: every sample's noise on its own.
struct RowBlock {
  Vector y, a, d, n, f, g, q;  // d1, d1 + 1, d1 + 1, C, 2m, m, 2m
  Matrix eta;                  // 2m x C
  double mean = 0, own = 0;
};

struct Formulas {
  const Problem& problem;
  size_t m, width, classes, rows;
  double s;
  Matrix q;

  explicit Formulas(const Problem& of)
      : problem(of),
        m(transform_length(of.network, true)),
        width(of.network.layers[1]),
        classes(of.network.classes()),
        rows(of.rows.size()),
        s(std::sqrt(of.tau)),
        q(basis(of)) {}

  RowBlock row_block(size_t b, uint32_t i) const {
    const auto normal = [&](uint32_t stream, size_t at) {
      return double(normal_at({problem.seed, stream, problem.update, i}, at));
    };
    Vector z;
    for (size_t at = 0; at < (width + 1) * classes; at++) z.push_back(normal(17, at));
    RowBlock out;
    const float *w1 = problem.parameters.data(), *w2 = w1 + problem.network.shape(2).offset;
    for (size_t h = 0; h <= width; h++) {
      double base = 0, y = 0;
      for (size_t k = 0; k <= problem.examples.width && h < width; k++) {
        const double input = k < problem.examples.width ? problem.input(b, k) : 1;
        base += input * w1[k * width + h];
        for (size_t r = 0; r <= b; r++) y += s * input * q[r][k] * normal(16, r * width + h);
      }
      const double up = h < width ? problem.activate(base + y) : 1,
                   down = h < width ? problem.activate(base - y) : 1;
      if (h < width) out.y.push_back(y);
      out.a.push_back((up + down) / 2);
      out.d.push_back((up - down) / 2);
      out.own += out.a[h] * out.a[h] + out.d[h] * out.d[h];
    }
    out.n.resize(classes);
    for (size_t c = 0; c < classes; c++)
      for (size_t h = 0; h <= width; h++) out.n[c] += s * out.a[h] * z[h * classes + c];
    for (size_t sample = 0; sample < 2 * m; sample++) {
      const double e = sample < m ? 1 : -1;
      const size_t g = sample % m;
      Vector eta(classes), logits(classes);
      double square = 0;
      for (size_t h = 0; h <= width; h++) {
        const double hidden = out.a[h] + e * sign_of(g, h) * out.d[h];
        square += hidden * hidden;
        for (size_t c = 0; c < classes; c++) {
          eta[c] += s * hidden * z[h * classes + c] * e * sign_of(g, width + c);
          logits[c] += hidden * w2[h * classes + c];
        }
      }
      for (size_t c = 0; c < classes; c++) logits[c] += eta[c];
      out.f.push_back(problem.row_loss(logits, b));
      out.mean += out.f.back() / double(2 * m);
      out.eta.push_back(eta);
      out.q.push_back(square);
    }
    out.g.resize(m);
    for (size_t k = 0; k < m; k++)
      for (size_t g = 0; g < m; g++) out.g[k] += sign_of(g, k) * (out.f[g] - out.f[m + g]) / double(2 * m);
    return out;
  }

  // Row b's share of the heat gradient from a group of blocks, times rows · blocks.
  void add_row(size_t b, const std::vector<RowBlock>& group, Vector* gradient) const {
    const size_t inputs = problem.examples.width;
    double norm = 1;
    for (size_t k = 0; k < inputs; k++) norm += problem.input(b, k) * problem.input(b, k);
    const double variance = s * s * norm;
    const auto others = [&](size_t i, auto value) {
      double sum = 0;
      for (size_t other = 0; other < group.size(); other++) sum += other == i ? 0 : value(group[other]);
      return sum;
    };
    for (size_t h = 0; h < width; h++) {
      double d1 = 0;
      for (size_t i = 0; i < group.size(); i++) {
        const RowBlock& own = group[i];
        const double kappa = others(i, [&](const RowBlock& o) { return o.y[h] * o.g[h]; }) /
                             (others(i, [&](const RowBlock& o) { return o.y[h] * o.y[h]; }) + 0.1 * variance);
        d1 += own.y[h] * own.g[h] / variance - kappa * (own.y[h] * own.y[h] / variance - 1);
      }
      for (size_t k = 0; k <= inputs; k++)
        (*gradient)[k * width + h] += (k < inputs ? problem.input(b, k) : 1) * d1;
    }
    for (size_t i = 0; i < group.size(); i++)
      for (size_t c = 0; c < classes; c++) {
        const RowBlock& own = group[i];
        const double level = others(i, [](const RowBlock& o) { return o.mean; }) / double(group.size() - 1);
        const double lambda =
            others(i, [&](const RowBlock& o) { return o.n[c] * o.g[width + c]; }) /
            (others(i, [&](const RowBlock& o) { return o.n[c] * o.n[c]; }) + 1e-3 * s * s * own.own);
        for (size_t sample = 0; sample < 2 * m; sample++) {
          const double eta = own.eta[sample][c], e = sample < m ? 1 : -1;
          const double psi = eta * (own.f[sample] - level - lambda * eta) / (s * s * own.q[sample]) + lambda;
          for (size_t h = 0; h <= width; h++)
            (*gradient)[problem.network.shape(2).offset + h * classes + c] +=
                (own.a[h] + e * sign_of(sample % m, h) * own.d[h]) * psi / double(2 * m);
        }
      }
  }

  Vector heat(uint32_t blocks) const {
    Vector gradient(problem.parameters.size());
    const uint32_t groups = (blocks + 7) / 8;
    for (size_t b = 0; b < rows; b++)
      for (uint32_t group = 0; group < groups; group++) {
        std::vector<RowBlock> members;
        for (uint32_t i = blocks * group / groups; i < blocks * (group + 1) / groups; i++)
          members.push_back(row_block(b, i));
        add_row(b, members, &gradient);
      }
    for (double& value : gradient) value /= double(rows * blocks);
    return gradient;
  }
};

Estimator walsh(uint32_t blocks, Estimator::Kind kind) {
  Estimator e = importance_sampling(true, Coupling::Kind::kWalsh, blocks, false, false);
  e.kind = kind;
  e.rowwise = true;
  return e;
}

const Register cross_fit(
    "cuda walsh: the row split of several blocks against its formulas in double precision", [] {
      struct Case {
        Problem problem;
        uint32_t blocks;
      };
      const Case cases[] = {
          {Problem({20, 11, 4}, Activation::kRelu, 5, true, 0.6), 2},
          {Problem({20, 17, 5}, Activation::kTanh, 4, false, 0.2), 9},
          {Problem({9, 70, 3}, Activation::kRelu, 3, true, 0.4), 3},
          {Problem({6, 1100, 2}, Activation::kRelu, 2, true, 0.1), 2},  // a team of four warps
          // Several rows a block of threads: more rows than blocks of threads, and more groups than half.
          {Problem({8, 5, 3}, Activation::kRelu, 300, true, 0.4), 3},
          {Problem({8, 5, 3}, Activation::kRelu, 4, true, 0.4), 1100}};
      for (const auto& [problem, blocks] : cases) {
        const Answer answer =
            ask(select_kernels("", nullptr), problem, walsh(blocks, Estimator::Kind::kEvolutionStrategies));
        const Vector expected = Formulas(problem).heat(blocks);
        double most = 0;
        for (const double value : expected) most = std::max(most, std::abs(value));
        check_close(answer.inside(answer.gradient), {expected.begin(), expected.end()}, 2e-5 * most, 0,
                    std::to_string(blocks) +
                        " blocks of m = " + std::to_string(transform_length(problem.network, true)));
      }
    });

const Register range("cuda walsh: blocks whose losses leave the range of exp beside others that do not", [] {
  Problem problem({12, 600, 3}, Activation::kRelu, 3, true, 0.2);
  for (float& x : problem.parameters) x *= 7;
  const Answer answer =
      ask(select_kernels("", nullptr), problem, walsh(5, Estimator::Kind::kImportanceSampling));
  const std::vector<float> gradient = answer.inside(answer.gradient), losses = answer.inside(answer.losses);
  check(std::all_of(gradient.begin(), gradient.end(), [](float g) { return std::isfinite(g); }),
        "gradient leaves the range");
  const Formulas of(problem);
  for (uint32_t i = 0; i < 5; i++) {
    Vector f(2 * of.m);
    for (size_t b = 0; b < of.rows; b++) {
      const RowBlock row = of.row_block(b, i);
      for (size_t sample = 0; sample < f.size(); sample++) f[sample] += row.f[sample] / double(of.rows);
    }
    for (size_t sample = 0; sample < f.size(); sample++)
      check_near(losses[i * f.size() + sample], f[sample], 2e-6 * f[sample] + 1e-6, "loss");
  }
});

// In the direct form the noise is the same for any rows, so a batch's losses are the mean of its parts',
// which have a row for each block of threads.
const Register several("cuda walsh: losses for the weights alone, several rows a block of threads", [] {
  for (const auto& [size, count, blocks] : {std::tuple{300u, 2u, 3u}, {4u, 4u, 1100u}}) {
    Problem problem({8, 5, 3}, Activation::kRelu, size, true, 0.4);
    const Estimator e = importance_sampling(false, Coupling::Kind::kWalsh, blocks, false, false);
    const Answer whole = ask(select_kernels("", nullptr), problem, e);
    const std::vector<float> got = whole.inside(whole.losses);
    const auto rows = problem.rows;
    std::vector<float> mean(got.size());
    for (uint32_t p = 0; p < count; p++) {
      problem.rows.assign(rows.begin() + size / count * p, rows.begin() + size / count * (p + 1));
      const Answer piece = ask(select_kernels("", nullptr), problem, e);
      const std::vector<float> losses = piece.inside(piece.losses);
      for (size_t j = 0; j < mean.size(); j++) mean[j] += losses[j] / float(count);
    }
    check_close(got, mean, 1e-6, 1e-6, "loss");
  }
});

#if !defined(__CUDACC__)
const Register orders("cuda walsh: the same bits from the first thread to the last and back", [] {
  for (const auto& [width, blocks] : {std::pair{19u, 9u}, {300u, 2u}, {1100u, 3u}}) {
    const Problem problem({9, width, 4}, Activation::kRelu, 3, true, 0.3);
    const Estimator e = walsh(blocks, Estimator::Kind::kImportanceSampling);
    const Answer forth = ask(select_kernels("", nullptr), problem, e);
    shim_reverse = true;
    const Answer back = ask(select_kernels("", nullptr), problem, e);
    shim_reverse = false;
    check(forth.gradient == back.gradient && forth.losses == back.losses, "d1 = " + std::to_string(width));
    check(forth.estimate.standard_error == back.estimate.standard_error, "standard error");
  }
});
#endif

}  // namespace

}  // namespace native_test
