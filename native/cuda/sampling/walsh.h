// Walsh coupling, one row under one block: 2m samples of the row for the noise of one, their losses by
// Walsh-Hadamard transforms.
//
//   sample (i, e, g): first layer's noise U diag(e s_gh), s_gh = (-1)^popcount(g & h), second layer's
//   row split     Z diag(e t_gc), t_gc = s_{g,d1+c}:  logit_c = a W_c + e T_c + N_c,
//                 T_c = WHT(d W_c) + n_c t_c, n_c = s a Z_c, N_c = t_c WHT(s d Z_c)
//   weights only  diag(e s_gh) Z:                     logit_c = a W_c + s d Z_c + e WHT(d W_c + s a Z_c)
//   no hidden layer:                                  logit_c = base_c + e s_gc y_c
//
// a, d: half the sum and half the difference of act(base + y), act(base - y) (bias: a = 1, d = 0), y = s (M
// U)_b. Signs on the columns of a Gaussian matrix leave its law unchanged, so each sample has the law of
// Algorithm 4 (García Trillos, Kaplan, Sanz-Alonso, Entropy 2019); those of one block depend on each other.
//
// Symbols: m the transform's length, WHT(v)_g = sum_h s_gh v_h, s the perturbation's scale, d1 units, C
// classes.
#pragma once
#include "../linear/activation.h"
#include "../linear/transform.h"
#include "../machine/block.h"
#include "../machine/question.h"
#include "../network/loss.h"
#include "sample-weights.h"

namespace local_entropy {

static_assert(kLossKinds == 7, "a kind of loss is missing in losses");

enum class WalshLayout : uint8_t { kRowSplit, kWeightsOnly, kNoHidden };

struct WalshShape : TransformShape {
  WalshLayout layout;
  uint32_t width, classes;  // width: d1
};

// What all rows share.
struct WalshPoint {
  WalshShape shape;
  Activation activation;
  DeviceLoss loss;
  const float* weights;  // W_c: C x m, the bias at place d1, zeros past it; null without a hidden layer
  const float* base;     // A x: B x d1
  const float* norms;    // |a_b|^2: B, where by rows
  const float* center;   // each row's loss at x (B), or null
  DeviceBatch batch;
  float scale2;  // s^2
};

// 2^x: on the device its own instruction (2 ulp, zero below 2^-126).
__device__ inline float power_of_2(float x) {
#if defined(__CUDA_ARCH__)
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#else
  return exp2f(x);
#endif
}

// One row under one block.
template <int R, WalshLayout kLayout>
struct WalshUnit {
  static constexpr bool kSplit = kLayout == WalshLayout::kRowSplit;
  const WalshPoint& point;
  const WalshTeam<R>& team;
  const float* second;  // s Z_c: C x m, as W_c
  const float* y;       // d1
  const float* base;    // d1
  float* noise;         // N_c: C x m, where row split; a thread reads only what it wrote
  float* dots;          // n_c: C, where row split
  float a[R] = {}, d[R] = {};

  __device__ void half_activations() {
#pragma unroll
    for (int r = 0; r < R; r++) {
      const uint32_t h = team.place(r);
      a[r] = h == point.shape.width ? 1 : 0;
      d[r] = 0;
      if (h >= point.shape.width) continue;
      const float up = activate(point.activation, base[h] + y[h]),
                  down = activate(point.activation, base[h] - y[h]);
      a[r] = 0.5f * (up + down);
      d[r] = 0.5f * (up - down);
    }
  }

  // sum_h (a^2 + d^2).
  __device__ float own_square() const {
    float sum = 0;
#pragma unroll
    for (int r = 0; r < R; r++) sum = fmaf(a[r], a[r], fmaf(d[r], d[r], sum));
    return team_sum(team, sum);
  }

  // T_c into t, N_c into n (row split); returns the logits' even part.
  __device__ float class_parts(uint32_t c, float (&t)[R], float (&n)[R]) {
    uint32_t flips[R];
    if constexpr (kLayout == WalshLayout::kNoHidden) {
      walsh_flips(team, c, flips);
#pragma unroll
      for (int r = 0; r < R; r++) t[r] = flipped(y[c], flips[r]);
      return base[c];
    }
    const float *w = point.weights + c * team.length(), *z = second + c * team.length();
    float even = 0, odd = 0;
#pragma unroll
    for (int r = 0; r < R; r++) {
      const bool inside = team.inside(r);
      const float weight = inside ? team.at(w, r) : 0, normal = inside ? team.at(z, r) : 0;
      even = fmaf(a[r], weight, even);
      if constexpr (kSplit) {
        odd = fmaf(a[r], normal, odd);
        t[r] = d[r] * weight;
        n[r] = d[r] * normal;
      } else {
        even = fmaf(d[r], normal, even);
        t[r] = fmaf(d[r], weight, a[r] * normal);
      }
    }
    even = team_sum(team, even);
    walsh_transform(team, t);
    if constexpr (kSplit) {
      odd = team_sum(team, odd);
      walsh_flips(team, point.shape.width + c, flips);
      walsh_transform(team, n);
#pragma unroll
      for (int r = 0; r < R; r++) {
        n[r] = flipped(n[r], flips[r]);
        t[r] += flipped(odd, flips[r]);
        if (team.inside(r)) team.at(noise + c * team.length(), r) = n[r];
      }
      if (team.thread == 0) dots[c] = odd;
    }
    return even;
  }

