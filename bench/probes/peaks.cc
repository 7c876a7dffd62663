// What this machine can do at most, on so many cores: `peaks THREADS` prints one line of JSON.
//
//   multiplyAdds   float32 multiply-adds a second from registers: 12 independent chains
//   wideMultiplies 32 × 32 → 64 bit products a second, which Philox is made of
//   exponentials   float32 exponentials a second by the C library's vector function
//   near, memory   bytes read a second from 256 KB a core (second-level cache), from 256 MB (memory)
//
// Compiled with -O3 -march=native -ffast-math -pthread by bench/floors.mjs.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <thread>
#include <vector>
#ifdef __SSE4_1__
#include <immintrin.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif
typedef float Floats __attribute__((vector_size(4 * kLanes)));

volatile double sink;

// Twelve independent chains in variables of their own: an array would live in memory.
#define CHAINS(F) F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11)
constexpr int kChains = 12;

// Each probe does about `work` operations and returns how many it did.
double multiply_adds(double work) {
  Floats a{}, b{};
  for (int lane = 0; lane < kLanes; lane++) a[lane] = 0.999f, b[lane] = 0.001f + 1e-6f * float(lane);
#define DECLARE(i) Floats c##i = a;
#define STEP(i)        \
  c##i = c##i * a + b; \
  asm volatile("" : "+x"(c##i));  // neither merged over rounds nor left out
#define SINK(i) sink = double(c##i[0]);
  CHAINS(DECLARE)
  const auto rounds = uint64_t(work / (kChains * kLanes));
  for (uint64_t i = 0; i < rounds; i++) {
    CHAINS(STEP)
  }
  CHAINS(SINK)
#undef DECLARE
#undef STEP
#undef SINK
  return double(rounds) * kChains * kLanes;
}

#if defined(__AVX512F__)
using Words = __m512i;
Words multiply(Words x, Words y) { return _mm512_mul_epu32(x, y); }
Words words(long long value) { return _mm512_set1_epi64(value); }
#elif defined(__AVX2__)
using Words = __m256i;
Words multiply(Words x, Words y) { return _mm256_mul_epu32(x, y); }
Words words(long long value) { return _mm256_set1_epi64x(value); }
#else
using Words = uint64_t;
Words multiply(Words x, Words y) { return (x & 0xFFFFFFFF) * (y & 0xFFFFFFFF); }
Words words(long long value) { return Words(value); }
#endif

double wide_multiplies(double work) {
  const Words factor = words(0xD2511F53);
#if defined(__AVX2__)
#define KEEP(i) asm volatile("" : "+x"(c##i));
#else
#define KEEP(i) asm volatile("" : "+r"(c##i));
#endif
#define DECLARE(i) Words c##i = factor;
#define STEP(i) c##i = multiply(c##i, factor);
#define KEPT(i) STEP(i) KEEP(i)
  CHAINS(DECLARE)
  constexpr int kProducts = sizeof(Words) / 8;
  const auto rounds = uint64_t(work / (kChains * kProducts));
  for (uint64_t i = 0; i < rounds; i++) {
    CHAINS(KEPT)
  }
  return double(rounds) * kChains * kProducts;
}

double exponentials(double work) {
  constexpr int kCount = 1024;
  alignas(64) float in[kCount], out[kCount];
  for (int i = 0; i < kCount; i++) in[i] = -0.01f * float(i);
  const auto rounds = uint64_t(work / kCount);
  for (uint64_t i = 0; i < rounds; i++) {
    for (int k = 0; k < kCount; k++) out[k] = std::exp(in[k]);
    asm volatile("" : : "r"(out) : "memory");
  }
  return double(rounds) * kCount;
}

double read_bytes(const std::vector<float>& values, double work) {
  const auto rounds = std::max(uint64_t(1), uint64_t(work / (4.0 * double(values.size()))));
  for (uint64_t i = 0; i < rounds; i++) {
    float sum = 0;
    for (const float value : values) sum += value;
    sink = double(sum);
    asm volatile("" : : : "memory");
  }
  return 4.0 * double(values.size()) * double(rounds);
}

// Operations a second of all threads together, the best of some repeats of at least 30 ms. By processor time,
// so that what another process takes does not count.
double rate(unsigned threads, const std::function<double(unsigned, double)>& probe) {
  double work = 1e6, best = 0;
  for (int repeat = 0; repeat < 10;) {
    std::vector<double> done(threads);
    std::vector<std::thread> team;
    const std::clock_t start = std::clock();
    for (unsigned t = 0; t < threads; t++) team.emplace_back([&, t] { done[t] = probe(t, work); });
    for (std::thread& thread : team) thread.join();
    const double seconds = double(std::clock() - start) / CLOCKS_PER_SEC / threads;
    double total = 0;
    for (const double count : done) total += count;
    best = std::max(best, total / seconds);
    if (seconds < 0.03)
      work *= 2;
    else
      repeat++;
  }
  return best;
}

}  // namespace

int main(int argc, char** argv) {
  const unsigned threads = argc > 1 ? unsigned(std::atoi(argv[1])) : 1;
  const std::vector<std::vector<float>> near(threads, std::vector<float>(1 << 16, 1.0f));
  const std::vector<std::vector<float>> memory(threads,
                                               std::vector<float>((size_t(1) << 26) / threads, 1.0f));
  std::printf(
      "{\"threads\": %u, \"multiplyAdds\": %.4g, \"wideMultiplies\": %.4g, \"exponentials\": %.4g, "
      "\"near\": %.4g, \"memory\": %.4g}\n",
      threads, rate(threads, [](unsigned, double work) { return multiply_adds(work); }),
      rate(threads, [](unsigned, double work) { return wide_multiplies(work); }),
      rate(threads, [](unsigned, double work) { return exponentials(work); }),
      rate(threads, [&](unsigned t, double work) { return read_bytes(near[t], work); }),
      rate(threads, [&](unsigned t, double work) { return read_bytes(memory[t], work); }));
  return 0;
}
