// exp, log(1 + x) and tanh of a vector, by polynomials fitted on Chebyshev nodes. Bounds in ulp are asserted
// against double precision in native/test.
#pragma once
#include "../machine/lanes-inl.h"

BEGIN_TARGET

// exp(x), at most 2 ulp for |x| <= 87; 0 below -87.3, exp(88.3) above 88.3; NaN stays NaN.
// x = n ln 2 + r, |r| <= ln 2/2, exp(r) = 1 + r + r^2 q(r).
inline Float exp(Float x) {
  const Float lowest = set(-87.3f);
  const Int vanishes = (Int)(x < lowest);
  x = max(lowest, min(set(88.3f), x));  // the processor returns the second operand where one is NaN
  const Float n = nearest(x * set(1.44269504f));
  Float r = fma(n, set(-0.693359375f), x);  // 9 bits: the product is exact
  r = fma(n, set(2.12194440e-4f), r);
  Float q = set(1.39345450e-3f);
  q = fma(q, r, set(8.36377684e-3f));
  q = fma(q, r, set(4.16664556e-2f));
  q = fma(q, r, set(0.166665733f));
  q = fma(q, r, set(0.5f));
  const Float y = fma(q, r * r, r) + set(1);
  const Float scale = (Float)((__builtin_convertvector(n, Int) + 127) << 23);
  return select(vanishes, set(0), y * scale);
}

// 2^r for |r| <= 1/2.
inline Float exp2_fraction(Float r) {
  Float y = set(1.32398459e-3f);
  y = fma(y, r, set(9.67452209e-3f));
  y = fma(y, r, set(5.55085391e-2f));
  y = fma(y, r, set(0.24022153f));
  y = fma(y, r, set(0.693146825f));
  return fma(y, r, set(1));
}

// 2^x, at most 3 ulp for -126 <= x <= 127; beyond, where a target has no scaling by powers of two, 2^-126 and
// 2^127. NaN stays NaN (with scaling, infinity becomes it). For sums beside which 2^-126 is nothing. x = n +
// r, n whole, |r| <= 1/2; without scaling n stands in the low bits of x + 1.5 2^23. A template, since not
// every target has what the other half names.
template <class Vector>
inline Float exp2_of(Vector x) {
  if constexpr (kScales) {
    const Vector n = nearest(x);
    return scale(exp2_fraction(x - n), n);
  } else {
    x = max(set(-126), min(set(127), x));
    const Float shift = set(12582912), shifted = x + shift;
    return (Float)((Word)exp2_fraction(x - (shifted - shift)) + ((Word)shifted << 23));
  }
}
inline Float exp2(Float x) { return exp2_of(x); }

// log(1 + x) for 0 <= x < 1e9, at most 2 ulp; NaN stays NaN. With u = 1 + x rounded, log u + (x - (u - 1))/u.
inline Float log1p(Float x) {
  const Float u = x + set(1), lost = (x - (u - set(1))) / u;
  const Int shifted = (Int)u - 0x3f3504f3;  // u = 2^e (1 + t), 1 + t in [sqrt 1/2, sqrt 2)
  const Float e = __builtin_convertvector(shifted >> 23, Float);
  const Float t = (Float)((shifted & 0x7fffff) + 0x3f3504f3) - set(1);
  Float p = set(0.06915147f);
  p = fma(p, t, set(-0.11789696f));
  p = fma(p, t, set(0.118730165f));
  p = fma(p, t, set(-0.1238437f));
  p = fma(p, t, set(0.14218655f));
  p = fma(p, t, set(-0.1666925f));
  p = fma(p, t, set(0.20002227f));
  p = fma(p, t, set(-0.24999987f));
  p = fma(p, t, set(0.3333331f));
  const Float t2 = t * t;
  Float y = fma(p * t2, t, e * set(-2.12194440e-4f));
  y = fma(set(-0.5f), t2, y) + lost;
  return fma(e, set(0.693359375f), y + t) + (x - x);
}

// tanh(x), at most 3 ulp. |x| < 0.63: x + x^3 g(x^2); beyond: 1 - 2/(exp(2|x|) + 1), which is 1 from 9.1 on.
inline Float tanh(Float x) {
  const Int sign = (Int)x & (Int)set(-0.0f);
  const Float size = (Float)((Int)x ^ sign), z = x * x;
  Float g = set(-6.05369732e-3f);
  g = fma(g, z, set(2.09681876e-2f));
  g = fma(g, z, set(-5.38449883e-2f));
  g = fma(g, z, set(0.133327335f));
  g = fma(g, z, set(-0.333333284f));
  const Float small = fma(g * z, x, x);
  const Float twice = min(set(20), size + size);
  const Float big = set(1) - set(2) / (exp(twice) + set(1));
  return select((Int)(size < set(0.63f)), small, (Float)((Int)big | sign));
}

END_TARGET
