// Sums over the losses of all samples, in parts whose number depends on the number of samples alone.
#pragma once
#include "../machine/block.h"
#include "../machine/context.h"

namespace local_entropy {

// Of one part: first the losses, then, in importance sampling, the weights.
struct SamplePart {
  double sum, squares, most;  // losses: sum of the finite ones, how many are not, the largest of -f
};

// Of a share of the samples, by a block of threads.
__device__ inline SamplePart loss_share(const float* losses, size_t begin, size_t end) {
  double sum = 0, infinite = 0, most = -INFINITY;
  for (size_t j = begin + threadIdx.x; j < end; j += blockDim.x) {
    if (losses[j] == INFINITY)  // of weight 0
      infinite++;
    else
      sum += double(losses[j]);
    most = fmax(most, -double(losses[j]));
  }
  sum = block_sum(sum);
  infinite = block_sum(infinite);
  return {sum, infinite, block_largest(most)};
}

__device__ inline SamplePart merge_parts(const SamplePart* parts, unsigned count) {
  SamplePart all{0, 0, parts[0].most};
  for (unsigned p = 0; p < count; p++) {
    all.sum += parts[p].sum;
    all.squares += parts[p].squares;
    all.most = parts[p].most > all.most ? parts[p].most : all.most;
  }
  return all;
}

unsigned sample_part_count(size_t samples);

// parts (count) <- the losses' sums and the largest of -f.
void sum_losses(size_t samples, const float* losses, unsigned count, SamplePart* parts,
                DeviceContext& context);

}  // namespace local_entropy
