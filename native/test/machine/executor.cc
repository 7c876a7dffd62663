// The processor's team: when its caller works alone.
#include "../../cpu/machine/executor.h"

#include "../harness.h"

namespace native_test {

namespace {

using local_entropy::Executor;
using local_entropy::Worth;
using std::chrono::microseconds;

// Forks until `time` has passed, each so long; how many of them were to be done alone.
unsigned forks(Worth& worth, microseconds time, microseconds team_worked, microseconds team_waited,
               microseconds alone) {
  unsigned by_itself = 0;
  for (microseconds passed(0); passed < time;) {
    if (worth.alone()) {
      worth.count(alone, microseconds(0));
      passed += alone;
      by_itself++;
    } else {
      worth.count(team_worked, team_waited);
      passed += team_worked + team_waited;
    }
  }
  return by_itself;
}

const Register worth("executor: a team that costs more than it saves rests, and is asked again", [] {
  const microseconds second(1000000);
  Worth quiet(2);
  check(forks(quiet, second, microseconds(20), microseconds(3), microseconds(40)) == 0,
        "a team that hardly waits is never left alone");
  Worth uneven(2);
  const unsigned tried = forks(uneven, second, microseconds(20), microseconds(10), microseconds(40));
  check(tried > 0 && tried < 1000,
        "one that waits but saves is tried against once: " + std::to_string(tried));

  Worth busy(2);  // each fork waits longer than the caller would take alone
  const unsigned alone = forks(busy, second, microseconds(20), microseconds(60), microseconds(40));
  check(alone * 40 > 900000, "one that loses works a tenth of the time at most: " + std::to_string(alone));
  forks(busy, second, microseconds(20), microseconds(1), microseconds(40));
  check(forks(busy, second, microseconds(20), microseconds(1), microseconds(40)) == 0,
        "it is back once it saves again");
});

const Register shares("executor: alone or not, each share is done once a fork", [] {
  Executor executor(3);
  std::atomic<unsigned> done[3] = {};
  const auto share = [](void* counts, unsigned worker) {
    static_cast<std::atomic<unsigned>*>(counts)[worker]++;
    // The caller is done at once and waits for the others, so that it tries to work alone.
    if (worker > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  };
  for (unsigned fork = 1; fork <= 60; fork++) {
    executor.run(share, done);
    for (const auto& count : done) check(count == fork, "a share was left out or done twice");
  }
});

}  // namespace

}  // namespace native_test
