// Matrix products of f32 and f64: any order of axes, any batches, a bias on the way. TF32 when the
// caller allows it. What comes after a bias stays with generated kernels: cuBLASLt does not say
// what its relu makes of NaN, and its gelu is another.
// SPDX-License-Identifier: Apache-2.0
#include "backends/cublaslt/matmul.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "backends/cublaslt/functions.hpp"
#include "backends/cuda/driver.hpp"
#include "core/log.hpp"
#include "core/products.hpp"
#include "noyau/error.hpp"

namespace noyau::cublaslt {
namespace {

constexpr std::string_view routine_name = "cublaslt.matmul";
constexpr std::size_t most_workspace = std::size_t{32} << 20;
constexpr std::int64_t most_rounds = 64;  ///< of launches, for axes of batch that are not one

/// A matrix by columns, as cuBLASLt sees all of them; op() transposes what lies by rows.
struct Operand {
  int pointer = 0;  ///< which input; -1: the output
  std::int64_t rows = 0, columns = 0, leading = 1, batch_stride = 0;
  bool transposed = false;
};

/// d[rows, columns] = op(a) op(b), all by columns: the transpose of the product by rows.
struct Problem {
  void* context = nullptr;
  DType dtype = float32;
  bool tf32 = false, bias = false;
  Operand a, b, d;
  std::int64_t batch = 1;
  std::vector<Batch> outer;  ///< .a and .b of the product, not of the operands here

  DataType type() const { return dtype == float64 ? real_64 : real_32; }
  ComputeType compute() const {
    if (dtype == float64) return compute_64;
    return dtype == float32 && tf32 ? compute_32_tf32 : compute_32;
  }
  auto key() const {
    std::vector<std::int64_t> words = {static_cast<std::int64_t>(dtype), tf32, bias, batch};
    for (const Operand* o : {&a, &b, &d}) {
      words.insert(words.end(), {o->rows, o->columns, o->leading, o->batch_stride, o->transposed});
    }
    return std::pair(context, words);
  }
};

// ---- check

/// `m` of rows x columns as it lies: by columns, or by rows and then transposed.
std::optional<Operand> operand(int pointer, const Matrix& m, std::int64_t rows,
                               std::int64_t columns, std::int64_t stride) {
  if (is_row_major(m, columns)) return Operand{pointer, columns, rows, m.row, stride, false};
  if (is_column_major(m, rows)) return Operand{pointer, rows, columns, m.column, stride, true};
  return std::nullopt;
}

std::optional<Problem> check(const LibraryCall& call) {
  const auto product = product_of(call);
  if (!product || product->relu || call.context == nullptr) return std::nullopt;
  const Product& p = *product;
  const DType dtype = call.output.dtype;
  if (dtype != float32 && dtype != float64) return std::nullopt;
  if (!is_row_major(p.out, p.n)) return std::nullopt;
  Problem problem{call.context, dtype, call.tf32, p.bias, {}, {}, {}, 1, p.batch};
  Batch inner{1, 0, 0, 0};
  if (!problem.outer.empty()) {
    inner = problem.outer.back();
    problem.outer.pop_back();
  }
  problem.batch = inner.extent;
  // By columns everything is transposed: out^T = b^T a^T.
  const auto a = operand(p.swapped ? 0 : 1, p.b, p.k, p.n, inner.b);
  const auto b = operand(p.swapped ? 1 : 0, p.a, p.m, p.k, inner.a);
  const auto d = operand(-1, p.out, p.m, p.n, inner.out);
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
  if (!a || !b || !d || rounds_of(problem.outer) > most_rounds || inner.extent > most)
    return std::nullopt;
  for (const Operand* o : {&*a, &*b, &*d})
    if (o->rows > most || o->columns > most || o->leading > most) return std::nullopt;
  problem.a = *a;
  problem.b = *b;
  problem.d = *d;
  return problem;
}

// ---- choose

/// Owns what create made.
template <class T>
class Owned {
 public:
  explicit Owned(Status (*destroy)(T)) : destroy_(destroy) {}
  ~Owned() {
    if (value != nullptr) destroy_(value);
  }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  T value = nullptr;

