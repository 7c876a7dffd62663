// Gram matrix, Cholesky factor, solves and lifts against double precision; a block's product of small
// matrices; and the places of a unit's noise.
#include <algorithm>
#include <cmath>

#include "../../test/harness.h"
#include "../../test/problem.h"
#include "../linear/block-product.h"
#include "../linear/first-layer.h"
#include "../linear/projection.h"
#include "../sampling/noise-layout.h"

namespace native_test {

using namespace local_entropy;

namespace {

// A problem's batch on the device.
struct Run {
  std::atomic<bool> cancelled{false};
  Stream stream = new_stream();
  DeviceArena arena;
  DeviceContext context{stream, &arena, &cancelled};
  ExampleArrays samples;
  DeviceArray<uint32_t> rows;
  DeviceBatch batch;

  explicit Run(const Problem& problem)
      : samples(stream, problem.examples),
        rows(stream, problem.rows),
        batch{samples.view(), rows.data(), problem.rows.size()} {}
  ~Run() { delete_stream(stream); }

  template <class T>
  std::vector<T> read(const T* from, size_t count) {
    std::vector<T> to(count);
    download(stream, to.data(), from, count * sizeof(T));
    return to;
  }
};

Matrix inputs(const Problem& problem) {
  Matrix a;
  for (size_t b = 0; b < problem.rows.size(); b++) {
    a.push_back({});
    for (size_t i = 0; i < problem.examples.width; i++) a[b].push_back(problem.input(b, i));
    a[b].push_back(1);
  }
  return a;
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); i++) sum += a[i] * b[i];
  return sum;
}

std::vector<Problem> problems() {
  using A = Activation;
  std::vector<Problem> all;
  all.push_back(Problem({30, 19, 5}, A::kRelu, 7, true, 0.8));
  all.push_back(Problem({30, 40, 5}, A::kRelu, 9, false, 0.2, true));
  all.push_back(Problem({3, 2}, A::kRelu, 1, true, 0));
  all.push_back(Problem({200, 3, 2}, A::kRelu, 170, true, 0.3, true));  // beyond what shared memory holds
  return all;
}

// Rows that are all but another: pivots of 1e-11 and of 1e-7 of their entries.
Problem close_rows() {
  Problem close({30, 3, 2}, Activation::kRelu, 6, false, 0.2);
  for (const auto& [row, by] : {std::pair{4, 1e-5f}, {5, 1e-3f}}) {
    float *to = &close.examples.floats[close.rows[row] * 30],
          *from = &close.examples.floats[close.rows[row - 3] * 30];
    std::copy(from, from + 30, to);
    to[7] += by;
  }
  return close;
}

const Register factors("cuda projection: A A^T = L L^T, rows that depend on others dropped", [] {
  std::vector<Problem> all = problems();
  all.push_back(close_rows());
  for (const Problem& problem : all) {
    Run run(problem);
    const size_t count = problem.rows.size();
    const Projection p = new_projection(run.batch, run.context);
    const std::vector<double> gram = run.read(p.gram, count * count), l = run.read(p.l, count * count);
    const std::vector<uint8_t> used = run.read(p.used, count);
    const Matrix a = inputs(problem), q = basis(problem);
    uint32_t rank = 0;
    for (size_t i = 0; i < count; i++) {
      const bool independent = dot(q[i], q[i]) > 0.5;
      check(used[i] == independent, "row " + std::to_string(i) + " used");
      rank += independent;
      for (size_t j = 0; j < count; j++) {
        check_near(gram[i * count + j], dot(a[i], a[j]), 1e-12 * dot(a[i], a[i]), "Gram matrix");
        check_near(l[i * count + j], j <= i ? dot(a[i], q[j]) : 0, 1e-8 * std::sqrt(dot(a[i], a[i])),
                   "L = A Q");
      }
    }
    check(run.read(p.rank, 1)[0] == rank, "rank");
  }
});

const Register lifts("cuda projection: into the span and back, the complement untouched", [] {
  for (const Problem& problem : problems()) {
    Run run(problem);
    const size_t count = problem.rows.size(), width = problem.examples.width + 1, columns = 37;
    const Projection p = new_projection(run.batch, run.context);
    const Matrix q = basis(problem);
    Random random{11};
    std::vector<float> w(width * columns), v(count * columns);
    for (float& x : w) x = float(2 * random.uniform() - 1);
    for (float& x : v) x = float(2 * random.uniform() - 1);
    const std::vector<double> wide(v.begin(), v.end());
    const DeviceArray<float> w_on(run.stream, w), v_on(run.stream, v);
    const DeviceArray<double> span(count * columns), wide_on(run.stream, wide);
    into_span(run.batch, p, w_on.data(), columns, run.context, span.data());
    from_span(run.batch, p, wide_on.data(), columns, run.context, w_on.data());
    const std::vector<double> inside = span.read(run.stream);
    const std::vector<float> out = w_on.read(run.stream);
    for (size_t h = 0; h < columns; h++) {
      std::vector<double> expected;
      for (size_t i = 0; i < width; i++) expected.push_back(w[i * columns + h]);
      const std::vector<double> before = expected;
      for (size_t r = 0; r < count; r++) {
        const double of_row = dot(q[r], before);
        check_near(inside[r * columns + h], of_row, 2e-4, "Q^T w");
        const double more = dot(q[r], q[r]) > 0.5 ? v[r * columns + h] - of_row : 0;
        for (size_t i = 0; i < width; i++) expected[i] += q[r][i] * more;
      }
      for (size_t i = 0; i < width; i++)
        check_near(out[i * columns + h], expected[i], 5e-4, "Q v + (I - Q Q^T) w");
    }
  }
});

