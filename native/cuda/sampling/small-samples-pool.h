// What a block of threads keeps in shared memory for the samples of a small network:
// small-samples.cu.
#pragma once
#include "noise-layout.h"

namespace local_entropy {

// Shared memory, in floats. Rows of hidden units and of classes are padded to whole tiles, U to whole passes;
// a unit's activations and its weights lie so far apart that neighbours fall into different banks.
struct SamplePool {
  static constexpr unsigned kThreads = 384;  // of a block of threads; two fit into a multiprocessor of sm_90
  static constexpr unsigned kTileRows = 4, kTileClasses = 5, kTile = kTileRows * kTileClasses;
  static constexpr unsigned kMostParts = 24;  // slices of the hidden units: more would cost more to add up

  unsigned groups, class_tiles;       // tiles of the logits: down, across
  unsigned padded_rows;               // to whole passes of first_layer
  unsigned row_stride, class_stride;  // of a unit's activations, and of its weights
  unsigned parts;                     // slices of the hidden units
  unsigned noise, weighted, plain, factor, tail, active, upper, bias, logits, size;

  // groups_at_once: kTileRows rows each, in registers.
  SamplePool(const NoiseLayout& layout, unsigned rows, unsigned columns, unsigned classes, bool hidden,
             bool pair, bool sums, unsigned groups_at_once) {
    const unsigned at_once = groups_at_once * kTileRows, passes = (rows + at_once - 1) / at_once;
    groups = (rows + kTileRows - 1) / kTileRows;
    class_tiles = (classes + kTileClasses - 1) / kTileClasses;
    padded_rows = passes * at_once;
    row_stride = padded_rows + (padded_rows % 8 == 0 ? 4 : 0);
    class_stride = 8 * class_tiles + 4;
    const unsigned tiles = groups * class_tiles;
    parts = tiles == 0 || tiles > kThreads ? 1 : kThreads / tiles;
    if (parts > kMostParts) parts = kMostParts;
    const unsigned of_noise = unsigned(layout.size()), read = padded_rows * columns;
    noise = 0;
    weighted = read > of_noise ? read : of_noise;
    plain = weighted + (sums ? of_noise : 0);
    factor = plain + (sums && !pair ? of_noise : 0);
    tail = factor + padded_rows * padded_rows;
    // Room past the last class, which is read and not used.
    active = tail + (hidden ? ((columns + 1) * classes + kTileClasses + 2) / 4 * 4 : 0);
    upper = active + (hidden ? columns * row_stride : 0);
    // The parts of the tiles take the place of the activations and weights, once these are multiplied.
    const unsigned multiplied = upper + (hidden ? columns * class_stride : 0),
                   added = active + (hidden ? kTile * tiles * parts : 0);
    bias = multiplied > added ? multiplied : added;
    logits = bias + (hidden ? class_stride : 0);
    size = logits + (rows * classes + 3) / 4 * 4;
  }
};

}  // namespace local_entropy