 private:
  Status (*destroy_)(T);
};

/// A problem in cuBLASLt's descriptors.
struct Descriptors {
  Owned<Operation> operation{functions().matmul_desc_destroy};
  Owned<Layout> a{functions().matrix_layout_destroy}, b{functions().matrix_layout_destroy},
      d{functions().matrix_layout_destroy};

  explicit Descriptors(const Problem& p) {
    const Functions& f = functions();
    const DataType scale = p.dtype == float64 ? real_64 : real_32;
    cublaslt::check(f.matmul_desc_create(&operation.value, p.compute(), scale),
                    "cublasLtMatmulDescCreate");
    if (p.a.transposed) set(transpose_a, transposed);
    if (p.b.transposed) set(transpose_b, transposed);
    if (p.bias) {
      set(epilogue, epilogue_bias);
      // The heuristic wants some address; the call sets its own.
      set(bias_pointer, reinterpret_cast<const void*>(std::uintptr_t{256}));
    }
    describe(a.value, p, p.a);
    describe(b.value, p, p.b);
    describe(d.value, p, p.d);
  }
  template <class Value>
  void set(OperationAttribute attribute, const Value& value) {
    cublaslt::check(
        functions().matmul_desc_set_attribute(operation.value, attribute, &value, sizeof value),
        "cublasLtMatmulDescSetAttribute");
  }

 private:
  static void describe(Layout& layout, const Problem& p, const Operand& o) {
    const Functions& f = functions();
    cublaslt::check(f.matrix_layout_create(&layout, p.type(), static_cast<std::uint64_t>(o.rows),
                                           static_cast<std::uint64_t>(o.columns), o.leading),
                    "cublasLtMatrixLayoutCreate");
    if (p.batch == 1) return;
    const auto count = static_cast<std::int32_t>(p.batch);
    cublaslt::check(f.matrix_layout_set_attribute(layout, batch_count, &count, sizeof count),
                    "cublasLtMatrixLayoutSetAttribute");
    cublaslt::check(
        f.matrix_layout_set_attribute(layout, batch_stride, &o.batch_stride, sizeof o.batch_stride),
        "cublasLtMatrixLayoutSetAttribute");
  }
};

/// What cuBLASLt would do with pointers that are multiples of `alignment` bytes.
struct Choice {
  Algorithm algorithm{};
  std::size_t workspace_bytes = 0;
};
std::optional<Choice> ask(const Problem& p, const Descriptors& described, std::uint32_t alignment) {
  const Functions& f = functions();
  Owned<Preference> wish{f.matmul_preference_destroy};
  cublaslt::check(f.matmul_preference_create(&wish.value), "cublasLtMatmulPreferenceCreate");
  const auto set = [&](PreferenceAttribute attribute, const auto& value) {
    cublaslt::check(f.matmul_preference_set_attribute(wish.value, attribute, &value, sizeof value),
                    "cublasLtMatmulPreferenceSetAttribute");
  };
  set(most_workspace_bytes, std::uint64_t{most_workspace});
  // Parts of a sum are added in their order, in the type of the sum.
  set(reduction_schemes, reduce_in_compute_type);
  for (const auto which : {alignment_a, alignment_b, alignment_c, alignment_d})
    set(which, alignment);
  HeuristicResult result{};
  int found = 0;
  const Status status = f.matmul_algo_get_heuristic(
      handle_of(p.context), described.operation.value, described.a.value, described.b.value,
      described.d.value, described.d.value, wish.value, 1, &result, &found);
  if (status != success || found == 0 || result.state != success) return std::nullopt;
  return Choice{result.algorithm, result.workspace_bytes};
}

/// Two choices: pointers into the middle of arrays may be multiples of an element alone.
constexpr std::uint32_t good_alignment = 16;
struct Chosen {
  Choice aligned, any;
};

/// Remembered by shape. Nothing when cuBLASLt does not do it, or does not work here.
std::optional<Chosen> choose(const Problem& p) {
  static auto& mutex = *new std::mutex;
  static auto& known =
      *new std::map<std::pair<void*, std::vector<std::int64_t>>, std::optional<Chosen>>;
  const std::lock_guard lock(mutex);
  const auto key = p.key();
  if (const auto found = known.find(key); found != known.end()) return found->second;
  std::optional<Chosen> chosen;
  try {
    const cuda::ContextScope scope(static_cast<cuda::Context>(p.context));
    Descriptors described(p);
    const auto aligned = ask(p, described, good_alignment);
    if (p.bias) {
      described.set(bias_pointer, reinterpret_cast<const void*>(std::uintptr_t{size_of(p.dtype)}));
    }
    const auto any = ask(p, described, static_cast<std::uint32_t>(size_of(p.dtype)));
    if (aligned && any) chosen = Chosen{*aligned, *any};
  } catch (const std::exception& error) {  // generated kernels do it then
    logging::warn_once(error.what());
  }
  return known[key] = chosen;
}

// ---- set, launch

class PreparedMatmul final : public PreparedCall {
 public:
  PreparedMatmul(Problem problem, const Chosen& chosen)
      : p_(std::move(problem)), chosen_(chosen), described_(p_), handle_(handle_of(p_.context)) {}

