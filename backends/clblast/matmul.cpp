// Matrix products of f32 and f64: any order of axes, any batches. Not of f16, which CLBlast sums in
// f16.
// SPDX-License-Identifier: Apache-2.0
#include "backends/clblast/matmul.hpp"

#include <clblast.h>
#include <fmt/format.h>

#include <cstdlib>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "backends/clblast/scratch.hpp"
#include "backends/clblast/status.hpp"
#include "backends/opencl/place.hpp"
#include "backends/opencl/pose.hpp"
#include "backends/opencl/status.hpp"
#include "core/log.hpp"
#include "core/products.hpp"
#include "core/refused_call.hpp"
#include "noyau/error.hpp"

namespace noyau::clblast {
namespace {

using ::clblast::Layout;
using ::clblast::StatusCode;
using ::clblast::Transpose;

constexpr std::string_view routine_name = "clblast.matmul";
/// Elements from the first to the last of an operand: CLBlast's kernels count with 32 bits.
constexpr std::int64_t most_elements = std::int64_t{1} << 30;

struct Problem {
  cl_command_queue queue = nullptr;
  DType dtype = float32;
  BlasProduct product;
};

// ---- check

bool fits(const TensorView& view) {
  std::int64_t last = 0;
  for (int axis = 0; axis < view.shape.rank(); ++axis) {
    std::int64_t way = 0;
    if (__builtin_mul_overflow(view.shape[axis] - 1, view.strides[axis], &way) ||
        __builtin_add_overflow(last, way, &last))
      return false;
  }
  return last < most_elements;
}

std::optional<Problem> check(const LibraryCall& call) {
  auto product = blas_product_of(call);
  if (!product || product->bias || call.context == nullptr || !fits(call.output))
    return std::nullopt;
  for (const TensorView& input : call.inputs)
    if (!fits(input)) return std::nullopt;
  return Problem{static_cast<cl_command_queue>(call.context), call.output.dtype,
                 std::move(*product)};
}

// ---- choose

cl_device_id device_of(cl_command_queue queue) {
  cl_device_id device = nullptr;
  clGetCommandQueueInfo(queue, CL_QUEUE_DEVICE, sizeof device, &device, nullptr);
  return device;
}

std::size_t size(std::int64_t n) { return static_cast<std::size_t>(n); }
Transpose transpose_of(const BlasMatrix& m) {
  return m.transposed ? Transpose::kYes : Transpose::kNo;
}

/// Where an operand is: the buffer and the elements before it, which CLBlast counts with 32 bits.
/// Far in a large buffer it gets the rest of that buffer.
class At {
 public:
  At(cl_mem buffer, std::size_t elements, std::size_t element_bytes)
      : handle(buffer), offset(elements) {
    if (elements <= size(most_elements)) return;
    std::size_t bytes = 0;
    clGetMemObjectInfo(buffer, CL_MEM_SIZE, sizeof bytes, &bytes, nullptr);
    const std::size_t begin = elements * element_bytes / page * page;
    const cl_buffer_region rest{begin, bytes - begin};
    cl_int status = CL_SUCCESS;
    handle = own_ =
        clCreateSubBuffer(buffer, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &rest, &status);
    opencl::check(status, routine_name, "clCreateSubBuffer");
    offset -= begin / element_bytes;
  }
  ~At() {
    if (own_ != nullptr) clReleaseMemObject(own_);  // what is enqueued keeps it
  }
  At(const At&) = delete;
  At& operator=(const At&) = delete;

  cl_mem handle = nullptr;
  std::size_t offset = 0;

