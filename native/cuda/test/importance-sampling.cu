// The kernel of small networks' losses and sums against the pass for any network and its sums; the chain in
// shared memory against the chain in global memory; and the same bits whichever thread comes first.
#include <cmath>

#include "../../test/harness.h"
#include "../../test/problem.h"
#include "../chains/sgld-chain.h"
#include "../linear/first-layer.h"
#include "../linear/projection.h"
#include "../sampling/evolution-strategies.h"
#include "../sampling/importance-sampling.h"
#include "../sampling/small-samples.h"

namespace native_test {

using namespace local_entropy;

namespace {

// A question on the device, about a problem that outlives it.
struct Asked {
  std::atomic<bool> cancelled{false};
  Stream stream = new_stream();
  DeviceArena arena;
  DeviceContext context{stream, &arena, &cancelled};
  ExampleArrays examples;
  DeviceArray<uint32_t> rows;
  DeviceArray<float> parameters, costs;
  DeviceBatch batch;
  DeviceQuestion question;

  explicit Asked(const Problem& problem)
      : examples(stream, problem.examples),
        rows(stream, problem.rows),
        parameters(stream, problem.parameters),
        costs(stream, problem.loss.costs),
        batch{examples.view(), rows.data(), problem.rows.size()},
        question{&problem.network,
                 {problem.loss.kind, costs.data()},
                 parameters.data(),
                 &batch,
                 1,
                 problem.seed,
                 problem.update,
                 problem.tau,
                 std::sqrt(problem.tau)} {}
  ~Asked() { delete_stream(stream); }
};

const Register losses(
    "cuda importance-sampling: small networks' losses as the pass for any network makes them", [] {
      std::vector<Problem> problems;
      problems.push_back(Problem({30, 19, 5}, Activation::kRelu, 7, true, 0.8, true));
      problems.push_back(Problem({64, 37, 11}, Activation::kTanh, 33, false, 0.2));
      problems.push_back(Problem({37, 11}, Activation::kRelu, 13, false, 0.7));
      problems.push_back(Problem({12, 6, 3}, Activation::kStep, 5, true, 0.3));
      problems.back().loss.kind = LossKind::kCostMatrix;
      for (size_t i = 0; i < 9; i++) problems.back().loss.costs.push_back(i % 4 == 0 ? 0 : float(1 + i % 3));
      for (const Problem& problem : problems)
        for (const bool pair : {false, true}) {
          const size_t units = 270, per_unit = pair ? 2 : 1;  // a slice has one or two
          Asked asked(problem);
          const Projection p = new_projection(asked.batch, asked.context);
          check(fits_small_samples(asked.question, &p, pair, true), "small");
          SampledPoint point = new_sampled_point(asked.question, &p, 90, 0, asked.context);
          const DeviceArray<float> fast(units * per_unit), slow(units * per_unit);
          small_samples(point, pair, units, fast.data(), nullptr);
          for (size_t first = 0; first < units; first += 90) {
            draw_units(&point, first, 90);
            for (size_t i = 0; i < per_unit; i++) {
              forward_units(&point, i == 0 ? 1 : -1, 0);
              unit_losses(point, per_unit, slow.data() + per_unit * first + i);
            }
          }
          check_close(fast.read(asked.stream), slow.read(asked.stream), 1e-6, 1e-6, "loss");
        }
    });

// Several units a slice. The smallest temperature makes slices take new levels, and one sample outweigh all.
// The widest network has noise beyond what is made ahead.
const Register sums("cuda importance-sampling: small networks' sums as the noise made again gives them", [] {
  for (const Problem& problem : {Problem({25, 180, 10}, Activation::kRelu, 20, true, 0.8),
                                 Problem({30, 19, 5}, Activation::kRelu, 7, true, 0.8, true),
                                 Problem({26, 17, 3}, Activation::kTanh, 23, true, 0.8),
                                 Problem({37, 11}, Activation::kRelu, 13, false, 0.7)})
    for (const bool pair : {false, true})
      for (const float delta : {1.0f, 2e-3f, 0.0f}) {  // 0: heat
        if (quick() && delta == 1) continue;
        const bool entropy = delta > 0, wide = problem.network.layers[1] > 100;
        if (wide && (pair || delta < 1)) continue;
        const size_t units = wide ? 600 : 1500;
        const size_t samples = units * (pair ? 2 : 1);
        Asked asked(problem);
        const Projection p = new_projection(asked.batch, asked.context);
        check(fits_small_samples(asked.question, &p, pair, true), "small");
        const SampledPoint point = new_sampled_point(asked.question, &p, 1, 0, asked.context);
        const DeviceArray<float> values(samples), beta(units), fast(point.layout.size()),
            slow(point.layout.size());
        const SampleSlices slices = new_sample_slices(point, pair, units, entropy, delta);
        check(slices.slices < units / 2, "several units a slice");
        small_samples(point, pair, units, values.data(), &slices);
        const DeviceArray<SampleWeights> weights(1);
        const DeviceArray<EstimateNumbers> numbers(1);
        Estimator e =
            importance_sampling(true, Coupling::Kind::kIndependent, uint32_t(samples), false, false);
        e.temperature = entropy ? delta : 1;
        if (entropy)
          weigh_samples(e, asked.question, samples, values.data(), weights.data(), numbers.data(),
                        asked.context);
        else
          mean_of_samples(e, asked.question, samples, values.data(), weights.data(), numbers.data(),
                          asked.context);
        for (const UnitWeight kind :
             {UnitWeight::kCentred, entropy ? UnitWeight::kRaw : UnitWeight::kPlain}) {
          unit_weights(units, pair, kind, entropy, weights.data(), values.data(), beta.data(), asked.context);
          noise_sum(point.layout, asked.question, units, beta.data(), slow.data(), nullptr, asked.context);
          sum_of_slices(point, slices, kind, weights.data(), fast.data());
          std::vector<float> got, expected;  // without padding
          const std::vector<float> all = fast.read(asked.stream), of = slow.read(asked.stream);
          float largest = 0;
          for (size_t l = 0; l < point.layout.depth; l++)
            for (size_t i = point.layout.offset[l]; i < point.layout.offset[l] + point.layout.count[l]; i++) {
              if (of[i] == 0) continue;  // of a row that no pivot uses
              got.push_back(all[i]);
              expected.push_back(of[i]);
              largest = std::max(largest, std::abs(of[i]));
            }
          check(got.size() > all.size() / 2, "rows that pivots use");
          check_close(got, expected, 2e-6 * double(largest), 0, "sum of noise");
        }
      }
});

// w - e^-top and rho of many losses and few, with weights near one another and far apart.
const Register weights(
    "cuda importance-sampling: weights and their numbers from the losses, in one part and several", [] {
      const Problem problem({3, 2}, Activation::kRelu, 1, true, 0);
      for (const size_t samples : {1, 5, 3000, 20001})
        for (const double spread : {1e-3, 1.0, 40.0})
          for (const bool rowwise : {false, true}) {
            Asked asked(problem);
            Estimator e =
                importance_sampling(false, Coupling::Kind::kIndependent, uint32_t(samples), false, false);
            e.rowwise = rowwise;
            const double delta = e.temperature, s = asked.question.noise_scale;
            Random random{samples};
            std::vector<float> losses;
            double level = 0, least = INFINITY;
            for (size_t j = 0; j < samples; j++) {
              losses.push_back(float(2 + spread * (random.uniform() - 0.5)));
              level += double(losses[j]) / double(samples);
              least = std::min(least, double(losses[j]));
            }
            const double most = (level - least) / delta, top = most > 20 ? most : 0;
            double sum = 0, squares = 0, largest = 0;
            for (const float f : losses) {
              const double w = std::exp(-(double(f) - level) / delta - top);
              sum += w;
              squares += w * w;
              largest = std::max(largest, w);
            }
            const DeviceArray<float> values(asked.stream, losses);
            const DeviceArray<SampleWeights> of(1);
            const DeviceArray<EstimateNumbers> numbers(1);
            weigh_samples(e, asked.question, samples, values.data(), of.data(), numbers.data(),
                          asked.context);
            const std::vector<float> got = values.read(asked.stream);
            const SampleWeights w = of.read(asked.stream)[0];
            const EstimateNumbers n = numbers.read(asked.stream)[0];
            const double mean = sum / double(samples), lost = std::exp(-top);
            for (size_t j = 0; j < samples; j++) {
              const double x = -(double(losses[j]) - level) / delta;
              const double more = top == 0 ? std::expm1(x) : std::exp(x - top) - lost;
              const double expected = rowwise ? more - lost * x : more;
              check_near(got[j], expected, 1e-7 * std::abs(expected) + 1e-14, "sample " + std::to_string(j));
            }
            check_near(n.loss, level, 1e-13 * std::abs(level), "mean loss");
            check_near(n.free_energy, level - delta * (top + std::log(mean)), 1e-12, "free energy");
            check_near(n.effective_sample_size, sum * sum / squares, 1e-10 * double(samples),
                       "effective sample size");
            check_near(n.largest_weight, largest / sum, 1e-12, "largest weight");
            check_near(w.factor, -delta * s / problem.tau / mean, 1e-10 / mean, "factor");
            check_near(w.first_order, s * s / problem.tau * lost / mean, 1e-10 * lost / mean, "first order");
          }
    });

// State of a chain after some transitions, in shared memory or in `scratch`.
std::vector<float> after_transitions(const Problem& problem, bool shared) {
  Asked asked(problem);
  const Network& network = problem.network;
  const Projection p = new_projection(asked.batch, asked.context);
  const NoiseLayout layout = new_noise_layout(network, &p);
  const size_t inside = problem.rows.size() * network.layers[1],
               tail = network.parameters() - tail_offset(network);
  Chain chain{};
  chain.network.depth = uint32_t(network.depth());
  std::copy(network.layers.begin(), network.layers.end(), chain.network.width);
  chain.network.activation = network.activation;
  chain.batch = asked.batch;
  const DeviceArray<float> base(inside), state(asked.stream, std::vector<float>(2 * (inside + tail), 0.01f)),
      scratch(size_t(1) << 16), noise(3 * layout.size());
  const DeviceArray<double> loss(asked.stream, std::vector<double>(1, 0.0));
  first_product(asked.batch, asked.parameters.data(), network.layers[1], base.data(), network.layers[1],
                asked.context);
  draw_noise(layout, problem.seed, problem.update, 0, 3, noise.data(), asked.context);
  chain.base = base.data();
  chain.factor = scaled_factor(p, 1, asked.context);
  chain.tail = asked.parameters.data() + tail_offset(network);
  chain.state = state.data();
  chain.scratch = shared ? nullptr : scratch.data();
  chain.loss = loss.data();
  check(chain_scratch(chain.network, problem.rows.size(), asked.context) == nullptr,
        "fits into shared memory");
  const DeviceArray<Transition> numbers(asked.stream,
                                        std::vector<Transition>(3, Transition{-0.002f, 0.9f, 0.05f, 0.003f}));
  run_chain(chain, layout, numbers.data(), 3, noise.data(), asked.context);
  std::vector<float> all = state.read(asked.stream);
  all.push_back(float(loss.read(asked.stream)[0]));
  return all;
}

const Register memories("cuda sgld: the chain in shared memory and in global memory, to the bit", [] {
  struct Case {
    std::vector<uint32_t> layers;
    size_t rows;
  };
  // The last has more tiles than half the threads, so that no slices bring barriers of their own.
  for (const auto& [layers, rows] :
       {Case{{30, 19, 5}, 9}, Case{{24, 18, 7, 5}, 9}, Case{{37, 11}, 9}, Case{{40, 230, 20}, 33}}) {
    const Problem problem(layers, Activation::kTanh, rows, true, 0.5);
    const std::vector<float> shared = after_transitions(problem, true),
                             global = after_transitions(problem, false);
    check(shared == global && std::isfinite(shared.back()) && shared.back() > 0, "state");
#if !defined(__CUDACC__)
    shim_reverse = true;
    check(after_transitions(problem, true) == shared, "order of the threads");
    shim_reverse = false;
#endif
  }
});

#if !defined(__CUDACC__)
const Register orders("cuda estimators: the same bits from the first thread to the last and back", [] {
  const Problem problem({24, 18, 7, 5}, Activation::kRelu, 8, true, 0.6, true),
      small({30, 19, 5}, Activation::kRelu, 7, true, 0.8);
  for (const Problem* of : {&problem, &small})
    for (const bool projected : {false, true}) {
      Estimator rowwise = importance_sampling(projected, Coupling::Kind::kAntithetic, 10, false, false);
      rowwise.rowwise = true;
      for (const Estimator& e :
           {importance_sampling(projected, Coupling::Kind::kIndependent, 10, true, false), rowwise,
            sgld(projected, 5), robbins_monro(projected, 2, 3)}) {
        const Answer forth = ask(select_kernels("", nullptr), *of, e);
        shim_reverse = true;
        const Answer back = ask(select_kernels("", nullptr), *of, e);
        shim_reverse = false;
        check(forth.gradient == back.gradient && forth.chain == back.chain && forth.losses == back.losses &&
                  forth.done && back.done,
              "kind " + std::to_string(int(e.kind)));
      }
    }
});
#endif

}  // namespace

}  // namespace native_test
