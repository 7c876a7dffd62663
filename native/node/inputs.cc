// Copies of what TypeScript hands over; inputs.h says what is checked.
#include "inputs.h"

#include "jobs.h"

namespace local_entropy {

// Entries of type From, converted one by one.
template <class From, class Array>
static Array convert(const void* data, size_t length) {
  const auto* from = static_cast<const From*>(data);
  return Array(from, from + length);
}

template <class T, class Array>
Array read_array(Napi::Value value, const char* name, size_t expected) {
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  const Napi::Env env = value.Env();
  if (napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr) != napi_ok) {
    throw coded_error(env, "ARRAY_TYPE", std::string("Expected a typed array for ") + name);
  }
  if (expected != kAnyLength && length != expected) {
    throw coded_error(env, "ARRAY_LENGTH",
                      "Expected " + std::to_string(expected) + " entries for " + name + " but received " +
                          std::to_string(length) + "; a detached array has none");
  }
  switch (type) {
    case napi_uint8_array:
      return convert<uint8_t, Array>(data, length);
    case napi_uint16_array:
      return convert<uint16_t, Array>(data, length);
    case napi_uint32_array:
      return convert<uint32_t, Array>(data, length);
    case napi_float32_array:
      return convert<float, Array>(data, length);
    case napi_float64_array:
      return convert<double, Array>(data, length);
    default:
      throw coded_error(
          env, "ARRAY_TYPE",
          std::string("Expected bytes, unsigned 16- or 32-bit integers, or floats for ") + name);
  }
}

template Floats read_array<float, Floats>(Napi::Value, const char*, size_t);
template std::vector<float> read_array<float, std::vector<float>>(Napi::Value, const char*, size_t);
template std::vector<double> read_array<double, std::vector<double>>(Napi::Value, const char*, size_t);
template std::vector<uint32_t> read_array<uint32_t, std::vector<uint32_t>>(Napi::Value, const char*, size_t);

static std::string read_string(Napi::Object object, const char* name) {
  return object.Get(name).As<Napi::String>();
}

static bool read_flag(Napi::Object object, const char* name) { return object.Get(name).ToBoolean(); }

static Napi::Object read_object(Napi::Object object, const char* name) {
  return object.Get(name).As<Napi::Object>();
}

static Napi::Error unknown_kind(Napi::Object object, const char* what) {
  return coded_error(
      object.Env(), "UNKNOWN_KIND",
      std::string("The native backend knows no ") + what + " of kind " + read_string(object, "kind"));
}

double read_number(Napi::Object object, const char* name) {
  return object.Get(name).As<Napi::Number>().DoubleValue();
}

uint64_t read_seed(Napi::Object input) {
  const auto key = input.Get("key").As<Napi::Array>();
  const auto word = [&](uint32_t i) { return uint64_t(key.Get(i).As<Napi::Number>().DoubleValue()); };
  return word(0) | word(1) << 32;
}

Network read_network(Napi::Object input) {
  const Napi::Object from = read_object(input, "network");
  Network network;
  const auto layers = from.Get("layers").As<Napi::Array>();
  for (uint32_t l = 0; l < layers.Length(); l++) {
    network.layers.push_back(layers.Get(l).As<Napi::Number>().Uint32Value());
  }
  const std::string activation = read_string(from, "activation");
  network.activation = activation == "tanh"   ? Activation::kTanh
                       : activation == "step" ? Activation::kStep
                                              : Activation::kRelu;
  return network;
}

Loss read_loss(Napi::Object input, const Network& network) {
  const Napi::Object from = read_object(input, "loss");
  const std::string kind = read_string(from, "kind");
  if (kind == "cross-entropy") return {};
  if (kind != "cost-matrix") throw unknown_kind(from, "loss");
  return {read_array<float>(from.Get("costs"), "loss.costs", size_t(network.classes()) * network.classes())};
}

Examples read_examples(Napi::Object from, size_t width) {
  Examples samples;
  samples.width = width;
  const auto inputs = from.Get("inputs").As<Napi::TypedArray>();
  const Napi::Value labels = from.Get("labels");
  const size_t length = inputs.ElementLength();
  samples.count = labels.IsUndefined() ? length / width : labels.As<Napi::TypedArray>().ElementLength();
  if (samples.count == 0) {
    throw coded_error(from.Env(), "ARRAY_LENGTH",
                      "Expected at least one row of inputs but received none; "
                      "a detached array has none");
  }
  const size_t entries = samples.count * width;
  if (inputs.TypedArrayType() == napi_uint8_array) {
    samples.bytes = read_array<uint8_t>(inputs, "inputs", entries);
  } else {
    samples.floats = read_array<float>(inputs, "inputs", entries);
  }
  if (!labels.IsUndefined()) samples.labels = read_array<uint16_t>(labels, "labels", samples.count);
  return samples;
}

