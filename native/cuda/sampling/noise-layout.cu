// The layout of a unit's noise: noise-layout.h.
#include <string>

#include "noise-layout.h"

namespace local_entropy {

NoiseLayout new_noise_layout(const Network& network, const Projection* p) {
  if (network.depth() > kMostLayers)
    throw DeviceError("Expected at most " + std::to_string(kMostLayers) +
                      " layers for network on cuda but received " + std::to_string(network.depth()));
  NoiseLayout layout{};
  layout.depth = uint32_t(network.depth());
  layout.columns = network.layers[1];
  layout.used = p == nullptr ? nullptr : p->used;
  for (size_t l = 0; l < layout.depth; l++) {
    const LayerShape shape = network.shape(l + 1);
    layout.count[l] = (l == 0 && p != nullptr ? p->rows : shape.rows) * shape.columns;
    layout.offset[l + 1] = layout.offset[l] + (layout.count[l] + 63) / 64 * 64;
  }
  return layout;
}

}  // namespace local_entropy
