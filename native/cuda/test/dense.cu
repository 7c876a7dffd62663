// Products by tiles against double precision, bytes as inputs, and the fused step against the gradient that
// it never stores.
#include "../../test/harness.h"
#include "../../test/problem.h"
#include "../linear/first-layer.h"
#include "../linear/product.h"
#include "../network/dense.h"
#include "../network/sgd.h"
#include "../update/step.h"

namespace native_test {

using namespace local_entropy;

namespace {

const Register bytes("cuda dense: each byte/255 rounded as a division rounds it", [] {
  for (int byte = 0; byte < 256; byte++)
    check(byte_value(uint8_t(byte)) == float(byte) / 255.0f, "byte " + std::to_string(byte));
});

std::vector<float> random_floats(size_t count, uint64_t seed) {
  Random random{seed};
  std::vector<float> values(count);
  for (float& value : values) value = float(2 * random.uniform() - 1);
  return values;
}

struct Run {
  std::atomic<bool> cancelled{false};
  Stream stream = new_stream();
  DeviceArena arena;
  DeviceContext context{stream, &arena, &cancelled};
  ~Run() { delete_stream(stream); }
};

// `count` products with gaps between rows and matrices, a start, and all kinds of finish; guards around.
void check_product(size_t rows, size_t columns, size_t depth, size_t count, Finish finish, bool transposed) {
  Run run;
  const std::string name = std::to_string(rows) + " x " + std::to_string(columns) + " x " +
                           std::to_string(depth) + ", " + std::to_string(count) + " of them";
  const size_t a_row = depth + 3, b_row = columns + 2, c_row = columns + 1, a_next = rows * a_row + 5;
  const size_t b_next = std::max(depth * b_row, columns * (depth + 1)) + 7, c_next = rows * c_row + 1;
  const std::vector<float> a = random_floats(count * a_next, 1), b = random_floats(count * b_next, 2);
  const std::vector<float> start = random_floats(columns, 3), activated = random_floats(count * c_next, 4);
  const std::vector<float> guards(count * c_next + 64, -1234.5f);
  const DeviceArray<float> a_on(run.stream, a), b_on(run.stream, b), start_on(run.stream, start),
      activated_on(run.stream, activated), c_on(run.stream, guards);
  Product p{rows, columns, depth, b_on.data(), b_row, 1, start_on.data(), 0, c_on.data(), c_row};
  if (transposed) p.b_row = 1, p.b_column = depth + 1;
  p.count = count;
  p.b_next = b_next;
  p.c_next = c_next;
  p.finish = finish;
  p.activation = Activation::kTanh;
  p.activated = activated_on.data();
  product(run.context, StridedLeft{a_on.data(), a_row, 1, a_next}, p);
  const std::vector<float> c = c_on.read(run.stream);
  size_t inside = 0;
  for (size_t n = 0; n < count; n++)
    for (size_t i = 0; i < rows; i++)
      for (size_t j = 0; j < columns; j++) {
        double value = start[j];
        for (size_t k = 0; k < depth; k++)
          value +=
              double(a[n * a_next + i * a_row + k]) * double(b[n * b_next + k * p.b_row + j * p.b_column]);
        const double at = activated[n * c_next + i * c_row + j];
        if (finish == Finish::kActivate) value = std::tanh(value);
        if (finish == Finish::kSlope) value *= 1 - at * at;
        check_near(c[n * c_next + i * c_row + j], value, 2e-6 * std::sqrt(double(depth)) + 1e-6, name);
        inside++;
      }
  size_t untouched = 0;
  for (const float value : c) untouched += value == -1234.5f;
  check(untouched == c.size() - inside, name + ": written outside");
}

const Register products("cuda dense: products of every remainder, in pieces of the depth and many at a time",
                        [] {
                          for (size_t rows : {1, 5, 64, 65})
                            for (size_t columns : {1, 10, 63, 130})
                              for (size_t depth : {1, 16, 17, 300})
                                check_product(rows, columns, depth, 1, Finish::kNothing, false);
                          check_product(20, 30, 50, 3, Finish::kActivate, false);
                          check_product(20, 30, 50, 3, Finish::kSlope, true);
                          check_product(3, 4, 785, 2, Finish::kSlope, true);
                        });

// |A^T C| and the step along it, against the product that is stored.
const Register factored("cuda step: along A^T C as along the gradient itself, bytes and floats, any batch",
                        [] {
                          for (const bool of_bytes : {false, true})
                            for (size_t batch : {1, 20, 65, 130}) {
                              const Problem problem({37, 261, 4}, Activation::kRelu, batch, of_bytes, 0.5);
                              const size_t n = problem.network.parameters(),
                                           columns = problem.network.layers[1];
                              Run run;
                              const ExampleArrays samples(run.stream, problem.examples);
                              const DeviceArray<uint32_t> rows(run.stream, problem.rows);
                              const DeviceBatch device{samples.view(), rows.data(), batch};
                              const DeviceArray<float> c(run.stream, random_floats(batch * (columns + 3), 5)),
                                  gradient(run.stream, random_floats(n, 6));
                              const DeviceArray<double> norm(1);
                              Optimizer optimizer;
                              optimizer.kind = Optimizer::Kind::kAdam;
                              optimizer.weight_decay = 0.05;
                              std::vector<float> x[2], m[2], v[2];
                              double norms[2];
                              for (const int whole : {0, 1}) {
                                const DeviceArray<float> at(run.stream, problem.parameters),
                                    first(run.stream, random_floats(n, 7));
                                std::vector<float> squares = random_floats(n, 8);
                                for (float& value : squares) value *= value;
                                const DeviceArray<float> second(run.stream, squares);
                                DeviceFactored left{c.data(), columns + 3};
                                if (whole) {
                                  first_gradient(device, left.c, left.c_row, columns, false, gradient.data(),
                                                 run.context);
                                  left = {};
                                }
                                step(run.context, optimizer, 0.01, 3, problem.network, gradient.data(), left,
                                     device, {at.data(), {first.data(), second.data()}}, norm.data());
                                x[whole] = at.read(run.stream);
                                m[whole] = first.read(run.stream);
                                v[whole] = second.read(run.stream);
                                norms[whole] = norm.read(run.stream)[0];
                                std::vector<float> g = gradient.read(run.stream);
                                double squared = 0;
                                for (const float value : g) squared += double(value) * double(value);
                                if (whole) check_near(norms[1], std::sqrt(squared), 1e-12 * norms[1], "norm");
                              }
                              check_near(norms[0], norms[1], 1e-6 * norms[1], "norms");
                              check_close(x[0], x[1], 1e-6, 1e-6, "parameters");
                              check_close(m[0], m[1], 1e-6, 1e-6, "first moments");
                              check_close(v[0], v[1], 1e-6, 2e-6, "second moments");
                            }
                        });

}  // namespace

}  // namespace native_test
