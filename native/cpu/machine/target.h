// The instruction set that kernels are compiled for, called their target: the one whose header a file
// includes first (targets/*.cc), or, where an editor or a check opens a file of kernels by itself, one that
// every processor has.
//
// Kernels stand between BEGIN_TARGET and END_TARGET, in the target's namespace and in its instructions.
// Includes stand before, so that no copy of a library template is compiled for a processor that may be absent
// and then picked by the linker for all.
#pragma once

#define PRAGMA(text) _Pragma(#text)
#if !defined(__x86_64__)  // the one target is what all code is compiled for
#define BEGIN_FEATURES(features)
#define END_FEATURES
#elif defined(__clang__)
#define BEGIN_FEATURES(features) \
  PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define END_FEATURES PRAGMA(clang attribute pop)
#else
#define BEGIN_FEATURES(features) PRAGMA(GCC push_options) PRAGMA(GCC target features)
#define END_FEATURES PRAGMA(GCC pop_options)
#endif

#define BEGIN_TARGET              \
  BEGIN_FEATURES(TARGET_FEATURES) \
  namespace local_entropy {       \
  namespace TARGET {
#define END_TARGET \
  }                \
  }                \
  END_FEATURES

#if !defined(TARGET)
#if defined(__x86_64__)
#include "targets/sse4.h"
#else
#include "targets/neon.h"
#endif
#endif
