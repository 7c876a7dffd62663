// Copies of what TypeScript hands over; flat-job.h says what is checked.
#include "flat-job.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

namespace local_entropy {

namespace {

// As src/options has it: what the kernels make of a network's counts then fits into their numbers.
constexpr size_t kMostParameters = size_t(1) << 30;

Failure wrong_argument(const std::string& expected, const char* name) {
  return Failure("ARGUMENT", "Expected " + expected + " for " + name);
}

Failure wrong_length(const std::string& expected, const char* name, size_t length) {
  return Failure("ARRAY_LENGTH", "Expected " + expected + " entries for " + name + " but received " +
                                     std::to_string(length) + "; a detached array has none");
}

Napi::Object object_of(Napi::Value value, const char* name) {
  if (!value.IsObject()) throw wrong_argument("an object", name);
  return value.As<Napi::Object>();
}

uint64_t whole_number(double value, const char* name, uint64_t least, uint64_t most) {
  if (value >= double(least) && value <= double(most) && std::trunc(value) == value) return uint64_t(value);
  throw wrong_argument("a whole number from " + std::to_string(least) + " to " + std::to_string(most), name);
}

size_t product(size_t a, size_t b) {
  if (b != 0 && a > SIZE_MAX / b) throw std::length_error("a product of counts");
  return a * b;
}

// Entries of type From, converted one by one; whole numbers only from narrower ones, so that all of them fit.
template <class From, class Array>
Array converted(const View& view, const char* name) {
  using To = typename Array::value_type;
  if constexpr (std::is_floating_point_v<To> || (std::is_integral_v<From> && sizeof(From) <= sizeof(To))) {
    const auto* from = static_cast<const From*>(view.data);
    return Array(from, from + view.length);
  } else {
    throw Failure("ARRAY_TYPE", "Expected unsigned integers of at most " + std::to_string(8 * sizeof(To)) +
                                    " bits for " + name);
  }
}

// What numbers the rows of something: each below their count.
template <class Array>
void check_below(const Array& numbers, size_t count, const char* name, const char* counted) {
  typename Array::value_type largest = 0;
  for (const auto number : numbers) largest = std::max(largest, number);
  if (!numbers.empty() && largest >= count)
    throw Failure("ARGUMENT", std::string("Expected numbers of the ") + std::to_string(count) + " " +
                                  counted + " for " + name + " but received " + std::to_string(largest));
}

}  // namespace

size_t View::bytes() const {
  switch (type) {
    case napi_uint16_array:
    case napi_int16_array:
      return 2 * length;
    case napi_uint32_array:
    case napi_int32_array:
    case napi_float32_array:
      return 4 * length;
    case napi_float64_array:
    case napi_bigint64_array:
    case napi_biguint64_array:
      return 8 * length;
    default:
      return length;
  }
}

View view_of(Napi::Value value, const char* name) {
  View view{};
  if (napi_get_typedarray_info(value.Env(), value, &view.type, &view.length, &view.data, nullptr, nullptr) !=
      napi_ok)
    throw Failure("ARRAY_TYPE", std::string("Expected a typed array for ") + name);
  return view;
}

uint64_t whole_number(Napi::Value value, const char* name, uint64_t least, uint64_t most) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : kNone;
  return whole_number(number, name, least, most);
}

FlatJob::FlatJob(Napi::Value scalars, Napi::Value arrays) : arrays_(object_of(arrays, "arrays")) {
  const View view = view_of(scalars, "scalars");
  if (view.type != napi_float64_array || view.length != kScalars)
    throw wrong_length(std::to_string(kScalars), "scalars", view.length);
  std::copy_n(static_cast<const double*>(view.data), kScalars, scalars_.begin());
}

FlatJob::FlatJob(Napi::Value job)
    : FlatJob(object_of(job, "a job").Get("scalars"), object_of(job, "a job").Get("arrays")) {}

uint64_t FlatJob::whole(Scalar scalar) const {
  return whole_number(number(scalar), "a place of a job", 0, (uint64_t(1) << 53) - 1);
}

uint32_t FlatJob::word(Scalar scalar) const {
  return uint32_t(whole_number(number(scalar), "a place of a job", 0, UINT32_MAX));
}

uint32_t FlatJob::positive(Scalar scalar, const char* what) const {
  return uint32_t(whole_number(number(scalar), what, 1, UINT32_MAX));
}

template <class Kind>
Kind FlatJob::kind(Scalar scalar, size_t count, const char* what) const {
  const uint64_t place = whole(scalar);
  if (place < count) return Kind(place);
  throw Failure("UNKNOWN_KIND",
                std::string("The addon knows no ") + what + " number " + std::to_string(place));
}