// One product by one block; a (rows x inner), b (inner x columns).
__global__ void multiply(int rows, int columns, int inner, Triangle triangle, const float* a, const float* b,
                         float* out) {
  block_product(
      rows, columns, inner, triangle, dynamic_shared<float>(), [&](int r, int k) { return a[r * inner + k]; },
      [&](int k, int c) { return b[k * columns + c]; },
      [&](int r, int c, float sum) { out[r * columns + c] = sum; });
}

const Register small_products(
    "cuda projection: a block's product of small matrices, all triangles and slices", [] {
      const Stream stream = new_stream();
      const int sizes[][3] = {{1, 1, 1},   {5, 3, 2},   {20, 10, 200}, {20, 37, 20},
                              {33, 50, 9}, {13, 1, 64}, {4, 4, 301}};
      for (const auto& [rows, columns, inner] : sizes)
        for (const Triangle triangle : {Triangle::kNone, Triangle::kLower, Triangle::kUpper})
          for (const unsigned threads : {32u, 96u, 256u}) {
            if (triangle != Triangle::kNone && rows != inner) continue;
            Random random{uint64_t(rows * 1000 + inner)};
            std::vector<float> a(size_t(rows) * inner), b(size_t(inner) * columns);
            for (float& x : a) x = float(2 * random.uniform() - 1);
            for (float& x : b) x = float(2 * random.uniform() - 1);
            for (int r = 0; r < rows; r++)
              for (int k = 0; k < inner; k++)
                if ((triangle == Triangle::kLower && k > r) || (triangle == Triangle::kUpper && k < r))
                  a[r * inner + k] = 0;
            const DeviceArray<float> a_on(stream, a), b_on(stream, b),
                out(stream, std::vector<float>(size_t(rows) * columns + 64, -1234.5f));
            launch(multiply, {1, threads, 16 * threads * sizeof(float)}, stream, rows, columns, inner,
                   triangle, a_on.data(), b_on.data(), out.data());
            const std::vector<float> got = out.read(stream);
            for (int r = 0; r < rows; r++)
              for (int c = 0; c < columns; c++) {
                double sum = 0;
                for (int k = 0; k < inner; k++) sum += double(a[r * inner + k]) * b[k * columns + c];
                check_near(
                    got[r * columns + c], sum, 2e-6 * std::sqrt(inner + 1.0),
                    std::to_string(rows) + " x " + std::to_string(columns) + " x " + std::to_string(inner));
              }
            for (size_t i = 0; i < 64; i++) check(got[got.size() - 1 - i] == -1234.5f, "written outside");
          }
      delete_stream(stream);
    });

__global__ void draw_all(NoiseLayout layout, Noise of, float* to) {
  for (size_t block = threadIdx.x; block < layout.size() / 4; block += blockDim.x) {
    const NoisePlace place = noise_place(layout, block);
    const FourNormals normals = noise_at(place, of.seed, of.update, of.index);
    for (uint32_t k = 0; k < 4; k++) to[place.position + 16 * k] = normals.at[k];
  }
}

const Register places("cuda projection: a unit's noise, layer by layer, to the bit", [] {
  const Problem problem({30, 19, 6, 5}, Activation::kRelu, 7, true, 0.8);
  Run run(problem);
  for (const bool projected : {false, true}) {
    const Projection p = new_projection(run.batch, run.context);
    const NoiseLayout layout = new_noise_layout(problem.network, projected ? &p : nullptr);
    const DeviceArray<float> to(layout.size());
    launch(draw_all, {1, 96}, run.stream, layout, Noise{problem.seed, 0, 5, 9}, to.data());
    const std::vector<float> got = to.read(run.stream);
    for (size_t l = 0; l < layout.depth; l++) {
      const LayerShape shape = problem.network.shape(l + 1);
      const size_t count = (l == 0 && projected ? problem.rows.size() : shape.rows) * shape.columns;
      check(layout.count[l] == count, "count");
      for (size_t i = 0; i < layout.offset[l + 1] - layout.offset[l]; i++)
        check(got[layout.offset[l] + i] ==
                  (i < count ? normal_at({problem.seed, layer_stream(uint32_t(l + 1)), 5, 9}, i) : 0.0f),
              "layer " + std::to_string(l + 1) + ", normal " + std::to_string(i));
    }
  }
});

}  // namespace

}  // namespace native_test
