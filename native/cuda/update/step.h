// One step of the optimizer along a gradient, elementwise (n), and the gradient's length:
//
//   gradient descent  x <- x - rate g
//   momentum          v <- mu v + g; x <- x - rate v
//   Adam              m <- b1 m + (1 - b1) g; v <- b2 v + (1 - b2) g^2
//                     x <- (1 - rate decay) x - rate m_hat / (sqrt(v_hat) + eps),
//                     m_hat = m/(1 - b1^index), v_hat = v/(1 - b2^index); index from 1 (Kingma and Ba, ICLR
//                     2015; decoupled weight decay: Loshchilov and Hutter, ICLR 2019)
//
// The first layer's gradient may come as A^T C (DeviceFactored): a row of it is made in registers and used at
// once, so the moments and the parameters are read and written once and the gradient never goes to memory.
#pragma once
#include "../machine/question.h"

namespace local_entropy {

// The parameters of a session on the device, all in the flat layout of LayerShape.
struct DeviceState {
  float* parameters;  // n
  float* moments[2];  // n each, as many as the optimizer has
};

// Steps `state` along gradient (n), whose first layer is factored.c where that is not null, batch being its
// rows. *norm (device, or null) <- |gradient|. index from 1. Everything enqueues.
void step(DeviceContext&, const Optimizer&, double rate, uint64_t index, const Network&,
          const float* gradient, const DeviceFactored& factored, const DeviceBatch& batch,
          const DeviceState& state, double* norm);

// The same for any vector of n.
void step(DeviceContext&, const Optimizer&, double rate, uint64_t index, size_t n, const float* gradient,
          const DeviceState& state);

}  // namespace local_entropy
