// Which instruction sets this processor has, and the table of kernels for each: one list in order of
// preference.
//
// The processor is asked by cpuid and the operating system by xgetbv; the compiler's own built-in test
// answers no to everything under one of the compilers that build releases.
#include "kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace local_entropy {

namespace {

struct Target {
  const Kernels* kernels;
  bool (*present)();
};

#if defined(__x86_64__)

struct Cpu {
  bool sse4 = false, avx2 = false, avx512 = false;

  Cpu() {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return;
    sse4 = (c >> 20 & 1) && (c >> 19 & 1) && (c >> 9 & 1);  // SSE4.2, SSE4.1, SSSE3
    const bool fma = c >> 12 & 1, avx = c >> 28 & 1, os_saves = c >> 27 & 1;
    if (!fma || !avx || !os_saves || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return;
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    const bool ymm = (low & 0x6) == 0x6, zmm = (low & 0xe6) == 0xe6;  // state that the system saves
    avx2 = sse4 && ymm && (b >> 5 & 1);
    avx512 = avx2 && zmm && (b >> 16 & 1) && (b >> 17 & 1) && (b >> 30 & 1) && (b >> 31 & 1);  // F DQ BW VL
  }
};

const Cpu& cpu() {
  static const Cpu found;
  return found;
}

// A build for one instruction set leaves the others out (native/CMakeLists.txt).
const Target kTargets[] = {
#ifndef LOCAL_ENTROPY_WITHOUT_AVX512
    {&avx512::kKernels, [] { return cpu().avx512; }},
#endif
#ifndef LOCAL_ENTROPY_WITHOUT_AVX2
    {&avx2::kKernels, [] { return cpu().avx2; }},
#endif
#ifndef LOCAL_ENTROPY_WITHOUT_SSE4
    {&sse4::kKernels, [] { return cpu().sse4; }},
#endif
};

#elif defined(__aarch64__)

const Target kTargets[] = {{&neon::kKernels, [] { return true; }}};

#endif

}  // namespace

std::vector<std::string> available_kernels() {
  std::vector<std::string> names;
  for (const Target& target : kTargets)
    if (target.present()) names.push_back(target.kernels->name);
  return names;
}

const Kernels* select_kernels(const std::string& name, std::string* why) {
  bool known = false;
  for (const Target& target : kTargets) {
    if (!name.empty() && name != target.kernels->name) continue;
    known = true;
    if (target.present()) return target.kernels;
  }
  std::string valid;
  for (const std::string& each : available_kernels()) valid += (valid.empty() ? "" : ", ") + each;
  if (why == nullptr) return nullptr;
  if (valid.empty())
    *why = "This processor has none of the instruction sets that this build needs";
  else if (known)
    *why = "This processor lacks the instruction set \"" + name + "\"; it can run " + valid;
  else
    *why = "Expected one of " + valid + " for the instruction set but received \"" + name + "\"";
  return nullptr;
}

}  // namespace local_entropy
