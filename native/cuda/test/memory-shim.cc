// Out of device memory: the error says so, and the session stands where it stood.
#include <cmath>

#include "../../test/harness.h"
#include "../../test/problem.h"
#include "../machine/device.h"

namespace native_test {

namespace {

const Register memory("shim: a session without memory for an update throws, loses nothing, and goes on", [] {
  const Problem problem({30, 19, 5}, Activation::kRelu, 7, true, 0.8);
  const Estimator estimators[] = {sgd(),
                                  sgld(true, 9),
                                  sgld(false, 5),
                                  robbins_monro(true, 3, 4),
                                  importance_sampling(true, Coupling::Kind::kAntithetic, 20, false, false),
                                  importance_sampling(true, Coupling::Kind::kWalsh, 2, false, false)};
  for (const Estimator& estimator : estimators) {
    SessionSetup setup{};
    setup.network = problem.network;
    setup.train = problem.examples;
    setup.batch_size = uint32_t(problem.rows.size());
    setup.estimator = estimator;
    setup.optimizer.kind = Optimizer::Kind::kMomentum;
    setup.seed = problem.seed;
    setup.state.parameters.assign(problem.parameters.begin(), problem.parameters.end());
    setup.state.moments.assign(1, Floats(problem.parameters.size()));
    Plan both{0, 2, problem.rows, {0.02, 0.01}, {0.1, 0.1}, {0.01, 0.01}};
    both.rows.insert(both.rows.end(), problem.rows.begin(), problem.rows.end());

    Executor* executor = new_executor(1);
    const Kernels* kernels = select_kernels("", nullptr);
    Session whole(setup, kernels, executor), poor(setup, kernels, executor);
    const std::atomic<bool> no{false};
    std::vector<double> values(2 * kValues), again(2 * kValues);
    check(whole.run(both, no, values.data()) == 2, "done");

    std::string what;
    shim_largest = 100'000;  // enough for a plan's numbers, too little for the first block of an arena
    try {
      poor.run(both, no, again.data());
    } catch (const DeviceError& error) {
      what = error.what();
    }
    shim_largest = SIZE_MAX;
    check(what.find("not enough memory") != std::string::npos, "nothing was thrown");
    check(poor.state().parameters == setup.state.parameters && poor.state().chain.empty(), "the state moved");
    check(poor.run(both, no, again.data()) == 2, "done afterwards");
    check(poor.state().parameters == whole.state().parameters, "parameters differ");
    check(poor.state().moments == whole.state().moments, "moments differ");
    check(poor.state().chain == whole.state().chain, "chains differ");
    delete_executor(executor);
  }
});

}  // namespace

}  // namespace native_test
