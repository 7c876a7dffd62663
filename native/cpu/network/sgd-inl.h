// Gradient of f on one minibatch, by the whole team: what stochastic gradient descent and the direct Langevin
// chain take. Rows are shared out on the way through the network, columns and rows of the matrices for their
// gradients, so each entry is one chain of sums whatever the number of threads.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstddef>

#include "../../backend.h"
#include "columns-inl.h"
#include "dense-inl.h"
#include "factored-inl.h"

BEGIN_TARGET

struct TeamGradient {
  Rows rows;
  Pass* passes;  // one a worker; all but `transposed` are shared
};

inline TeamGradient new_team_gradient(Workspace& workspace, const Network& network, size_t batch_size,
                                      unsigned workers) {
  const size_t capacity = std::min(batch_size, kRowBlock);
  TeamGradient g{new_rows(workspace, capacity, network.layers[0]), workspace.take<Pass>(workers)};
  g.rows.columns = new_columns(workspace, capacity, network.layers[0], network.layers[1]);
  g.passes[0] = new_pass(workspace, network, capacity);
  for (unsigned w = 1; w < workers; w++) {
    g.passes[w] = g.passes[0];
    size_t largest_matrix = 0;
    for (size_t l = 2; l <= network.depth(); l++)
      largest_matrix = std::max(largest_matrix, network.shape(l).rows * network.shape(l).columns);
    g.passes[w].transposed = workspace.take<float>(largest_matrix);
  }
  return g;
}

// gradient (n) <- grad f; returns f. Where `factored` is not null and one block holds the batch, the first
// layer's part is left as A^T C, C = df/dP^1.
inline double team_gradient(const Network& network, const Loss& loss, const float* parameters,
                            const Batch& batch, Executor* executor, TeamGradient* state, Factored* factored,
                            float* gradient) {
  const unsigned workers = executor->size();
  const size_t columns = network.layers[1], offset = tail_offset(network);
  double total = 0;
  for (size_t first = 0; first < batch.size; first += kRowBlock) {
    const size_t count = std::min(kRowBlock, batch.size - first);
    team_load(batch, first, count, executor, &state->rows);
    fork(executor,
         [&](unsigned worker) { multiply_pieces(state->rows, parameters, columns, worker, workers); });
    fork(executor, [&](unsigned worker) {
      const Share share(count, 1, worker, workers);
      const Pass& pass = state->passes[worker];
      if (share.begin == share.end) return;
      add_pieces(state->rows, share.begin, share.end, parameters, columns, pass.signal[1], pass.stride[1]);
      forward(network, parameters + offset, pass, share.begin, share.end);
      row_losses(network, loss, state->rows, pass, share.begin, share.end, 1.0f / float(batch.size));
      backward(network, parameters + offset, pass, share.begin, share.end);
    });
    const bool leave = factored != nullptr && count == batch.size;
    if (leave) *factored = {&state->rows, state->passes[0].signal[1], state->passes[0].stride[1]};
    fork(executor, [&](unsigned worker) {
      const Pass& pass = state->passes[worker];
      const Share share(columns, 16, worker, workers);
      if (!leave)
        first_gradient(state->rows, pass.signal[1], pass.stride[1], columns, share.begin, share.end,
                       first > 0, gradient);
      tail_gradient(network, pass, count, first > 0, worker, workers, gradient + offset);
    });
    total += sum_of_losses(state->passes[0], count);
  }
  return total / double(batch.size);
}

inline bool sgd(const Question& q, const Context& context, Workspace& workspace, Factored* factored,
                Estimate* estimate) {
  TeamGradient& state =
      *workspace.take<TeamGradient>(1);  // outlives this call where A^T C is left to the caller
  state = new_team_gradient(workspace, *q.network, q.batches[0].size, context.executor->size());
  estimate->loss = team_gradient(*q.network, *q.loss, q.parameters, q.batches[0], context.executor, &state,
                                 factored, estimate->gradient);
  estimate->samples = 1;
  return !context.cancelled->load();
}

END_TARGET
