// Written by scripts/generate.mjs from src/backends/description.ts. Do not edit: change that, and run it.
// clang-format off
#pragma once
#include <cstddef>
#include <cstdint>

namespace local_entropy {

enum class OperationKind : uint8_t {
  kGaussian,
  kLoss,
  kPredict,
  kAccuracy,
  kEstimate,
  kStep,
  kRun,
  kHessianProduct,
  kOutputs,
};
constexpr size_t kOperationKinds = 9;

enum class Activation : uint8_t {
  kRelu,
  kTanh,
  kStep,
};
constexpr size_t kActivations = 3;

enum class LossKind : uint8_t {
  kCrossEntropy,
  kCostMatrix,
  kSquaredError,
  kAbsoluteError,
  kLogistic,
  kSoftCrossEntropy,
  kGiven,
};
constexpr size_t kLossKinds = 7;

enum class EstimatorKind : uint8_t {
  kSgd,
  kImportanceSampling,
  kEvolutionStrategies,
  kSgld,
  kRobbinsMonro,
};
constexpr size_t kEstimatorKinds = 5;

enum class CouplingKind : uint8_t {
  kIndependent,
  kAntithetic,
  kWalsh,
};
constexpr size_t kCouplingKinds = 3;

enum class OptimizerKind : uint8_t {
  kGradientDescent,
  kMomentum,
  kAdam,
};
constexpr size_t kOptimizerKinds = 3;

// How many kinds of loss have a gradient.
constexpr size_t kLossesWithGradient = 5;
// What a kind of loss reads of a row beside its inputs.
enum class Reads : uint8_t {
  kLabels,
  kTargets,
  kNothing,
};
constexpr Reads kReads[] = {
    Reads::kLabels,  // cross-entropy
    Reads::kLabels,  // cost-matrix
    Reads::kTargets,  // squared-error
    Reads::kTargets,  // absolute-error
    Reads::kTargets,  // logistic
    Reads::kTargets,  // soft-cross-entropy
    Reads::kNothing,  // given
};
// What predict makes of the outputs that a kind of loss is for.
enum class Link : uint8_t {
  kSoftmax,
  kIdentity,
  kSigmoid,
};
constexpr Link kLinks[] = {
    Link::kSoftmax,  // cross-entropy
    Link::kSoftmax,  // cost-matrix
    Link::kIdentity,  // squared-error
    Link::kIdentity,  // absolute-error
    Link::kSigmoid,  // logistic
    Link::kSoftmax,  // soft-cross-entropy
    Link::kIdentity,  // given
};

constexpr uint32_t kStreamMinibatchOrder = 0;
constexpr uint32_t kStreamInitialization = 1;
constexpr uint32_t kStreamComplement = 2;
constexpr uint32_t kStreamFirstLayer = 16;
constexpr double kPivotBound = 1e-9;
constexpr uint32_t kBlocksInGroup = 8;
constexpr double kKappaRidge = 0.1;
constexpr double kLambdaRidge = 0.001;
constexpr uint32_t kValuesOfUpdate = 4;

// Stream of the noise of layer 1 … L.
constexpr uint32_t layer_stream(uint32_t layer) { return kStreamFirstLayer + layer - 1; }

// Places of a job's numbers.
enum class Scalar : uint8_t {
  kTemperature,
  kMomentum,
  kBeta1,
  kBeta2,
  kEpsilon,
  kWeightDecay,
  kOperation,
  kSeedLow,
  kSeedHigh,
  kDepth,
  kActivation,
  kLossKind,
  kInputsAreFloats,
  kExampleCount,
  kBatchSize,
  kBatches,
  kEstimator,
  kCoupling,
  kSamples,
  kBlocks,
  kCentred,
  kSampleComplement,
  kRowwise,
  kProjected,
  kIterates,
  kChainPrevious,
  kWantsError,
  kOptimizer,
  kFirst,
  kCount,
  kEntries,
  kStream,
  kSample,
};
constexpr size_t kScalars = 33;

// What a job answers.
enum class Result : uint8_t {
  kLoss,
  kGradientNorm,
  kEffectiveSampleSize,
  kFreeEnergy,
  kLargestWeight,
  kStandardError,
  kDone,
  kCorrect,
  kFinite,
  kChainValid,
};
constexpr const char* kResultNames[] = {
    "loss",
    "gradientNorm",
    "effectiveSampleSize",
    "freeEnergy",
    "largestWeight",
    "standardError",
    "done",
    "correct",
    "finite",
    "chainValid",
};

}  // namespace local_entropy