  std::int64_t workspace_bytes() const override {
    return static_cast<std::int64_t>(
        std::max(chosen_.aligned.workspace_bytes, chosen_.any.workspace_bytes));
  }
  void run(std::span<const void* const> inputs, void* output, void* workspace) override {
    enqueue(nullptr, inputs, output, workspace);
  }

  void enqueue(void* stream, std::span<const void* const> inputs, void* output,
               void* workspace) override {
    if (p_.bias) described_.set(bias_pointer, inputs[2]);
    const std::int64_t rounds = rounds_of(p_.outer);
    for (std::int64_t round = 0; round < rounds; ++round)
      launch(stream, inputs, output, workspace, batch_at(p_.outer, round));
  }

 private:
  void launch(void* stream, std::span<const void* const> inputs, void* output, void* workspace,
              const Batch& at) const {
    const auto size = static_cast<std::int64_t>(size_of(p_.dtype));
    const auto moved = [&](const void* pointer, std::int64_t elements) {
      return static_cast<const std::byte*>(pointer) + elements * size;
    };
    const std::byte* a = moved(inputs[static_cast<std::size_t>(p_.a.pointer)], at.b);
    const std::byte* b = moved(inputs[static_cast<std::size_t>(p_.b.pointer)], at.a);
    auto* d = const_cast<std::byte*>(moved(output, at.out));
    const auto bits = reinterpret_cast<std::uintptr_t>(a) | reinterpret_cast<std::uintptr_t>(b) |
                      reinterpret_cast<std::uintptr_t>(d) |
                      (p_.bias ? reinterpret_cast<std::uintptr_t>(inputs[2]) : 0);
    const Choice& choice = bits % good_alignment == 0 ? chosen_.aligned : chosen_.any;
    const float one = 1, zero = 0;
    const double double_one = 1, double_zero = 0;
    const bool wide = p_.dtype == float64;
    cublaslt::check(functions().matmul(handle_, described_.operation.value,
                                       wide ? static_cast<const void*>(&double_one) : &one, a,
                                       described_.a.value, b, described_.b.value,
                                       wide ? static_cast<const void*>(&double_zero) : &zero, d,
                                       described_.d.value, d, described_.d.value, &choice.algorithm,
                                       workspace, choice.workspace_bytes, stream),
                    "cublasLtMatmul");
  }

  const Problem p_;
  const Chosen chosen_;
  Descriptors described_;
  const Handle handle_;
};

class MatmulRoutine final : public LibraryRoutine {
 public:
  std::string_view name() const override { return routine_name; }

  bool accepts(const LibraryCall& call) const override {
    const auto problem = check(call);
    return problem && choose(*problem);
  }

  std::unique_ptr<PreparedCall> prepare(const LibraryCall& call) const override {
    const auto problem = check(call);
    const auto chosen = problem ? choose(*problem) : std::nullopt;
    if (!chosen) throw InternalError("cublaslt.matmul: prepares a call it does not accept");
    return std::make_unique<PreparedMatmul>(*problem, *chosen);
  }
};

}  // namespace

std::unique_ptr<LibraryRoutine> make_matmul() { return std::make_unique<MatmulRoutine>(); }

}  // namespace noyau::cublaslt
