// The streams: one purpose of random numbers each, the fourth word of Philox's counter.
// The same list as src/reference/random/streams.ts, which explains the counter; test/vectors/ pins both.
#pragma once
#include <cstdint>

namespace local_entropy {

constexpr uint32_t kStreamMinibatchOrder = 0;
constexpr uint32_t kStreamInitialization = 1;
constexpr uint32_t kStreamComplement = 2;
constexpr uint32_t kStreamFirstLayer = 16;

// Stream of the noise of layer 1 … L.
constexpr uint32_t layer_stream(uint32_t layer) { return kStreamFirstLayer + layer - 1; }

}  // namespace local_entropy
