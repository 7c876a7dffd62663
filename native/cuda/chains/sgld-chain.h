// The projected Langevin chain: transitions of one chain by one block of threads, with the chain in its
// memory.
//
//   P^1 = base + L V, V <- V - (eps_j/2)(L^T G + V/tau) + s_j xi, and so the layers 2 … L, G = df/dP^1
//
// Symbols: B rows, d1 columns, V (B x d1), `tail` layers 2 … L relative to x_k; sums are of eps_j x^j.
#pragma once
#include "../machine/question.h"
#include "../sampling/noise-layout.h"

namespace local_entropy {

// Numbers of a transition: eps_j, s_j, eps_{j+1}.
struct Transition {
  float half, keep, scale, next;  // -eps_j/2, 1 - eps_j/(2 tau), s_j, eps_{j+1}
};

struct ChainNetwork {
  uint32_t depth, width[kMostLayers + 1];
  Activation activation;
};

struct Chain {
  ChainNetwork network;
  DeviceBatch batch;
  LossKind loss_kind;
  const float* base;    // A x_k: B x d1
  const float* factor;  // L: B x B
  const float* tail;    // x_k's layers 2 … L
  float* state;         // V, its sum, the tail, its sum
  float* scratch;       // where shared memory does not hold what the chain needs, chain_floats of them
  double* loss;         // sum of f over the transitions so far
};

// Enqueues `count` transitions: their numbers, and their noise (count x layout.size()).
void run_chain(const Chain& chain, const NoiseLayout& layout, const Transition* transitions, uint32_t count,
               const float* noise, DeviceContext& context);

// Memory that a chain needs besides its state; null where shared memory has room for it.
float* chain_scratch(const ChainNetwork& network, size_t rows, DeviceContext& context);

}  // namespace local_entropy
