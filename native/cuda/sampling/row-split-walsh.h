// All rows of a minibatch under a wave of Walsh blocks: the blocks' losses, and by rows the first-order part
// of the gradient. row-split-walsh.cu has the formulas.
//
// Symbols: B rows, K blocks in groups of at most kBlocksInGroup, m the transform's length, d1 units, C
// classes.
#pragma once
#include "../machine/context.h"
#include "walsh.h"

namespace local_entropy {

constexpr uint32_t kAllParts = 0xffffffff;

// Groups first_group … first_group + wave_groups - 1 and rows first_row … first_row + rows - 1. A block of
// threads takes one group and one chunk of the rows.
struct WalshRowsTask {
  WalshPoint point;
  bool by_rows;
  uint64_t blocks, groups, first_group;  // K, groups in all
  uint32_t wave_groups, wave_blocks;
  uint32_t first_row, rows, chunks;
  uint32_t part;        // the one block of a group whose part of D1 and D2 is wanted, or kAllParts: their sum
  uint32_t slots;       // blocks of a group that a block of threads has room for
  const float* y;       // wave_blocks x rows x d1
  const float* second;  // s Z by classes: wave_blocks x C x m, zeros past d1
  float* losses;        // chunks x wave_blocks x 2m: sums of f over the chunk's rows
  float* first;         // by rows: wave_groups x rows x d1, sums over the group of what D1 is the mean of
  float* second_sums;   // row split: (wave_groups x chunks) x C x (d1 + 1), the same of D2
  float* scratch;       // where the slots do not fit into shared memory: floats a block of threads
};

// A shape's numbers; throws a DeviceError where m is beyond what a block of threads transforms.
WalshShape new_walsh_shape(const Network& network, bool rowwise);

// Floats that a slot needs; whether `slots` of them fit into shared memory with the rest.
size_t walsh_slot_floats(const WalshShape& shape);
bool walsh_slots_shared(const WalshShape& shape, bool by_rows, uint32_t slots);
// Slots for groups of at most `most` blocks: whole rounds of the teams.
uint32_t walsh_slots(const WalshShape& shape, uint32_t most);

void walsh_rows(const WalshRowsTask& task, DeviceContext& context);

}  // namespace local_entropy
