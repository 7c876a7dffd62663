// What every backend shares beyond the structures of backend.h: numbers of streams, and constants of the
// estimators.
#pragma once
#include <cstdint>

#include "../../streams.h"

namespace local_entropy {

constexpr double kPivotBound = 1e-9;    // of its diagonal entry; a pivot of at most that is zero
constexpr double kKappaRidge = 0.1;     // of kappa's denominator, in units of s^2 |a_b|^2
constexpr double kLambdaRidge = 1e-3;   // of lambda's, in units of s^2 |hidden|^2
constexpr uint32_t kBlocksInGroup = 8;  // Walsh blocks that take their slopes from each other

}  // namespace local_entropy