 private:
  static constexpr std::size_t page = 4096;  // no device wants more alignment
  cl_mem own_ = nullptr;
};

template <class T>
StatusCode enqueue_product(const BlasProduct& p, const At& a, const At& b, const At& out,
                           cl_command_queue queue, cl_mem temporary) {
  if (p.batch == 1) {
    return ::clblast::Gemm<T>(Layout::kRowMajor, transpose_of(p.a), transpose_of(p.b), size(p.m),
                              size(p.n), size(p.k), T{1}, a.handle, a.offset, size(p.a.leading),
                              b.handle, b.offset, size(p.b.leading), T{0}, out.handle, out.offset,
                              size(p.out.leading), &queue, nullptr, temporary);
  }
  return ::clblast::GemmStridedBatched<T>(
      Layout::kRowMajor, transpose_of(p.a), transpose_of(p.b), size(p.m), size(p.n), size(p.k),
      T{1}, a.handle, a.offset, size(p.a.leading), size(p.a.batch_stride), b.handle, b.offset,
      size(p.b.leading), size(p.b.batch_stride), T{0}, out.handle, out.offset, size(p.out.leading),
      size(p.out.batch_stride), size(p.batch), &queue, nullptr);
}

/// What a product of such operands wants wherever they begin.
template <class T>
std::size_t temporary_bytes(const BlasProduct& p, cl_command_queue queue) {
  if (p.batch > 1) return 0;  // CLBlast finds its own
  std::size_t bytes = 0;
  const StatusCode status = ::clblast::GemmTempBufferSize<T>(
      Layout::kRowMajor, transpose_of(p.a), transpose_of(p.b), size(p.m), size(p.n), size(p.k), 1,
      size(p.a.leading), 1, size(p.b.leading), 1, size(p.out.leading), &queue, bytes);
  return status == StatusCode::kSuccess ? bytes : 0;
}

/// Whether CLBlast's kernels compile here and give the right product of two small matrices.
template <class T>
bool try_out(cl_command_queue queue, bool batched) {
  constexpr std::int64_t n = 3, batch = 2;
  const BlasMatrix rows{0, n, n, n, n * n, false}, columns{1, n, n, n, n * n, true};
  const BlasProduct p{n, n, n, rows, columns, rows, batched ? batch : 1, {}, false};
  std::vector<T> a(n * n * batch), b(n * n * batch), found(n * n * batch), wanted = found;
  for (std::size_t k = 0; k < a.size(); ++k) {
    a[k] = static_cast<T>(k % 7) - 2;
    b[k] = static_cast<T>(k % 5) - 1;
  }
  for (std::int64_t at = 0; at < n * n * p.batch; ++at) {
    const std::int64_t matrix = at / (n * n) * n * n, row = at / n % n, column = at % n;
    for (std::int64_t k = 0; k < n; ++k)
      wanted[size(at)] += a[size(matrix + row * n + k)] * b[size(matrix + column * n + k)];
  }
  cl_context context = nullptr;
  clGetCommandQueueInfo(queue, CL_QUEUE_CONTEXT, sizeof context, &context, nullptr);
  struct Release {
    void operator()(cl_mem buffer) const { clReleaseMemObject(buffer); }
  };
  std::vector<std::unique_ptr<_cl_mem, Release>> buffers;
  for (std::vector<T>* values : {&a, &b, &found}) {
    cl_int status = CL_SUCCESS;
    buffers.emplace_back(clCreateBuffer(context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR,
                                        values->size() * sizeof(T), values->data(), &status));
    opencl::check(status, "CLBlast", "allocating memory for a trial");
  }
  const At at[] = {{buffers[0].get(), 0, sizeof(T)},
                   {buffers[1].get(), 0, sizeof(T)},
                   {buffers[2].get(), 0, sizeof(T)}};
  const StatusCode status = enqueue_product<T>(p, at[0], at[1], at[2], queue, nullptr);
  cl_int read = static_cast<cl_int>(status);
  if (read == CL_SUCCESS) {
    read = clEnqueueReadBuffer(queue, buffers[2].get(), CL_TRUE, 0, found.size() * sizeof(T),
                               found.data(), 0, nullptr, nullptr);
  }
  if (read == CL_SUCCESS && found == wanted) return true;
  logging::warn_once(fmt::format(
      "CLBlast does not work on this OpenCL device ({}); matmul runs on generated kernels",
      read == CL_SUCCESS ? "wrong results" : opencl::explained(read)));
  return false;
}

/// Whether CLBlast works on a device of this queue, for a dtype, one product or a batch.
bool works(const Problem& p) {
  static auto& mutex = *new std::mutex;
  static auto& known = *new std::map<std::tuple<cl_command_queue, DType, bool>, bool>;
  const std::lock_guard lock(mutex);
  const bool batched = p.product.batch > 1;
  const auto key = std::tuple(p.queue, p.dtype, batched);
  if (const auto found = known.find(key); found != known.end()) return found->second;
  cl_device_fp_config doubles = 0;
  clGetDeviceInfo(device_of(p.queue), CL_DEVICE_DOUBLE_FP_CONFIG, sizeof doubles, &doubles,
                  nullptr);
  try {
    const bool does = p.dtype == float64 ? doubles != 0 && try_out<double>(p.queue, batched)
                                         : try_out<float>(p.queue, batched);
    return known[key] = does;
  } catch (const Error& error) {  // no memory now: perhaps later
    logging::warn_once(error.what());
    return false;
  }
}

/// The calls that CLBlast refused at their launch, in words.
class Refused {
 public:
  static Refused& calls() {
    static auto& made = *new Refused;
    return made;
  }
  bool has(const std::pair<cl_command_queue, std::string>& call) {
    const std::lock_guard lock(mutex_);
    return !calls_.empty() && calls_.contains(call);
  }
  void add(std::pair<cl_command_queue, std::string> call) {
    const std::lock_guard lock(mutex_);
    calls_.insert(std::move(call));
  }

