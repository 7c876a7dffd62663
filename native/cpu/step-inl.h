// One step of the optimizer along a gradient, elementwise (n):
//
//   gradient descent  x <- x - rate g
//   momentum          v <- mu v + g; x <- x - rate v
//   Adam              m <- b1 m + (1 - b1) g; v <- b2 v + (1 - b2) g^2
//                     x <- (1 - rate decay) x - rate m_hat / (sqrt(v_hat) + eps),
//                     m_hat = m/(1 - b1^index), v_hat = v/(1 - b2^index); index from 1 (Kingma and Ba, ICLR
//                     2015; decoupled weight decay: Loshchilov and Hutter, ICLR 2019)

inline void descent_step(double rate, const float* g, size_t count, float* x) {
  add_scaled(x, -float(rate), g, count, x);
}

inline void momentum_step(const Optimizer& optimizer, double rate, const float* g, size_t count, float* x,
                          float* v) {
  const Float mu = set(optimizer.momentum), step = set(-float(rate));
  for_vectors(count, [&](size_t i, size_t n) {
    const Float velocity = fma(mu, load_some(v + i, n), load_some(g + i, n));
    store_some(v + i, n, velocity);
    store_some(x + i, n, fma(step, velocity, load_some(x + i, n)));
  });
}

inline void adam_step(const Optimizer& optimizer, double rate, uint64_t index, const float* g, size_t count,
                      float* x, float* m, float* v) {
  const double beta1 = optimizer.beta1, beta2 = optimizer.beta2;
  const Float b1 = set(float(beta1)), b2 = set(float(beta2));
  const Float c1 = set(float(1 - beta1)), c2 = set(float(1 - beta2));
  const Float step = set(float(-rate / (1 - std::pow(beta1, double(index)))));
  const Float correction = set(float(1 / (1 - std::pow(beta2, double(index)))));
  const Float keep = set(float(1 - rate * double(optimizer.weight_decay))), epsilon = set(optimizer.epsilon);
  for_vectors(count, [&](size_t i, size_t n) {
    const Float slope = load_some(g + i, n);
    const Float m1 = fma(b1, load_some(m + i, n), c1 * slope);
    const Float v1 = fma(b2, load_some(v + i, n), c2 * slope * slope);
    store_some(m + i, n, m1);
    store_some(v + i, n, v1);
    const Float move = m1 / (sqrt(v1 * correction) + epsilon);
    store_some(x + i, n, fma(step, move, keep * load_some(x + i, n)));
  });
}

inline bool step(const Optimizer& optimizer, double rate, uint64_t index, size_t n, const float* gradient,
                 float* parameters, float* const* moments, const Context& context) {
  Team* team = context.team;
  fork(team, [&](unsigned worker) {
    const FlushDenormals flush;
    const Share share(n, 64, worker, team->size());
    const size_t at = share.begin, count = share.end - share.begin;
    switch (optimizer.kind) {
      case Optimizer::Kind::kGradientDescent:
        return descent_step(rate, gradient + at, count, parameters + at);
      case Optimizer::Kind::kMomentum:
        return momentum_step(optimizer, rate, gradient + at, count, parameters + at, moments[0] + at);
      case Optimizer::Kind::kAdam:
        return adam_step(optimizer, rate, index, gradient + at, count, parameters + at, moments[0] + at,
                         moments[1] + at);
    }
  });
  return true;
}
