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
#include <tuple>
#include <utility>
#include <vector>

#include "backends/clblast/scratch.hpp"
#include "backends/opencl/place.hpp"
#include "backends/opencl/pose.hpp"
#include "backends/opencl/status.hpp"
#include "core/log.hpp"
#include "core/products.hpp"
#include "noyau/error.hpp"

namespace noyau::clblast {
namespace {

using ::clblast::Layout;
using ::clblast::StatusCode;
using ::clblast::Transpose;

constexpr std::string_view routine_name = "clblast.matmul";
constexpr std::int64_t most_rounds = 64;  ///< of launches, for axes of batch that are not one
/// Elements from the first to the last of an operand: CLBlast's kernels count with 32 bits.
constexpr std::int64_t most_elements = std::int64_t{1} << 30;

/// A matrix by rows; transposed when it lies by columns.
struct Operand {
  int pointer = 0;  ///< which input; -1: the output
  std::int64_t leading = 1, batch_stride = 0;
  bool transposed = false;

  Transpose transpose() const { return transposed ? Transpose::kYes : Transpose::kNo; }
};

/// out[m, n] = op(a) op(b), by rows.
struct Problem {
  cl_command_queue queue = nullptr;
  DType dtype = float32;
  std::int64_t m = 0, n = 0, k = 0;
  Operand a, b, out;
  std::int64_t batch = 1;
  std::vector<Batch> outer;
};

// ---- check

std::optional<Operand> operand(int pointer, const Matrix& m, std::int64_t rows,
                               std::int64_t columns, std::int64_t stride) {
  if (is_row_major(m, columns)) return Operand{pointer, m.row, stride, false};
  if (is_column_major(m, rows)) return Operand{pointer, m.column, stride, true};
  return std::nullopt;
}

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
  const auto product = product_of(call);
  if (!product || product->relu || product->bias || call.context == nullptr) return std::nullopt;
  const Product& p = *product;
  const DType dtype = call.output.dtype;
  if (dtype != float32 && dtype != float64) return std::nullopt;
  if (!is_row_major(p.out, p.n) || !fits(call.output)) return std::nullopt;
  for (const TensorView& input : call.inputs)
    if (!fits(input)) return std::nullopt;
  Problem problem{
      static_cast<cl_command_queue>(call.context), dtype, p.m, p.n, p.k, {}, {}, {}, 1, p.batch};
  Batch inner{1, 0, 0, 0};
  if (!problem.outer.empty()) {
    inner = problem.outer.back();
    problem.outer.pop_back();
  }
  problem.batch = inner.extent;
  if (rounds_of(problem.outer) > most_rounds) return std::nullopt;
  const auto a = operand(p.swapped ? 1 : 0, p.a, p.m, p.k, inner.a);
  const auto b = operand(p.swapped ? 0 : 1, p.b, p.k, p.n, inner.b);
  const auto out = operand(-1, p.out, p.m, p.n, inner.out);
  if (!a || !b || !out || out->transposed) return std::nullopt;
  problem.a = *a;
  problem.b = *b;
  problem.out = *out;
  return problem;
}

// ---- choose

cl_device_id device_of(cl_command_queue queue) {
  cl_device_id device = nullptr;
  clGetCommandQueueInfo(queue, CL_QUEUE_DEVICE, sizeof device, &device, nullptr);
  return device;
}

std::size_t size(std::int64_t n) { return static_cast<std::size_t>(n); }

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
StatusCode enqueue_product(const Problem& p, const At& a, const At& b, const At& out,
                           cl_command_queue queue, cl_mem temporary) {
  if (p.batch == 1) {
    return ::clblast::Gemm<T>(Layout::kRowMajor, p.a.transpose(), p.b.transpose(), size(p.m),
                              size(p.n), size(p.k), T{1}, a.handle, a.offset, size(p.a.leading),
                              b.handle, b.offset, size(p.b.leading), T{0}, out.handle, out.offset,
                              size(p.out.leading), &queue, nullptr, temporary);
  }
  return ::clblast::GemmStridedBatched<T>(
      Layout::kRowMajor, p.a.transpose(), p.b.transpose(), size(p.m), size(p.n), size(p.k), T{1},
      a.handle, a.offset, size(p.a.leading), size(p.a.batch_stride), b.handle, b.offset,
      size(p.b.leading), size(p.b.batch_stride), T{0}, out.handle, out.offset, size(p.out.leading),
      size(p.out.batch_stride), size(p.batch), &queue, nullptr);
}

/// What a product of such operands wants wherever they begin.
template <class T>
std::size_t temporary_bytes(const Problem& p) {
  if (p.batch > 1) return 0;  // CLBlast finds its own
  std::size_t bytes = 0;
  cl_command_queue queue = p.queue;
  const StatusCode status = ::clblast::GemmTempBufferSize<T>(
      Layout::kRowMajor, p.a.transpose(), p.b.transpose(), size(p.m), size(p.n), size(p.k), 1,
      size(p.a.leading), 1, size(p.b.leading), 1, size(p.out.leading), &queue, bytes);
  return status == StatusCode::kSuccess ? bytes : 0;
}

/// Whether CLBlast's kernels compile here and give the right product of two small matrices.
template <class T>
bool try_out(cl_command_queue queue, bool batched) {
  constexpr std::int64_t n = 3, batch = 2;
  const Problem p{queue,
                  float32,
                  n,
                  n,
                  n,
                  {0, n, n * n, false},
                  {1, n, n * n, true},
                  {-1, n, n * n, false},
                  batched ? batch : 1,
                  {}};
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

/// Devices on which CLBlast is worth it, where it works. Remembered by queue and kind of product.
bool choose(const Problem& p) {
  const cl_device_id device = device_of(p.queue);
  cl_device_type type = 0;
  clGetDeviceInfo(device, CL_DEVICE_TYPE, sizeof type, &type, nullptr);
  if ((type & CL_DEVICE_TYPE_CPU) != 0 && !opencl::pose().gpu) return false;
  static auto& mutex = *new std::mutex;
  static auto& known = *new std::map<std::tuple<cl_command_queue, DType, bool>, bool>;
  const std::lock_guard lock(mutex);
  const bool batched = p.batch > 1;
  const auto key = std::tuple(p.queue, p.dtype, batched);
  if (const auto found = known.find(key); found != known.end()) return found->second;
  cl_device_fp_config doubles = 0;
  clGetDeviceInfo(device, CL_DEVICE_DOUBLE_FP_CONFIG, sizeof doubles, &doubles, nullptr);
  try {
    const bool works = p.dtype == float64 ? doubles != 0 && try_out<double>(p.queue, batched)
                                          : try_out<float>(p.queue, batched);
    return known[key] = works;
  } catch (const Error& error) {  // no memory now: perhaps later
    logging::warn_once(error.what());
    return false;
  }
}

// ---- set, launch

class PreparedMatmul final : public PreparedCall {
 public:
  explicit PreparedMatmul(Problem problem)
      : p_(std::move(problem)),
        temporary_(p_.dtype == float64 ? temporary_bytes<double>(p_) : temporary_bytes<float>(p_)) {
  }

  void run(std::span<const void* const>, void*, void*) override {
    throw InternalError("clblast.matmul: runs on a queue alone");
  }

  void enqueue(void* queue, std::span<const void* const> inputs, void* output,
               void* workspace) override {
    (void)workspace;
    const auto rounds = rounds_of(p_.outer);
    for (std::int64_t round = 0; round < rounds; ++round)
      launch(static_cast<cl_command_queue>(queue), inputs, output, batch_at(p_.outer, round));
  }

 private:
  void launch(cl_command_queue queue, std::span<const void* const> inputs, const void* output,
              const Batch& moved) const {
    const auto at = [&](const void* pointer, std::int64_t elements) {
      const auto& place = *static_cast<const opencl::Place*>(pointer);
      const std::size_t bytes = size_of(p_.dtype);
      return At(place.handle, place.offset / bytes + size(elements), bytes);
    };
    const At a = at(inputs[size(p_.a.pointer)], moved.a),
             b = at(inputs[size(p_.b.pointer)], moved.b), out = at(output, moved.out);
    const cl_mem temporary = scratch(queue, temporary_);
    const StatusCode status = p_.dtype == float64
                                  ? enqueue_product<double>(p_, a, b, out, queue, temporary)
                                  : enqueue_product<float>(p_, a, b, out, queue, temporary);
    opencl::check_launch(static_cast<cl_int>(status), routine_name, "the product");
  }

  const Problem p_;
  const std::size_t temporary_;
};

class MatmulRoutine final : public LibraryRoutine {
 public:
  std::string_view name() const override { return routine_name; }

  bool accepts(const LibraryCall& call) const override {
    const auto problem = check(call);
    return problem && choose(*problem);
  }

  std::unique_ptr<PreparedCall> prepare(const LibraryCall& call) const override {
    auto problem = check(call);
    if (!problem || !choose(*problem))
      throw InternalError("clblast.matmul: prepares a call it does not accept");
    return std::make_unique<PreparedMatmul>(std::move(*problem));
  }
};

}  // namespace

std::unique_ptr<LibraryRoutine> make_matmul() { return std::make_unique<MatmulRoutine>(); }

}  // namespace noyau::clblast
