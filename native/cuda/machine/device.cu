// The device by CUDA's runtime: device.h explains each function. Device 0, as CUDA_VISIBLE_DEVICES counts.
#include "device.h"

namespace local_entropy {

namespace {

__global__ void nothing() {}

std::string in_gigabytes(size_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f GB", double(bytes) / 1e9);
  return text;
}

int attribute(cudaDeviceAttr name) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, name, 0), "cudaDeviceGetAttribute");
  return value;
}

}  // namespace

void check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  throw DeviceError(std::string("The GPU failed in ") + call + ": " + cudaGetErrorString(status) +
                    " (error " + std::to_string(int(status)) + ")");
}

void* allocate(size_t bytes) {
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, bytes);
  if (status != cudaErrorMemoryAllocation) {
    check(status, "cudaMalloc");
    return memory;
  }
  cudaGetLastError();  // not a lasting error: the next call must not see it
  size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  throw DeviceError("The GPU has not enough memory: " + in_gigabytes(bytes) + " more were asked for, " +
                    in_gigabytes(free) + " of " + in_gigabytes(total) +
                    " are free; ask for fewer samples or rows, or use backend \"native\"");
}

void release(void* memory) noexcept { cudaFree(memory); }

void upload(Stream stream, void* to, const void* from, size_t bytes) {
  // From pageable memory the runtime copies to a buffer of its own before it returns.
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream), "a copy to the GPU");
}

void download(Stream stream, void* to, const void* from, size_t bytes) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream), "a copy from the GPU");
  wait(stream);
}

void copy(Stream stream, void* to, const void* from, size_t bytes) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream), "a copy on the GPU");
}

void zero(Stream stream, void* to, size_t bytes) {
  check(cudaMemsetAsync(to, 0, bytes, stream), "cudaMemset");
}

void blank(Stream stream, void* to, size_t bytes) {
  check(cudaMemsetAsync(to, 0xff, bytes, stream), "cudaMemset");
}

Pace::Pace(Stream stream) : stream_(stream) {
  for (cudaEvent_t& event : events_)
    check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreate");
}

Pace::~Pace() {
  for (cudaEvent_t event : events_) cudaEventDestroy(event);
}

void Pace::follow() {
  check(cudaEventRecord(events_[calls_++ % (kAhead + 1)], stream_), "cudaEventRecord");
  if (calls_ > kAhead) check(cudaEventSynchronize(events_[calls_ % (kAhead + 1)]), "the work before");
}

Recording::~Recording() {
  if (prepared_ != nullptr) cudaGraphExecDestroy(prepared_);
}

void Recording::begin() {
  // Relaxed: memory may be allocated meanwhile.
  check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed), "cudaStreamBeginCapture");
}

void Recording::start() {
  cudaGraph_t graph = nullptr;
  check(cudaStreamEndCapture(stream_, &graph), "cudaStreamEndCapture");
  cudaGraphExecUpdateResultInfo result;
  if (prepared_ != nullptr && cudaGraphExecUpdate(prepared_, graph, &result) != cudaSuccess) {
    cudaGetLastError();  // another shape of work: prepared anew
    cudaGraphExecDestroy(prepared_);
    prepared_ = nullptr;
  }
  const cudaError_t status = prepared_ != nullptr ? cudaSuccess : cudaGraphInstantiate(&prepared_, graph, 0);
  cudaGraphDestroy(graph);
  check(status, "cudaGraphInstantiate");
  check(cudaGraphLaunch(prepared_, stream_), "cudaGraphLaunch");
}

void Recording::drop() noexcept {
  cudaGraph_t graph = nullptr;
  if (cudaStreamEndCapture(stream_, &graph) == cudaSuccess)
    cudaGraphDestroy(graph);
  else
    cudaGetLastError();
}

void wait(Stream stream) { check(cudaStreamSynchronize(stream), "the work before"); }

Stream new_stream() {
  Stream stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
  return stream;
}

void delete_stream(Stream stream) noexcept { cudaStreamDestroy(stream); }

double device_milliseconds(Stream stream, int repeats, const std::function<void()>& work) {
  cudaEvent_t begin, end;
  check(cudaEventCreate(&begin), "cudaEventCreate");
  check(cudaEventCreate(&end), "cudaEventCreate");
  float best = 1e30f;
  for (int i = 0; i < repeats; i++) {
    check(cudaEventRecord(begin, stream), "cudaEventRecord");
    work();
    check(cudaEventRecord(end, stream), "cudaEventRecord");
    check(cudaEventSynchronize(end), "the timed work");
    float time = 0;
    check(cudaEventElapsedTime(&time, begin, end), "cudaEventElapsedTime");
    best = time < best ? time : best;
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  return best;
}

size_t shared_memory_per_block() {
  static const size_t bytes = size_t(attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin));
  return bytes;
}

unsigned multiprocessors() {
  static const unsigned count = unsigned(attribute(cudaDevAttrMultiProcessorCount));
  return count;
}

// Where there is no driver the count is left untouched, so it starts at 0.
std::string device_name(std::string* why) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess || count == 0) {
    int driver = 0;
    cudaDriverGetVersion(&driver);
    *why = "no GPU, because ";
    *why += status == cudaSuccess ? "the driver lists none"
            : driver == 0         ? "NVIDIA's driver is not installed"
                                  : cudaGetErrorString(status);
    if (status != cudaSuccess) *why += " (CUDA error " + std::to_string(int(status)) + ")";
    return "";
  }
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
  const std::string name = "sm_" + std::to_string(properties.major) + std::to_string(properties.minor);
  cudaFuncAttributes attributes;
  const cudaError_t found = cudaFuncGetAttributes(&attributes, nothing);
  if (found == cudaSuccess) return name;
  cudaGetLastError();
  *why = std::string("the GPU ") + properties.name + " (" + name +
         ") cannot run this build: " + cudaGetErrorString(found);
  return "";
}

}  // namespace local_entropy