  // visit(c, r, plus, minus) for every class but the label's: the logit less the label's, times scale, for e
  // = ±1.
  template <class Visit>
  __device__ void differences(uint32_t label, float scale, Visit visit) {
    float own_t[R], own_n[R];
    const float own = class_parts(label, own_t, own_n);
    for (uint32_t c = 0; c < point.shape.classes; c++) {
      if (c == label) continue;
      float t[R], n[R];
      const float even = scale * (class_parts(c, t, n) - own);
#pragma unroll
      for (int r = 0; r < R; r++) {
        const float odd = t[r] - own_t[r], middle = kSplit ? fmaf(scale, n[r] - own_n[r], even) : even;
        visit(c, r, fmaf(scale, odd, middle), fmaf(-scale, odd, middle));
      }
    }
  }

  // f of the row's samples: cross-entropy, log1p of the sum over the other classes of exp(difference).
  __device__ void cross_entropy(uint32_t label, float (&plus)[R], float (&minus)[R]) {
    constexpr float kLog2e = 1.44269504f, kLarge = 1e9f;  // beyond it log1p's argument may have overflowed
#pragma unroll
    for (int r = 0; r < R; r++) plus[r] = minus[r] = 0;
    differences(label, kLog2e, [&](uint32_t, int r, float up, float down) {
      plus[r] += power_of_2(up);
      minus[r] += power_of_2(down);
    });
    float large = 0;
#pragma unroll
    for (int r = 0; r < R; r++)
      if (!(plus[r] < kLarge && minus[r] < kLarge)) large = 1;
    if (any_far(large)) return far_cross_entropy(label, plus, minus);
#pragma unroll
    for (int r = 0; r < R; r++) {
      plus[r] = log1pf(plus[r]);
      minus[r] = log1pf(minus[r]);
    }
  }

  // Of the warp; where teams are wider, of the block, whose barriers all teams must meet together.
  __device__ bool any_far(float large) const {
    if constexpr (WalshTeam<R>::kWarp1) return warp_sum(large) != 0;
    return block_largest(large) != 0;
  }

  // The same by the largest difference so far, in powers of 2; one sign at a time, which spares registers.
  __device__ void far_cross_entropy(uint32_t label, float (&plus)[R], float (&minus)[R]) {
    far_cross_entropy(label, true, plus);
    far_cross_entropy(label, false, minus);
  }
  __device__ void far_cross_entropy(uint32_t label, bool up, float (&losses)[R]) {
    constexpr float kLog2e = 1.44269504f, kLn2 = 0.693147181f;
    float top[R];  // `losses` holds the sum of the other terms over 2^top; the label's is 2^-top
#pragma unroll
    for (int r = 0; r < R; r++) top[r] = losses[r] = 0;
    differences(label, kLog2e, [&](uint32_t, int r, float plus, float minus) {
      const float x = up ? plus : minus;
      if (x > top[r]) {
        losses[r] = (losses[r] + 1) * power_of_2(top[r] - x);
        top[r] = x;
      } else {
        losses[r] += power_of_2(x - top[r]);
      }
    });
#pragma unroll
    for (int r = 0; r < R; r++) losses[r] = fmaf(kLn2, top[r], log1pf(losses[r]));
  }

  // Cost of the class predicted, the first largest; the dearest where a logit is NaN.
  __device__ void costs(uint32_t label, float (&plus)[R], float (&minus)[R]) {
    const float* of_label = point.loss.costs + size_t(label) * point.shape.classes;
    float top_plus[R], top_minus[R];
    bool none_plus[R], none_minus[R];
#pragma unroll
    for (int r = 0; r < R; r++) {
      top_plus[r] = top_minus[r] = -INFINITY;
      plus[r] = minus[r] = of_label[0];
      none_plus[r] = none_minus[r] = false;
    }
    // The label, whose difference is 0, stands between the classes before and after it.
    const auto take_label = [&](int r) {
      if (top_plus[r] < 0) plus[r] = of_label[label];
      if (top_minus[r] < 0) minus[r] = of_label[label];
      top_plus[r] = fmaxf(top_plus[r], 0);
      top_minus[r] = fmaxf(top_minus[r], 0);
    };
    differences(label, 1, [&](uint32_t c, int r, float up, float down) {
      if (c > label) take_label(r);  // from the second time on it changes nothing
      if (up > top_plus[r]) plus[r] = of_label[c];
      if (down > top_minus[r]) minus[r] = of_label[c];
      top_plus[r] = fmaxf(top_plus[r], up);
      top_minus[r] = fmaxf(top_minus[r], down);
      none_plus[r] |= up != up;
      none_minus[r] |= down != down;
    });
    const float most = dearest(of_label, point.shape.classes);
#pragma unroll
    for (int r = 0; r < R; r++) {
      take_label(r);
      if (none_plus[r]) plus[r] = most;
      if (none_minus[r]) minus[r] = most;
    }
  }