OperationKind FlatJob::operation() const {
  return kind<OperationKind>(Scalar::kOperation, kOperationKinds, "operation");
}

bool FlatJob::has(const char* name) const { return !arrays_.Get(name).IsUndefined(); }

template <class T, class Array>
Array FlatJob::array(const char* name, size_t expected) const {
  const View view = view_of(arrays_.Get(name), name);
  if (view.length != expected && expected != kAny)
    throw wrong_length(std::to_string(expected), name, view.length);
  switch (view.type) {
    case napi_uint8_array:
      return converted<uint8_t, Array>(view, name);
    case napi_uint16_array:
      return converted<uint16_t, Array>(view, name);
    case napi_uint32_array:
      return converted<uint32_t, Array>(view, name);
    case napi_float32_array:
      return converted<float, Array>(view, name);
    case napi_float64_array:
      return converted<double, Array>(view, name);
    default:
      throw Failure("ARRAY_TYPE",
                    std::string("Expected bytes, unsigned 16- or 32-bit integers, or floats for ") + name);
  }
}

template std::vector<float> FlatJob::array<float, std::vector<float>>(const char*, size_t) const;
template Floats FlatJob::array<float, Floats>(const char*, size_t) const;
template std::vector<double> FlatJob::array<double, std::vector<double>>(const char*, size_t) const;
template std::vector<uint32_t> FlatJob::array<uint32_t, std::vector<uint32_t>>(const char*, size_t) const;

Napi::Object FlatJob::floats_in_place(const char* name, View* view) const {
  const Napi::Value value = arrays_.Get(name);
  *view = view_of(value, name);
  if (view->type != napi_float32_array)
    throw Failure("ARRAY_TYPE", std::string("Expected a Float32Array for ") + name);
  return value.As<Napi::Object>();
}

std::vector<uint32_t> FlatJob::rows(size_t count, size_t per_update, size_t examples) const {
  const auto rows = array<uint32_t>("rows", product(count, per_update));
  check_below(rows, examples, "rows", "rows");
  return rows;
}

uint64_t FlatJob::seed() const {
  return uint64_t(word(Scalar::kSeedLow)) | uint64_t(word(Scalar::kSeedHigh)) << 32;
}

Network FlatJob::network() const {
  Network network;
  network.layers = array<uint32_t>("layers");
  network.activation = kind<Activation>(Scalar::kActivation, kActivations, "activation");
  const std::vector<uint32_t>& layers = network.layers;
  if (layers.size() < 2) throw wrong_length("at least 2", "layers", layers.size());
  size_t parameters = 0;
  for (size_t l = 1; l < layers.size(); l++) {
    if (layers[l - 1] == 0 || layers[l] == 0) throw wrong_argument("widths of at least 1", "layers");
    parameters += product(size_t(layers[l - 1]) + 1, layers[l]);
    if (parameters > kMostParameters) throw wrong_argument("a network of at most 2^30 parameters", "layers");
  }
  return network;
}

LossKind FlatJob::loss_kind() const { return kind<LossKind>(Scalar::kLossKind, kLossKinds, "loss"); }

std::vector<float> FlatJob::row_losses(const Estimator& estimator, const Network& network, size_t rows,
                                       size_t count) const {
  return array<float>("rowLosses", product(sampled_rows(estimator, network, rows), count));
}

Loss FlatJob::loss(const Network& network) const {
  Loss loss;
  loss.kind = loss_kind();
  if (loss.kind == LossKind::kCostMatrix)
    loss.costs = array<float>("costs", product(network.classes(), network.classes()));
  return loss;
}

Examples FlatJob::examples(const Network& network, Reads read, bool may_follow) const {
  Examples examples;
  examples.width = network.layers[0];
  examples.count = size_t(whole(Scalar::kExampleCount));
  if (examples.count == 0) throw wrong_length("at least 1", "labels", 0);
  const size_t entries = product(examples.count, examples.width);
  if (may_follow && !has("inputs"))
    flag(Scalar::kInputsAreFloats) ? examples.floats.reserve(entries) : examples.bytes.reserve(entries);
  else if (flag(Scalar::kInputsAreFloats))
    examples.floats = array<float>("inputs", entries);
  else
    examples.bytes = array<uint8_t>("inputs", entries);
  if (read == Reads::kLabels || has("labels")) {
    examples.labels = array<uint16_t>("labels", examples.count);
    check_below(examples.labels, network.classes(), "labels", "classes");
  }
  if (read == Reads::kTargets) {
    examples.outputs = network.classes();
    examples.targets = array<float>("targets", product(examples.count, examples.outputs));
  }
  return examples;
}