 private:
  std::mutex mutex_;
  std::set<std::pair<cl_command_queue, std::string>> calls_;
};

/// Devices on which CLBlast is worth it, where it works.
bool choose(const Problem& p, const LibraryCall& call) {
  cl_device_type type = 0;
  clGetDeviceInfo(device_of(p.queue), CL_DEVICE_TYPE, sizeof type, &type, nullptr);
  if ((type & CL_DEVICE_TYPE_CPU) != 0 && !opencl::pose().gpu) return false;
  return works(p) && !Refused::calls().has({p.queue, describe(call)});
}

// ---- set, launch

class PreparedMatmul final : public PreparedCall {
 public:
  PreparedMatmul(Problem problem, std::string words)
      : p_(std::move(problem)),
        words_(std::move(words)),
        temporary_(p_.dtype == float64 ? temporary_bytes<double>(p_.product, p_.queue)
                                       : temporary_bytes<float>(p_.product, p_.queue)) {}

  void run(std::span<const void* const>, void*, void*) override {
    throw InternalError("clblast.matmul: runs on a queue alone");
  }

  void enqueue(void* queue, std::span<const void* const> inputs, void* output,
               void* workspace) override {
    (void)workspace;
    const auto rounds = rounds_of(p_.product.outer);
    for (std::int64_t round = 0; round < rounds; ++round)
      launch(static_cast<cl_command_queue>(queue), inputs, output,
             batch_at(p_.product.outer, round));
  }

 private:
  void launch(cl_command_queue queue, std::span<const void* const> inputs, const void* output,
              const Batch& moved) const {
    const BlasProduct& p = p_.product;
    const auto at = [&](const void* pointer, std::int64_t elements) {
      const auto& place = *static_cast<const opencl::Place*>(pointer);
      const std::size_t bytes = size_of(p_.dtype);
      return At(place.handle, place.offset / bytes + size(elements), bytes);
    };
    const At a = at(inputs[size(p.a.pointer)], moved.a), b = at(inputs[size(p.b.pointer)], moved.b),
             out = at(output, moved.out);
    cl_mem temporary = nullptr;
    try {
      temporary = scratch(queue, temporary_);
    } catch (const OutOfMemory& error) {
      refuse(error.what());
    }
    check_launch(p_.dtype == float64 ? enqueue_product<double>(p, a, b, out, queue, temporary)
                                     : enqueue_product<float>(p, a, b, out, queue, temporary));
  }

  void check_launch(StatusCode code) const {
    const auto status = static_cast<cl_int>(code);
    if (code == StatusCode::kSuccess) return;
    if (opencl::is_lost(status)) opencl::check_launch(status, routine_name, words_);
    refuse(status_text(code));
  }
  [[noreturn]] void refuse(std::string_view why) const {
    Refused::calls().add({p_.queue, words_});
    throw RefusedCall(routine_name, words_, why);
  }

  const Problem p_;
  const std::string words_;
  const std::size_t temporary_;
};

class MatmulRoutine final : public LibraryRoutine {
 public:
  std::string_view name() const override { return routine_name; }

  bool accepts(const LibraryCall& call) const override {
    const auto problem = check(call);
    return problem && choose(*problem, call);
  }

  std::unique_ptr<PreparedCall> prepare(const LibraryCall& call) const override {
    auto problem = check(call);
    if (!problem || !choose(*problem, call))
      throw InternalError("clblast.matmul: prepares a call it does not accept");
    return std::make_unique<PreparedMatmul>(std::move(*problem), describe(call));
  }
};

}  // namespace

std::unique_ptr<LibraryRoutine> make_matmul() { return std::make_unique<MatmulRoutine>(); }

}  // namespace noyau::clblast