Coupling read_coupling(Napi::Object input) {
  const Napi::Object from = read_object(input, "coupling");
  const std::string kind = read_string(from, "kind");
  Coupling coupling;
  if (kind == "independent") {
    coupling.kind = Coupling::Kind::kIndependent;
    coupling.sample_complement = read_string(from, "complement") == "sample";
    coupling.centred = read_flag(from, "centred");
  } else if (kind == "antithetic") {
    coupling.kind = Coupling::Kind::kAntithetic;
  } else if (kind == "walsh") {
    coupling.kind = Coupling::Kind::kWalsh;
    coupling.blocks = uint32_t(read_number(from, "blocks"));
    return coupling;
  } else {
    throw unknown_kind(from, "coupling");
  }
  coupling.samples = uint32_t(read_number(from, "samples"));
  return coupling;
}

Estimator read_estimator(Napi::Object from) {
  const std::string kind = read_string(from, "kind");
  Estimator estimator;
  estimator.kind = Estimator::Kind::kSgd;
  if (kind == "sgd") return estimator;
  estimator.projected = read_flag(from, "projected");
  if (kind == "importance-sampling") {
    estimator.kind = Estimator::Kind::kImportanceSampling;
    estimator.coupling = read_coupling(from);
    estimator.temperature = float(read_number(from, "temperature"));
    estimator.rowwise = read_flag(from, "rowwise");
    return estimator;
  }
  if (kind == "evolution-strategies") {
    estimator.kind = Estimator::Kind::kEvolutionStrategies;
    estimator.coupling = read_coupling(from);
    estimator.rowwise = read_flag(from, "rowwise");
    return estimator;
  }
  estimator.step_sizes = read_array<double>(from.Get("stepSizes"), "stepSizes", kAnyLength);
  if (kind == "sgld") {
    estimator.kind = Estimator::Kind::kSgld;
    estimator.noise_scales =
        read_array<double>(from.Get("noiseScales"), "noiseScales", estimator.step_sizes.size());
    estimator.chain_previous = read_string(from, "chainStart") == "previous";
  } else if (kind == "robbins-monro") {
    estimator.kind = Estimator::Kind::kRobbinsMonro;
    estimator.samples = uint32_t(read_number(from, "samples"));
  } else {
    throw unknown_kind(from, "estimator");
  }
  estimator.batches = uint32_t(read_number(from, "batches"));
  return estimator;
}

Optimizer read_optimizer(Napi::Object input) {
  const Napi::Object from = read_object(input, "optimizer");
  const std::string kind = read_string(from, "kind");
  Optimizer optimizer;
  if (kind == "gradient-descent") return optimizer;
  if (kind == "momentum") {
    optimizer.kind = Optimizer::Kind::kMomentum;
    optimizer.momentum = read_number(from, "momentum");
    return optimizer;
  }
  if (kind != "adam") throw unknown_kind(from, "optimizer");
  optimizer.kind = Optimizer::Kind::kAdam;
  optimizer.beta1 = read_number(from, "beta1");
  optimizer.beta2 = read_number(from, "beta2");
  optimizer.epsilon = float(read_number(from, "epsilon"));
  optimizer.weight_decay = read_number(from, "weightDecay");
  return optimizer;
}

std::vector<Floats> read_moments(Napi::Object input, const Optimizer& optimizer, size_t parameters) {
  const auto from = input.Get("moments").As<Napi::Array>();
  if (from.Length() != optimizer.moments()) {
    throw coded_error(input.Env(), "ARRAY_LENGTH",
                      "Expected " + std::to_string(optimizer.moments()) +
                          " vectors for moments but received " + std::to_string(from.Length()));
  }
  std::vector<Floats> moments;
  for (uint32_t i = 0; i < from.Length(); i++) {
    moments.push_back(read_array<float, Floats>(from.Get(i), "moments", parameters));
  }
  return moments;
}

}  // namespace local_entropy
