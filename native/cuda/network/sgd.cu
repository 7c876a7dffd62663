// Gradient of f on one minibatch: sgd.h.
#include "../linear/first-layer.h"
#include "dense.h"
#include "sgd.h"

namespace local_entropy {

void dense_gradient(DeviceContext& context, const Network& network, DeviceLoss loss, const float* parameters,
                    const DeviceBatch& batch, DeviceFactored* factored, float* gradient, double* value) {
  // Beyond so many rows the step's own product (step.cu) is slower than the tiles.
  constexpr size_t kMostFactored = 256;
  const size_t offset = tail_offset(network), columns = network.layers[1];
  DensePass pass = new_dense_pass(*context.arena, network, batch.size);
  dense_first(context, network, {parameters}, batch, pass);
  dense_upper(context, network, {parameters + offset}, pass);
  dense_losses(context, network, loss, batch, 1.0f / float(batch.size), pass);
  mean_of_losses(context, pass.losses, batch.size, value);
  dense_back(context, network, {parameters + offset}, pass);
  dense_tail_gradient(context, network, pass, gradient + offset);
  if (factored != nullptr && batch.size <= kMostFactored)
    *factored = {pass.signal[1], columns};
  else
    first_gradient(batch, pass.signal[1], columns, columns, false, gradient, context);
}

bool sgd(const Estimator&, const DeviceQuestion& q, DeviceContext& context, DeviceFactored* factored,
         DeviceEstimate* estimate) {
  dense_gradient(context, *q.network, q.loss, q.parameters, q.batches[0], factored, estimate->gradient,
                 &estimate->numbers->loss);
  estimate->samples = 1;
  return true;
}

}  // namespace local_entropy
