// A dense network's loss and its gradient, predictions and accuracy.
//
//   P^1 = A^0 W^1, A^l = (activation(P^l), 1), P^{l+1} = A^l W^{l+1}, f = mean over rows of the loss of P^L.
//
// Symbols: B rows, d0 … dL widths, M parameter vectors at a time. A signal is df/dP^l. Everything enqueues.
#pragma once
#include <vector>

#include "../machine/question.h"

namespace local_entropy {

// Where layers 2 … L begin in the flat vector (n for a network of one layer).
inline size_t tail_offset(const Network& network) { return network.shape(1).rows * network.shape(1).columns; }

// What is kept of B rows at M parameter vectors on their way through the network; rows of one vector lie
// together.
struct DensePass {
  size_t rows, count;              // B, M
  std::vector<float*> activation;  // [l], l = 1 … L - 1: A^l without its ones, M x B x d_l
  std::vector<float*> signal;      // [l], l = 1 … L: df/dP^l, M x B x d_l; [L] holds the logits first
  float* losses;                   // M x B
  size_t sample = 0, step = 0;  // where losses are given: the number of the first, and from one to the next
};

DensePass new_dense_pass(DeviceArena& arena, const Network& network, size_t rows, size_t count = 1);

// Parameters of M vectors of layers from … L: `next` floats from one to the next, starting with layer `from`.
struct DenseParameters {
  const float* data;
  size_t next = 0;
};

// P^1 = A^0 W^1 (M x B x d1), activated where the network has more layers, into its place in the pass.
void dense_first(DeviceContext&, const Network&, const DenseParameters& first, const DeviceBatch&,
                 DensePass&);
// From A^1 (or P^1 in signal[L], for a network of one layer) to the logits in signal[L]. tail: layers 2 … L.
void dense_upper(DeviceContext&, const Network&, const DenseParameters& tail, DensePass&);
// Losses of all rows. Where scale is not 0, signal[L] becomes scale dloss/dlogits.
void dense_losses(DeviceContext&, const Network&, DeviceLoss loss, const DeviceBatch&, float scale,
                  DensePass&);
// From signal[L] back to signal[1].
void dense_back(DeviceContext&, const Network&, const DenseParameters& tail, DensePass&);
// Gradient of layers 2 … L, flat, M of them `next` floats apart.
void dense_tail_gradient(DeviceContext&, const Network&, const DensePass&, float* gradient, size_t next = 0);
// *mean <- mean of `count` losses, summed in float64 in fixed order.
void mean_of_losses(DeviceContext&, const float* losses, size_t count, double* mean);

// The operations; rows are worked off some after the others, so memory does not grow with B. These wait.
bool dense_loss(DeviceContext&, const Network&, DeviceLoss loss, const float* parameters, const DeviceBatch&,
                double* value);
// outputs under the link of a kind of loss: B x classes; labels: B; host memory.
bool dense_predict(DeviceContext&, const Network&, LossKind, const float* parameters, const DeviceBatch&,
                   float* outputs, uint16_t* labels);
bool dense_accuracy(DeviceContext&, const Network&, const float* parameters, const DeviceBatch&,
                    uint64_t* correct);

}  // namespace local_entropy
