// Copies of what TypeScript hands over; flat-job.h says what is checked.
#include "flat-job.h"

#include "jobs.h"

namespace local_entropy {

namespace {

// Entries of type From, converted one by one.
template <class From, class Array>
Array convert(const void* data, size_t length) {
  const auto* from = static_cast<const From*>(data);
  return Array(from, from + length);
}

struct View {
  napi_typedarray_type type;
  size_t length;
  void* data;
};

View view_of(Napi::Value value, const char* name) {
  View view{};
  const Napi::Env env = value.Env();
  if (napi_get_typedarray_info(env, value, &view.type, &view.length, &view.data, nullptr, nullptr) != napi_ok)
    throw coded_error(env, "ARRAY_TYPE", std::string("Expected a typed array for ") + name);
  return view;
}

Napi::Error wrong_length(Napi::Env env, const std::string& expected, const char* name, size_t length) {
  return coded_error(env, "ARRAY_LENGTH",
                     "Expected " + expected + " entries for " + name + " but received " +
                         std::to_string(length) + "; a detached array has none");
}

}  // namespace

FlatJob::FlatJob(Napi::Value scalars, Napi::Value arrays) : arrays_(arrays.As<Napi::Object>()) {
  const View view = view_of(scalars, "scalars");
  if (view.type != napi_float64_array || view.length != kScalars)
    throw wrong_length(scalars.Env(), std::to_string(kScalars), "scalars", view.length);
  std::copy_n(static_cast<const double*>(view.data), kScalars, scalars_.begin());
}

FlatJob::FlatJob(Napi::Value job)
    : FlatJob(job.As<Napi::Object>().Get("scalars"), job.As<Napi::Object>().Get("arrays")) {}

uint64_t FlatJob::whole(Scalar scalar) const {
  const double value = number(scalar);
  if (value >= 0 && value < 0x1p53) return uint64_t(value);
  throw coded_error(arrays_.Env(), "FAILED", "Expected a whole number below 2^53 in every place of a job");
}

uint32_t FlatJob::word(Scalar scalar) const {
  const uint64_t value = whole(scalar);
  if (value <= UINT32_MAX) return uint32_t(value);
  throw coded_error(arrays_.Env(), "FAILED",
                    "The addon counts in 32 bits, and was given " + std::to_string(value));
}

template <class Kind>
Kind FlatJob::kind(Scalar scalar, size_t count, const char* what) const {
  const uint64_t place = whole(scalar);
  if (place < count) return Kind(place);
  throw coded_error(arrays_.Env(), "UNKNOWN_KIND",
                    std::string("The addon knows no ") + what + " number " + std::to_string(place));
}

OperationKind FlatJob::operation() const {
  return kind<OperationKind>(Scalar::kOperation, kOperationKinds, "operation");
}

bool FlatJob::has(const char* name) const { return !arrays_.Get(name).IsUndefined(); }

size_t FlatJob::length(const char* name) const { return view_of(arrays_.Get(name), name).length; }

template <class T, class Array>
Array FlatJob::array(const char* name, size_t expected) const {
  const Napi::Value value = arrays_.Get(name);
  const View view = view_of(value, name);
  if (view.length != expected) throw wrong_length(value.Env(), std::to_string(expected), name, view.length);
  switch (view.type) {
    case napi_uint8_array:
      return convert<uint8_t, Array>(view.data, view.length);
    case napi_uint16_array:
      return convert<uint16_t, Array>(view.data, view.length);
    case napi_uint32_array:
      return convert<uint32_t, Array>(view.data, view.length);
    case napi_float32_array:
      return convert<float, Array>(view.data, view.length);
    case napi_float64_array:
      return convert<double, Array>(view.data, view.length);
    default:
      throw coded_error(
          value.Env(), "ARRAY_TYPE",
          std::string("Expected bytes, unsigned 16- or 32-bit integers, or floats for ") + name);
  }
}

template std::vector<float> FlatJob::array<float, std::vector<float>>(const char*, size_t) const;
template Floats FlatJob::array<float, Floats>(const char*, size_t) const;
template std::vector<double> FlatJob::array<double, std::vector<double>>(const char*, size_t) const;
template std::vector<uint32_t> FlatJob::array<uint32_t, std::vector<uint32_t>>(const char*, size_t) const;

Napi::Float32Array FlatJob::floats_in_place(const char* name) const {
  const Napi::Value value = arrays_.Get(name);
  if (view_of(value, name).type != napi_float32_array)
    throw coded_error(value.Env(), "ARRAY_TYPE", std::string("Expected a Float32Array for ") + name);
  return value.As<Napi::Float32Array>();
}

uint64_t FlatJob::seed() const {
  return uint64_t(word(Scalar::kSeedLow)) | uint64_t(word(Scalar::kSeedHigh)) << 32;
}

Network FlatJob::network() const {
  Network network;
  network.layers = array<uint32_t>("layers");
  network.activation = kind<Activation>(Scalar::kActivation, kActivations, "activation");
  if (network.layers.size() < 2)
    throw wrong_length(arrays_.Env(), "at least 2", "layers", network.layers.size());
  return network;
}

Loss FlatJob::loss(const Network& network) const {
  Loss loss;
  loss.kind = kind<LossKind>(Scalar::kLossKind, kLossKinds, "loss");
  if (loss.kind == LossKind::kCostMatrix)
    loss.costs = array<float>("costs", size_t(network.classes()) * network.classes());
  return loss;
}

Examples FlatJob::examples(size_t width) const {
  Examples examples;
  examples.width = width;
  examples.count = size_t(whole(Scalar::kExampleCount));
  if (examples.count == 0) throw wrong_length(arrays_.Env(), "at least 1", "labels", 0);
  const size_t entries = examples.count * width;
  if (!has("inputs"))
    flag(Scalar::kInputsAreFloats) ? examples.floats.reserve(entries) : examples.bytes.reserve(entries);
  else if (flag(Scalar::kInputsAreFloats))
    examples.floats = array<float>("inputs", entries);
  else
    examples.bytes = array<uint8_t>("inputs", entries);
  if (has("labels")) examples.labels = array<uint16_t>("labels", examples.count);
  return examples;
}

void append_inputs(Examples& rows, Napi::Value inputs) {
  const View view = view_of(inputs, "inputs");
  const size_t missing = rows.count * rows.width - rows.bytes.size() - rows.floats.size();
  if (view.length > missing)
    throw wrong_length(inputs.Env(), "at most " + std::to_string(missing), "inputs", view.length);
  if (view.type == napi_uint8_array && rows.floats.empty()) {
    const auto* from = static_cast<const uint8_t*>(view.data);
    rows.bytes.insert(rows.bytes.end(), from, from + view.length);
  } else if (view.type == napi_float32_array && rows.bytes.empty()) {
    const auto* from = static_cast<const float*>(view.data);
    rows.floats.insert(rows.floats.end(), from, from + view.length);
  } else {
    throw coded_error(inputs.Env(), "ARRAY_TYPE", "Expected bytes, or 32-bit floats, for all inputs");
  }
}

Coupling FlatJob::coupling() const {
  Coupling coupling;
  coupling.kind = kind<CouplingKind>(Scalar::kCoupling, kCouplingKinds, "coupling");
  coupling.samples = word(Scalar::kSamples);
  coupling.blocks = word(Scalar::kBlocks);
  coupling.sample_complement = flag(Scalar::kSampleComplement);
  // What is coupled is centred by the coupling.
  coupling.centred = flag(Scalar::kCentred) || coupling.kind != CouplingKind::kIndependent;
  return coupling;
}

Estimator FlatJob::estimator() const {
  Estimator estimator;
  estimator.kind = kind<EstimatorKind>(Scalar::kEstimator, kEstimatorKinds, "estimator");
  estimator.projected = flag(Scalar::kProjected);
  estimator.coupling = coupling();
  estimator.temperature = float(number(Scalar::kTemperature));
  estimator.rowwise = flag(Scalar::kRowwise);
  estimator.batches = word(Scalar::kBatches);
  estimator.samples = word(Scalar::kSamples);
  estimator.chain_previous = flag(Scalar::kChainPrevious);
  const size_t iterates = word(Scalar::kIterates);
  if (iterates > 0) estimator.step_sizes = array<double>("stepSizes", iterates);
  if (estimator.kind == EstimatorKind::kSgld) estimator.noise_scales = array<double>("noiseScales", iterates);
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