  // visit(c, r, plus, minus) for every output, for e = ±1.
  template <class Visit>
  __device__ void outputs(Visit visit) {
    for (uint32_t c = 0; c < point.shape.classes; c++) {
      float t[R], n[R];
      const float even = class_parts(c, t, n);
#pragma unroll
      for (int r = 0; r < R; r++) {
        const float middle = kSplit ? even + n[r] : even;
        visit(c, r, middle + t[r], middle - t[r]);
      }
    }
  }

  // Of a loss that is a sum over the outputs.
  __device__ void target_terms(const float* targets, float (&plus)[R], float (&minus)[R]) {
#pragma unroll
    for (int r = 0; r < R; r++) plus[r] = minus[r] = 0;
    const LossKind kind = point.loss.kind;
    outputs([&](uint32_t c, int r, float up, float down) {
      plus[r] += target_term(kind, up, targets[c]);
      minus[r] += target_term(kind, down, targets[c]);
    });
  }

  // sum t (z_best - z) + sum t log(sum e^(z - z_best)); one sign at a time, which spares registers.
  __device__ void soft_cross_entropy(const float* targets, bool up, float (&losses)[R]) {
    float top[R], total[R], all = 0;
#pragma unroll
    for (int r = 0; r < R; r++) {
      top[r] = -INFINITY;
      losses[r] = total[r] = 0;
    }
    for (uint32_t c = 0; c < point.shape.classes; c++) all += targets[c];
    outputs([&](uint32_t, int r, float plus, float minus) { top[r] = fmaxf(top[r], up ? plus : minus); });
    outputs([&](uint32_t c, int r, float plus, float minus) {
      const float below = top[r] - (up ? plus : minus), t = targets[c];
      total[r] += expf(-below);
      if (t != 0) losses[r] = fmaf(t, below, losses[r]);
    });
#pragma unroll
    for (int r = 0; r < R; r++) {
      const float others = total[r] - 1;  // the best's own term is 1
      losses[r] = fmaf(all, log1pf(others < 0 ? 0 : others), losses[r]);
    }
  }

  // Row b of the block whose first sample is `sample` in a loss that is given, or its outputs in their place.
  __device__ void given(size_t b, size_t sample, float (&plus)[R], float (&minus)[R]) {
    const DeviceLoss& loss = point.loss;
    const uint32_t classes = point.shape.classes;
    const auto place = [&](int r, uint32_t half) {
      return (sample + half * point.shape.m + team.place(r)) * loss.batch + b;
    };
    const bool wanted = loss.outputs != nullptr;
    if (kSplit || wanted)  // the second layer's part needs N and n
      outputs([&](uint32_t c, int r, float up, float down) {
        if (!wanted || !team.inside(r)) return;
        loss.outputs[place(r, 0) * classes + c] = up;
        loss.outputs[place(r, 1) * classes + c] = down;
      });
#pragma unroll
    for (int r = 0; r < R; r++) {
      const bool known = !wanted && team.inside(r);
      plus[r] = known ? loss.given[place(r, 0)] : 0;
      minus[r] = known ? loss.given[place(r, 1)] : 0;
    }
  }

  // f of the samples of row b, 2m; zeros past m. sample: the block's first.
  __device__ void losses(size_t b, size_t sample, float (&plus)[R], float (&minus)[R]) {
    switch (point.loss.kind) {
      case LossKind::kCrossEntropy:
        cross_entropy(point.batch.label(b), plus, minus);
        break;
      case LossKind::kCostMatrix:
        costs(point.batch.label(b), plus, minus);
        break;
      case LossKind::kSquaredError:
      case LossKind::kAbsoluteError:
      case LossKind::kLogistic:
        target_terms(point.batch.targets(b), plus, minus);
        break;
      case LossKind::kSoftCrossEntropy:
        soft_cross_entropy(point.batch.targets(b), true, plus);
        soft_cross_entropy(point.batch.targets(b), false, minus);
        break;
      case LossKind::kGiven:
        given(b, sample, plus, minus);
        break;
    }
    if (!team.inside(0)) plus[0] = minus[0] = 0;
  }
};

// Enqueues the estimate of an operation that weighs its samples so. remainder: whether there is one beside
// the first-order part, or in its place. False if cancelled.
// Where the question's loss wants outputs, those of all samples and at x itself are all that is made.
bool walsh_estimate(const Estimator&, const DeviceQuestion&, DeviceContext&, Weigh weigh, bool remainder,
                    DeviceFactored* factored, DeviceEstimate*);

}  // namespace local_entropy
