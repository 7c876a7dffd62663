// Sums over the losses of all samples: sample-losses.h.
#include <algorithm>

#include "../machine/parts.h"
#include "sample-losses.h"

namespace local_entropy {

namespace {

__global__ void loss_parts(size_t samples, const float* losses, SamplePart* parts) {
  const SamplePart part = loss_share(losses, share_begin(samples, gridDim.x, blockIdx.x),
                                     share_begin(samples, gridDim.x, blockIdx.x + 1));
  if (threadIdx.x == 0) parts[blockIdx.x] = part;
}

}  // namespace

unsigned sample_part_count(size_t samples) {
  constexpr size_t kMostParts = 512, kPart = 4096;  // samples of a part at least
  return unsigned(std::max(size_t(1), std::min(kMostParts, samples / kPart)));
}

void sum_losses(size_t samples, const float* losses, unsigned count, SamplePart* parts,
                DeviceContext& context) {
  launch(loss_parts, {count, 256}, context.stream, samples, losses, parts);
}

}  // namespace local_entropy