size_t sampled_rows(const Estimator& estimator, const Network& network, size_t rows) {
  const bool samples = estimator.kind == EstimatorKind::kImportanceSampling ||
                       estimator.kind == EstimatorKind::kEvolutionStrategies;
  if (!samples) throw wrong_argument("an estimator of samples", "a loss that is given");
  return product(sample_count(estimator, network) + 1, rows);
}

void append_inputs(Examples& rows, Napi::Value inputs) {
  const View view = view_of(inputs, "inputs");
  const size_t missing = rows.count * rows.width - rows.bytes.size() - rows.floats.size();
  if (view.length > missing) throw wrong_length("at most " + std::to_string(missing), "inputs", view.length);
  if (view.type == napi_uint8_array && rows.floats.empty()) {
    const auto* from = static_cast<const uint8_t*>(view.data);
    rows.bytes.insert(rows.bytes.end(), from, from + view.length);
  } else if (view.type == napi_float32_array && rows.bytes.empty()) {
    const auto* from = static_cast<const float*>(view.data);
    rows.floats.insert(rows.floats.end(), from, from + view.length);
  } else {
    throw Failure("ARRAY_TYPE", "Expected bytes, or 32-bit floats, for all inputs");
  }
}

Coupling FlatJob::coupling(const Network& network) const {
  Coupling coupling;
  coupling.kind = kind<CouplingKind>(Scalar::kCoupling, kCouplingKinds, "coupling");
  coupling.sample_complement = flag(Scalar::kSampleComplement);
  // What is coupled is centred by the coupling.
  coupling.centred = flag(Scalar::kCentred) || coupling.kind != CouplingKind::kIndependent;
  switch (coupling.kind) {
    case CouplingKind::kIndependent:
      coupling.samples = positive(Scalar::kSamples, "samples");
      break;
    case CouplingKind::kAntithetic:
      coupling.samples = positive(Scalar::kSamples, "samples");
      if (coupling.samples % 2 != 0) throw wrong_argument("an even number", "samples in pairs");
      break;
    case CouplingKind::kWalsh:
      coupling.blocks = positive(Scalar::kBlocks, "blocks");
      if (network.depth() > 2) throw wrong_argument("at most one hidden layer", "Walsh blocks");
      break;
  }
  return coupling;
}

Estimator FlatJob::estimator(const Network& network) const {
  Estimator estimator;
  estimator.kind = kind<EstimatorKind>(Scalar::kEstimator, kEstimatorKinds, "estimator");
  estimator.projected = flag(Scalar::kProjected);
  estimator.temperature = float(number(Scalar::kTemperature));
  estimator.rowwise = flag(Scalar::kRowwise);
  estimator.chain_previous = flag(Scalar::kChainPrevious);
  estimator.batches = positive(Scalar::kBatches, "batches");
  size_t transitions = 1;
  switch (estimator.kind) {
    case EstimatorKind::kSgd:
      break;
    case EstimatorKind::kImportanceSampling:
    case EstimatorKind::kEvolutionStrategies:
      estimator.coupling = coupling(network);
      break;
    case EstimatorKind::kSgld: {
      const uint32_t iterates = positive(Scalar::kIterates, "iterates");
      estimator.step_sizes = array<double>("stepSizes", iterates);
      estimator.noise_scales = array<double>("noiseScales", iterates);
      transitions = iterates - 1;
      break;
    }
    case EstimatorKind::kRobbinsMonro:
      estimator.samples = positive(Scalar::kSamples, "samples");
      transitions = positive(Scalar::kIterates, "iterates");
      estimator.step_sizes = array<double>("stepSizes", transitions);
      break;
  }
  if (estimator.batches != 1 && (estimator.batches != transitions || estimator.projected))
    throw wrong_argument("1 or, where nothing is projected, one for each transition", "batches");
  return estimator;
}

Optimizer FlatJob::optimizer() const {
  Optimizer optimizer;
  optimizer.kind = kind<OptimizerKind>(Scalar::kOptimizer, kOptimizerKinds, "optimizer");
  optimizer.momentum = number(Scalar::kMomentum);
  optimizer.beta1 = number(Scalar::kBeta1);
  optimizer.beta2 = number(Scalar::kBeta2);
  optimizer.epsilon = float(number(Scalar::kEpsilon));
  optimizer.weight_decay = number(Scalar::kWeightDecay);
  return optimizer;
}

std::vector<Floats> FlatJob::moments(const Optimizer& optimizer, size_t parameters) const {
  constexpr const char* names[] = {"moment1", "moment2"};
  std::vector<Floats> moments;
  for (size_t i = 0; i < optimizer.moments(); i++)
    moments.push_back(array<float, Floats>(names[i], parameters));
  return moments;
}

}  // namespace local_entropy
